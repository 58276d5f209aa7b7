"""What img2dataset leaves: ``00000.tar`` with ``00000.parquet`` and ``00000_stats.json`` beside it.

The tar holds the images that were downloaded (keys unsorted and with gaps); the Parquet file has a
row for every URL, with ``status`` and ``error_message``; the stats file counts them.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from pipeline.base.errors import ShardError, SourceError, StorageError
from pipeline.base.folders import list_folder
from pipeline.base.names import describe_ending, is_image_name, split_ending
from pipeline.base.places import open_place
from pipeline.base.progress import ProgressCallback
from pipeline.base.secrets import drop_credentials
from pipeline.base.settings import IngestConfig
from pipeline.base.storage import Store
from pipeline.sources.layouts.shard_lists import expand_shards, find_tars, shard_size
from pipeline.sources.layouts.webdataset import ingest_tars
from pipeline.sources.source_notes import SourceNotes, SourceReject
from pipeline.tables.datasets import Shard

_MISSING = "tar_missing"
_COUNTS = ("count", "successes", "failed_to_download", "failed_to_resize")


def ingest_img2dataset(
    store: Store, config: IngestConfig, paths: Sequence[str], progress: ProgressCallback
) -> None:
    """Index the tars of img2dataset in place, reconciled with what it recorded.

    A URL that failed becomes a reject with stage ``source`` and its status as the reason; its
    position is its row in the Parquet file. So ``read_count`` of a shard is ``count`` in its stats.
    A shard whose tar, Parquet and stats disagree, or that lacks one of them, fails; one that lacks its
    tar if its folder was named. A shard that is done may lose its tar.

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
    urls = expand_shards(paths, _name_tars, store.url)
    ingest_tars(store, config, "img2dataset", urls, progress, read_notes, _find_size)


def read_notes(shard: Shard) -> SourceNotes:
    """What img2dataset recorded about a shard, with a problem if that is missing or wrong."""
    if _find_size(shard.url) is None:
        return _tell_missing(shard.url)
    try:
        stats = _read_stats(shard.url)
        rows = _read_rows(shard.url)
    except SourceError as error:
        return SourceNotes(problem=("source_unreadable", str(error)))
    rejects = _read_rejects(rows)
    statuses = Counter(str(row.status) for row in rows)
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
    return SourceNotes(rejects, sample_count=stats["successes"], problem=problem)


def _read_rejects(rows: list[_Row], success: str = "success") -> tuple[SourceReject, ...]:
    """A reject for each row that is no success; for ``success``, the reason of those that are."""
    rejects = []
    for position, row in enumerate(rows):
        status = str(row.status)
        reason = success if status == "success" else status
        if reason != "success":
            key = None if row.key is None else str(row.key)
            detail = f"{row.error_message or reason}: {drop_credentials(str(row.url))}"
            rejects.append(SourceReject(position, key, reason, detail))
    return tuple(rejects)


def _tell_missing(tar: str) -> SourceNotes:
    """A shard without its tar fails; its images are rejects as far as its Parquet file names them."""
    stem = split_ending(tar)[0]
    try:
        rejects = _read_rejects(_read_rows(tar), _MISSING)
    except SourceError:
        rejects = ()
    what = (
        f"{tar} is missing, though img2dataset left {stem}.parquet or {stem}_stats.json.\n"
        f"  Bring the tar back, or delete these two and let img2dataset make it again. To do without it, "
        f"name the tars that are meant instead of their folder."
    )
    return SourceNotes(rejects, problem=(_MISSING, what), has_tar=False)


def _find_size(tar: str) -> int | None:
    try:
        return shard_size(tar)
    except ShardError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def _name_tars(names: Sequence[str]) -> list[str]:
    """The tars of a folder, and those that img2dataset must have written: it left other files of them."""
    tars = {split_ending(name)[0]: name for name in find_tars(names)}
    for name in names:
        stem = name.removesuffix("_stats.json").removesuffix(".parquet")
        if stem != name and stem.rsplit("/", 1)[-1].isdigit():
            tars.setdefault(stem, f"{stem}.tar")
    return sorted(tars.values())


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
        if ending in endings and not (fs.isdir(inner) and _lacks_tars(fs, inner, files)):
            raise SourceError(
                f"{path} holds what img2dataset writes with --output_format {name}, which cannot be "
                "read here.",
                "Run img2dataset again with --output_format webdataset, the one that writes tars.",
            )


def _lacks_tars(fs: Any, folder: str, files: list[str]) -> bool:
    """Whether Parquet files are what lies beside tars: those that hold images have a column ``jpg``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not any(name.endswith("_stats.json") for name in files):
        return False
    name = next(name for name in files if name.endswith(".parquet"))
    try:
        with fs.open(f"{folder.rstrip('/')}/{name}", "rb") as file:
            columns = pq.read_schema(file).names
    except (pa.ArrowException, OSError):
        return False
    return not any(is_image_name(column) for column in columns)


def _read_stats(tar: str) -> dict[str, int]:
    path = split_ending(tar)[0] + "_stats.json"
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


class _Row(NamedTuple):
    """A line of the Parquet file beside a tar: one URL, and what became of it. Any kind may stand there."""

    key: object
    url: object
    status: object
    error_message: object = None


def _read_rows(tar: str) -> list[_Row]:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    path = split_ending(tar)[0] + ".parquet"
    data = _read_beside(path, tar)
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        there = file.schema_arrow.names
        missing = [name for name in ("key", "url", "status") if name not in there]
        if missing:
            raise ValueError(f"it has no column {missing[0]}, only {', '.join(there)}")
        wanted = [name for name in _Row._fields if name in there]
        return [_Row(**row) for row in file.read(columns=wanted).to_pylist()]
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
