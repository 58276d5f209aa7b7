"""What the pages of a dataset are made from: whenever it changes they are made again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

import PIL

from pipeline import __version__
from pipeline.base.settings import LabelSettings, digest
from pipeline.base.storage import Store
from pipeline.warehouse.contents import owner_of
from pipeline.warehouse.inventory import take_inventory
from pipeline.warehouse.last_build import read_build
from pipeline.warehouse.parts import Fingerprints, list_parts


def describe_datasets(store: Store, datasets: Iterable[str]) -> dict[str, str]:
    """A short hash for each dataset: of its data, its marts and what makes pages.

    Args:
        store: The warehouse.
        datasets: Their names.
    """
    inventory = take_inventory(store)
    built = read_build(store)
    settings = built.settings if built else LabelSettings()
    fingerprints = Fingerprints(inventory, settings)
    parts = list_parts(inventory)
    found = {}
    for dataset in datasets:
        marts = [
            fingerprints.path(part, name)
            for part in parts
            if part.dataset in (dataset, "")
            for name in part.marts
        ]
        files = sorted(
            (file["path"], file["row_count"], file["bytes"])
            for file in inventory.files
            if owner_of(file["path"])[0] == dataset
        )
        found[dataset] = digest([__version__, PIL.__version__, _code_digest(), marts, files])
    return found


@cache
def _code_digest() -> str:
    """Of what makes pages."""
    hashed = hashlib.sha256()
    for package in ("pipeline.web", "pipeline.report"):
        for file in _list_files(resources.files(package)):
            hashed.update(file.read_bytes())
    return hashed.hexdigest()


def _list_files(folder: Traversable) -> list[Traversable]:
    """Of a package, in the order of their names; without what Python makes of them."""
    found: list[Traversable] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            found += [] if entry.name == "__pycache__" else _list_files(entry)
        else:
            found.append(entry)
    return found
