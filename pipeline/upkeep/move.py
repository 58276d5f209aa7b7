"""Tars that lie elsewhere now: their new places are written down once they are seen to be the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import pyarrow.parquet as pq

from pipeline.base.errors import SourceError
from pipeline.base.locks import hold_lock
from pipeline.base.places import is_url, local_path, open_place
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.storage import Store
from pipeline.tables.datasets import (
    Shard,
    dataset_folder,
    full_url,
    list_datasets,
    read_dataset,
    register,
)
from pipeline.tables.manifest_files import (
    read_manifest,
    shard_file,
    write_manifest,
)
from pipeline.tables.manifests import ShardManifest, keep_formats
from pipeline.tables.snapshots import write_snapshot

SAMPLED_IMAGES = 3
"""Images of each shard whose bytes are compared: the first, the last and one in the middle."""


@dataclass(frozen=True)
class Moved:
    """What was done to one dataset."""

    dataset: str
    shard_count: int
    """Shards whose place was written anew."""


def move_shards(
    store: Store,
    old: str,
    new: str,
    dataset: str | None = None,
    progress: ProgressCallback | None = None,
) -> list[Moved]:
    """Replace the beginning ``old`` of the places of tars by ``new``.

    Every tar must be at its new place with the size that was indexed, and some of its images with the
    hashes that were. All of a dataset is checked before anything is written; calling it again finishes
    what was interrupted.

    Args:
        store: The warehouse.
        old: A folder or the beginning of a URL, as the view ``shards`` shows them.
        new: What stands in its place now.
        dataset: Only this one.
        progress: Told of every tar.

    Raises:
        SourceError: No tar lies below ``old``, or one at its new place is not the same.
    """
    progress = progress or NoProgress()
    old, new = _spell_out(old), _spell_out(new)
    moved = []
    for name in [dataset] if dataset else list_datasets(store):
        with hold_lock(store, f"{dataset_folder(name)}/ingest.lock"):
            moved.append(_move(store, name, old, new, progress))
    if not any(each.shard_count for each in moved):
        raise SourceError(
            f"No tar of {dataset or 'any dataset'} in {store.url} lies below {old}.",
            "See where they lie: neurons sql 'select distinct url from shards'",
        )
    return [each for each in moved if each.shard_count]


def _move(store: Store, name: str, old: str, new: str, progress: ProgressCallback) -> Moved:
    known = read_dataset(store, name)
    shards = [_moved(shard, old, new) for shard in known.shards]
    folder = dataset_folder(name)
    manifests = {shard.ordinal: read_manifest(store, folder, shard.ordinal) for shard in shards}
    todo = [
        shard
        for shard, before in zip(shards, known.shards, strict=True)
        # a manifest may still say the old place, if an earlier move was interrupted
        if shard != before or _url(manifests[shard.ordinal]).startswith(f"{old}/")
    ]
    progress.start(f"check tars of {name}", len(todo))
    try:
        for shard in todo:
            _check_same(store, name, shard)
            progress.advance(1)
    finally:
        progress.finish()
    if todo:
        register(store, replace(known, shards=tuple(shards)))
    for shard in todo:
        manifest = manifests[shard.ordinal]
        if manifest is not None and "url" in manifest:
            files = keep_formats(manifest["files"], manifest.get("format", 1))
            write_manifest(store, folder, {**manifest, "url": shard.url, "files": files})
    write_snapshot(store, folder)
    return Moved(name, len(todo))


def _spell_out(place: str) -> str:
    """As places of tars are written down: a URL, or absolute."""
    return (place if is_url(place) else local_path(place)).rstrip("/")


def _url(manifest: ShardManifest | None) -> str:
    return manifest.get("url", "") if manifest else ""


def _moved(shard: Shard, old: str, new: str) -> Shard:
    rest = shard.url.removeprefix(f"{old}/")
    return shard if rest == shard.url else replace(shard, url=f"{new}/{rest}")


def _check_same(store: Store, dataset: str, shard: Shard) -> None:
    url = full_url(store, shard.url)
    again = "Nothing was written. Bring the same file there, and run the same command again."
    fs, path = open_place(url)
    try:
        size = int(fs.size(path))
    except FileNotFoundError as error:
        raise SourceError(f"Shard {shard.name!r} of {dataset!r} is not at {url}.", again) from error
    if size != shard.size_bytes:
        raise SourceError(
            f"{url} has {size:,} bytes, but shard {shard.name!r} of {dataset!r} has "
            f"{shard.size_bytes:,}: it is another file.",
            again,
        )
    rel = shard_file(dataset_folder(dataset), "examples", shard.ordinal)
    if not store.exists(rel):
        return  # it was never indexed: there is nothing that could be wrong later
    columns = ["shard_key", "image_offset", "image_bytes", "image_sha256"]
    with store.open(rel) as file:
        rows = pq.read_table(file, columns=columns)
    for place in _pick(len(rows)):
        key, offset, size, sha256 = (rows[column][place].as_py() for column in columns)
        if hashlib.sha256(fs.cat_file(path, start=offset, end=offset + size)).hexdigest() != sha256:
            raise SourceError(
                f"{url} is not shard {shard.name!r} of {dataset!r}: the bytes of image {key!r} differ.",
                again,
            )


def _pick(count: int) -> list[int]:
    if not count:
        return []
    return sorted({round((count - 1) * n / (SAMPLED_IMAGES - 1)) for n in range(SAMPLED_IMAGES)})
