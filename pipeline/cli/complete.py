"""What the shell offers on Tab: datasets, runs and layers that the warehouse has, read from names of folders.

Only local warehouses are looked into, and nothing heavy is imported: a key press must not wait.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import typer

_PRESETS = ("goh2021", "vit-mlp", "vit-mlp-all")
"""As ``clip.layers.PRESETS``, which would bring torch; a test holds the two together."""


def complete_dataset(ctx: typer.Context, incomplete: str) -> list[str]:
    """Datasets of the warehouse."""
    return _beginning(incomplete, (_name(folder) for folder in _datasets(ctx)))


def complete_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """Runs of the warehouse, of the dataset alone if that is said."""
    return _beginning(incomplete, (_name(file.parent) for file in _records(ctx)))


def complete_layer(ctx: typer.Context, incomplete: str) -> list[str]:
    """Presets, and the layers that runs have read."""
    found = list(_PRESETS)
    for file in _records(ctx):
        try:
            found += [layer["layer"] for layer in json.loads(file.read_bytes())["layers"]]
        except (OSError, ValueError, LookupError, TypeError):
            continue  # `neurons check` tells of it
    return _beginning(incomplete, found)


def complete_model(ctx: typer.Context, incomplete: str) -> list[str]:
    """The embedded model, and those that runs have used."""
    found = ["nano"]
    for file in _records(ctx):
        try:
            found.append(str(json.loads(file.read_bytes())["config"]["model"]))
        except (OSError, ValueError, LookupError, TypeError):
            continue
    return _beginning(incomplete, found)


def _beginning(incomplete: str, names: Any) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})


def _name(folder: Path) -> str:
    return unquote(folder.name.partition("=")[2])


def _datasets(ctx: typer.Context) -> Iterator[Path]:
    place = ctx.params.get("warehouse") or os.environ.get("NEURONS_WAREHOUSE")
    if isinstance(place, str) and "://" not in place:
        yield from Path(place).glob("dataset=*")


def _records(ctx: typer.Context) -> Iterator[Path]:
    """The records of runs, of the dataset and the run that are said already."""
    said = {"dataset": ctx.params.get("dataset"), "run": ctx.params.get("run")}
    for folder in _datasets(ctx):
        if said["dataset"] in (None, "", _name(folder)):
            for file in folder.glob("run_id=*/run.json"):
                if _name(file.parent).startswith(said["run"] or ""):
                    yield file
