"""The list of a dataset's shards, made again from what their manifests say.

Manifests are the truth: each was written with the index of its tar, and knows its name, size and place. So
a list that is gone, damaged, or was made anew in another order is put right here and never registered
afresh, which would give every example the image of another one.
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.base.errors import WarehouseError
from pipeline.base.storage import COPY, Store
from pipeline.base.warn import warn_once
from pipeline.tables.datasets import (
    Shard,
    dataset_folder,
    list_shards,
)
from pipeline.tables.manifest_files import (
    list_ordinals,
    shard_file,
)
from pipeline.tables.manifests import DatasetRecord, ShardManifest
from pipeline.tables.record_list import read_good


def restore_dataset(store: Store, name: str) -> None:
    """Put ``dataset.json`` right where it is gone, damaged or contradicts the manifests, and tell it.

    To be called under the dataset's lock. Where a tar lies that manifests of format 1 do not say, the
    URL stays empty until an ingest is given that tar again.

    Raises:
        WarehouseError: Neither the list nor any manifest says what a shard was.
    """
    folder = dataset_folder(name)
    path = f"{folder}/dataset.json"
    there = read_good(store, path, DatasetRecord)[0]
    known = there or read_good(store, path + COPY, DatasetRecord)[0]
    manifests = _read_manifests(store, folder)
    if known is None and not manifests:
        return  # nothing rests on it
    before = list(list_shards(known)) if known else []
    shards = _order(store, folder, before, manifests)
    if there is not None and shards == before:
        return
    said = [known] if known else list(manifests.values())
    record: DatasetRecord = {
        "dataset": name,
        "source": next((one["source"] for one in reversed(said) if "source" in one), ""),
        "shards": [shard.entry for shard in shards],
    }
    if duplicates := [one["duplicates"] for one in said if "duplicates" in one]:
        record["duplicates"] = duplicates[-1]
    store.write_record(path, record, with_copy=True)
    what = "contradicted the manifests" if there else "was gone or damaged"
    where = "its copy and " if known and not there else ""
    warn_once(
        f"{store.uri(path)} {what}. It was made again from {where}{len(manifests)} manifests: "
        f"{len(shards)} shards, each in the place that it was indexed in."
    )


def find_unplaced(shards: list[Shard], url: str, size: int | None) -> Shard | None:
    """The restored shard whose tar this is, by name and size (if known), if one still lacks its URL."""
    parts = url.replace("\\", "/").removesuffix(".tar").split("/")
    names = {"-".join(parts[-depth:]) for depth in range(1, len(parts) + 1)}
    found = (s for s in shards if not s.url and s.name in names)
    return next((s for s in found if size is None or s.size_bytes == size), None)


def _read_manifests(store: Store, folder: str) -> dict[int, ShardManifest]:
    paths = {n: shard_file(folder, "manifests", n, ".json") for n in list_ordinals(store, folder)}
    read = {n: read_good(store, path, ShardManifest)[0] for n, path in paths.items()}
    return {n: manifest for n, manifest in read.items() if manifest is not None}


def _order(
    store: Store, folder: str, before: list[Shard], manifests: dict[int, ShardManifest]
) -> list[Shard]:
    """Every shard in the place that its manifest says, then those that only the list knows."""
    urls = {(shard.name, shard.size_bytes): shard.url for shard in before}
    done = {n: m for n, m in manifests.items() if m["status"] == "done" or m.get("is_undone")}
    if not before:
        done = manifests  # a shard that failed is known as well
    taken = {manifest["shard"] for manifest in done.values()}
    rest = [shard for shard in before if shard.name not in taken]
    shards: list[Shard] = []
    for ordinal in range(max([*done, *list_ordinals(store, folder), -1]) + 1):
        if ordinal in done:
            name, size = done[ordinal]["shard"], done[ordinal].get("size_bytes")
            size = size if size is not None else _known_size(before, name)
            own = shard_file(folder, "shards", ordinal, ".tar")
            url = done[ordinal].get("url") or urls.get((name, size)) or ""
            url = url or (own if store.exists(own) else "")
            shards.append(Shard(ordinal, name, url, size))
        elif ordinal < len(before) and before[ordinal] in rest:
            rest.remove(before[ordinal])
            shards.append(before[ordinal])
        else:
            shards.append(_find_in_runs(store, folder, ordinal))
    return shards + [replace(shard, ordinal=len(shards) + n) for n, shard in enumerate(rest)]


def _known_size(before: list[Shard], name: str) -> int:
    return next((shard.size_bytes for shard in before if shard.name == name), 0)


def _find_in_runs(store: Store, folder: str, ordinal: int) -> Shard:
    """A shard of which only runs still know.

    Raises:
        WarehouseError: None does.
    """
    for run in (name for name in store.list(folder) if name.startswith("run_id=")):
        path = shard_file(f"{folder}/{run}", "manifests", ordinal, ".json")
        manifest = read_good(store, path, ShardManifest)[0]
        if manifest is not None and "size_bytes" in manifest:
            return Shard(ordinal, manifest["shard"], "", manifest["size_bytes"])
    raise WarehouseError(
        f"Nothing says what shard {ordinal} of {store.uri(folder)} was: dataset.json and its manifest "
        "are both gone or damaged.",
        "Restore one of the two from a copy. Registering the shards afresh would mislabel all others.",
    )
