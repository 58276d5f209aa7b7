"""What img2dataset leaves: ``00000.tar`` with ``00000.parquet`` and ``00000_stats.json`` beside it.

The tar holds the images that were downloaded (keys unsorted and with gaps); the Parquet file has a
row for every URL, with ``status`` and ``error_message``; the stats file counts them.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pipeline.config import IngestConfig
from pipeline.credentials import drop_credentials
from pipeline.dataset import Shard
from pipeline.errors import SourceError, StorageError
from pipeline.folders import list_folder
from pipeline.names import describe_ending, is_image_name
from pipeline.places import open_place
from pipeline.progress import ProgressCallback
from pipeline.shard_lists import expand_shards
from pipeline.sources.index import SourceNotes, SourceReject
from pipeline.sources.webdataset import ingest_tars
from pipeline.storage import Store

_COUNTS = ("count", "successes", "failed_to_download", "failed_to_resize")


def ingest_img2dataset(
    store: Store, config: IngestConfig, paths: Sequence[str], progress: ProgressCallback
) -> None:
    """Index the tars of img2dataset in place, reconciled with what it recorded.

    A URL that failed becomes a reject with stage ``source`` and its status as the reason; its
    position is its row in the Parquet file. So ``read_count`` of a shard is ``count`` in its stats.
    A shard whose tar, Parquet and stats disagree, or that lacks one of them, fails.

    Args:
        store: The warehouse.
        config: Name of the dataset and limits.
        paths: Output folders of img2dataset, or its tars.
        progress: Told of each shard.

    Raises:
        SourceError: img2dataset was told to write something else than tars.
        ShardError: A shard is missing, or one that is done has changed.
    """
    for path in paths:
        _refuse_other_formats(path)
    ingest_tars(store, config, "img2dataset", expand_shards(paths), progress, read_notes)


def read_notes(shard: Shard) -> SourceNotes:
    """What img2dataset recorded about a shard, with a problem if that is missing or wrong."""
    try:
        stats = _read_stats(shard.url)
        rows = _read_rows(shard.url)
    except SourceError as error:
        return SourceNotes(problem=("source_unreadable", str(error)))
    rejects = []
    statuses: Counter[str] = Counter()
    for position, row in enumerate(rows):
        status = str(row["status"])
        statuses[status] += 1
        if status != "success":
            key = None if row["key"] is None else str(row["key"])
            detail = f"{row.get('error_message') or status}: {drop_credentials(str(row['url']))}"
            rejects.append(SourceReject(position, key, status, detail))
    listed = {
        "count": statuses.total(),
        "successes": statuses["success"],
        "failed_to_download": statuses["failed_to_download"],
        "failed_to_resize": statuses["failed_to_resize"],
    }
    problem = None
    if listed != stats:
        numbers = ", ".join(f"{name} {stats[name]:,} / {listed[name]:,}" for name in _COUNTS)
        problem = (
            "count_mismatch",
            f"Shard {shard.url}: its stats and its Parquet file disagree ({numbers}).\n"
            f"  Delete its three files and let img2dataset make them again.",
        )
    return SourceNotes(tuple(rejects), sample_count=stats["successes"], problem=problem)


def _refuse_other_formats(path: str) -> None:
    """Name the cure for the output formats that are no tars."""
    fs, inner = open_place(path)
    files = list_folder(fs, inner).files if fs.isdir(inner) else [inner]
    endings = {describe_ending(name) for name in files}
    if "tar" in endings:
        return
    if any(is_image_name(ending) for ending in endings):
        raise SourceError(
            f"{path} holds what img2dataset writes with --output_format files: images, no tars.",
            f"Ingest it with: neurons ingest folder {shlex.quote(path)}. Its .json files are read.",
        )
    for ending, name in (("tfrecord", "tfrecord"), ("parquet", "parquet")):
        if ending in endings:
            raise SourceError(
                f"{path} holds what img2dataset writes with --output_format {name}, which cannot be "
                "read here.",
                "Run img2dataset again with --output_format webdataset, the one that writes tars.",
            )


def _read_stats(tar: str) -> dict[str, int]:
    path = tar.removesuffix(".tar") + "_stats.json"
    data = _read_beside(path, tar)
    try:
        record = json.loads(data)
        return {name: int(record[name]) for name in _COUNTS}
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise SourceError(
            f"{path} is not a stats file of img2dataset: {type(error).__name__} {error}.",
            f"Expected JSON with {', '.join(_COUNTS)}. Delete the shard's three files and let "
            f"img2dataset make them again.",
        ) from error


def _read_rows(tar: str) -> list[dict[str, Any]]:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tar.removesuffix(".tar") + ".parquet"
    data = _read_beside(path, tar)
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        there = file.schema_arrow.names
        missing = [name for name in ("key", "url", "status") if name not in there]
        if missing:
            raise ValueError(f"it has no column {missing[0]}, only {', '.join(there)}")
        wanted = [name for name in ("key", "url", "status", "error_message") if name in there]
        rows: list[dict[str, Any]] = file.read(columns=wanted).to_pylist()
        return rows
    except (pa.ArrowException, ValueError, OSError) as error:
        raise SourceError(
            f"{path} is not a Parquet file of img2dataset: {error}.",
            "Expected the columns key, url and status. Delete the shard's three "
            "files and let img2dataset make them again.",
        ) from error


def _read_beside(path: str, tar: str) -> bytes:
    fs, inner = open_place(path)
    try:
        return bytes(fs.cat_file(inner))
    except FileNotFoundError as error:
        raise SourceError(
            f"{path} is missing beside {tar}.",
            "img2dataset writes it last: let it finish. For tars of another origin use the source "
            "webdataset.",
        ) from error
    except OSError as error:
        raise StorageError(f"{path} could not be read: {error}.", "Check the place.") from error
