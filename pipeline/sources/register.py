"""Registering shards: which ordinal a tar gets, and that it is still the tar it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pipeline.base.errors import ShardError, SourceError
from pipeline.base.storage import Store
from pipeline.sources.restore import find_unplaced, restore_dataset
from pipeline.tables.datasets import (
    Dataset,
    Shard,
    dataset_folder,
    is_registered,
    read_dataset,
    write_dataset,
)
from pipeline.tables.manifest_files import read_manifest


def open_dataset(store: Store, name: str, source: str, duplicates: str = "") -> Dataset:
    """The registered dataset, or an empty one that is not registered yet.

    Args:
        store: The warehouse.
        name: Name of the dataset.
        source: Which source makes it, if it is new. Any source may add shards to it later.
        duplicates: ``near`` or ``exact``; empty takes what the dataset has, ``near`` for a new one.

    Raises:
        SourceError: The dataset of that name was made with another setting.
    """
    restore_dataset(store, name)
    if not is_registered(store, name):
        return Dataset(name, source, (), duplicates or "near")
    dataset = read_dataset(store, name)
    if not dataset.source:  # restored from manifests that do not say it
        dataset = replace(dataset, source=source)
    if duplicates not in ("", dataset.duplicates):
        raise SourceError(
            f"Dataset {name!r} in {store.url} counts images with duplicates={dataset.duplicates!r}, "
            f"not {duplicates!r}.",
            "What is marked stays marked. Leave the setting out, or give another --dataset name.",
        )
    return dataset


def register_shards(
    store: Store, dataset: Dataset, tars: Iterable[tuple[str, int | None]]
) -> tuple[Dataset, list[Shard]]:
    """Find the tars among the registered shards, by URL, and append those that are new.

    Args:
        store: The warehouse.
        dataset: As it is registered now.
        tars: (URL, size in bytes) of each tar; None for one that should be there and is not.

    Returns:
        The dataset, registered, and the shards of ``tars`` in their order.

    Raises:
        ShardError: The tar of a shard whose index is done has another size now.
    """
    shards = list(dataset.shards)
    known = {shard.url: shard for shard in shards}
    names = {shard.name for shard in shards}
    listed = []
    for url, size in tars:
        shard = known.get(url)
        if shard is None and (found := find_unplaced(shards, url, size)):
            shard = shards[found.ordinal] = known[url] = replace(found, url=url)
        if shard is None:
            shard = Shard(len(shards), _unique_name(url, names), url, size or 0)
            names.add(shard.name)
            known[url] = shard
            shards.append(shard)
        elif shard.size_bytes != size:
            if is_done(read_manifest(store, dataset_folder(dataset.name), shard.ordinal)):
                if size is None:
                    listed.append(shard)
                    continue
                raise ShardError(
                    f"Shard {url} has {size:,} bytes, but had {shard.size_bytes:,} when it was "
                    f"indexed.",
                    "A done shard never changes. Restore the tar, or give the new data another "
                    "--dataset name.",
                )
            shard = replace(shard, size_bytes=size or 0)
            shards[shard.ordinal] = known[url] = shard
        listed.append(shard)
    grown = replace(dataset, shards=tuple(shards))
    if grown != dataset:
        write_dataset(store, grown)
    return grown, listed


def is_done(manifest: Mapping[str, Any] | None) -> bool:
    """Whether a shard's index is complete and good."""
    return manifest is not None and manifest["status"] == "done"


def _unique_name(url: str, taken: set[str]) -> str:
    """The tar's name without ``.tar``, after as many of its folders as it takes to be unique."""
    parts = url.replace("\\", "/").removesuffix(".tar").split("/")
    names = ("-".join(parts[-depth:]) for depth in range(1, len(parts) + 1))
    for name in names:
        if name not in taken:
            return name
    number = 2
    while f"{parts[-1]}-{number}" in taken:
        number += 1
    return f"{parts[-1]}-{number}"
