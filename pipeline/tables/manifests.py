"""What a dataset's and a shard's records say, and the files that they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NotRequired, TypedDict

from pipeline.base.storage import FORMAT, Store, Written
from pipeline.tables.records import FilePath, Moment, Sealed, Small


class FileEntry(TypedDict):
    """A file that a record names."""

    table: str
    path: FilePath
    """Relative to the warehouse."""
    row_count: int
    bytes: int
    layer: NotRequired[str | None]
    checksum: NotRequired[str]
    """As `storage.Written` has it; files of format 1 have none."""
    format: NotRequired[int]
    """Of the file, where that is not the record's."""
    ordinal: NotRequired[Small]
    """Similarity and class sets: the shard that was scored; -1 is none. Effects: the block of neurons; fresh
    images: the block of concepts, and of their scores -1;
    ablations: the attack."""
    made_from: NotRequired[str]
    """Similarity, class sets, effects, ablations, fresh images, facet probes, merges: hash of what the file was
    made from."""


class ShardEntry(TypedDict):
    """A shard in ``dataset.json``; see `datasets.Shard`."""

    ordinal: Small
    name: str
    url: str
    size_bytes: int


class DatasetRecord(Sealed):
    """``dataset.json``."""

    dataset: str
    source: str
    shards: list[ShardEntry]
    duplicates: NotRequired[str]
    """What counts as one image, ``near`` or ``exact``; absent: ``exact``."""


class ShardManifest(Sealed):
    """``manifests/NNNNN.json`` of a dataset or a run: a shard is done, or has failed.

    ``read_count`` is always ``written_count + rejected_count``.
    """

    ordinal: Small
    shard: str
    status: str
    """``done`` or ``failed``."""
    error: str | None
    read_count: int
    written_count: int
    rejected_count: int
    reject_reasons: dict[str, int]
    notice_reasons: NotRequired[dict[str, int]]
    """A dataset's: what was left out or passed over, by reason."""
    passed_over: NotRequired[list[tuple[str, str, int]]]
    """A dataset's: reason, kind and count of files that the source passed over."""
    files: list[FileEntry]
    seconds: dict[str, float]
    """By stage."""
    written_at: Moment
    """UTC, ISO 8601."""
    is_undone: NotRequired[bool]
    """It was done, its files are damaged or gone, and it is to be made again."""
    size_bytes: NotRequired[int]
    """Of the tar that was read."""
    url: NotRequired[str]
    """A dataset's: where that tar lies, as in ``dataset.json``."""
    source: NotRequired[str]
    """A dataset's: which source made it."""
    duplicates: NotRequired[str]
    """A dataset's: as in ``dataset.json`` when it was indexed."""
    tar_checksum: NotRequired[str | None]
    """A dataset's: of the tar, if we wrote it."""
    max_reject_frac: NotRequired[float]
    """A dataset's: the limit it was indexed with."""
    source_count: NotRequired[int | None]
    """A dataset's: items of the source that went into a shard that we wrote, or null."""
    source_digest: NotRequired[str | None]
    """A dataset's: hash of those items."""
    run_id: NotRequired[str]
    model_id: NotRequired[str]
    is_random: NotRequired[bool]
    canonical_count: NotRequired[int]
    """A run's: examples whose image no earlier example showed."""
    batch_size: NotRequired[int]


class BuildRecord(Sealed):
    """``marts/build.json``: the last build, which may not be finished."""

    settings: Mapping[str, object]
    """`settings.LabelSettings`, perhaps another version's."""
    files: NotRequired[list[FileEntry]]
    """Marts, and the lexicon; the name of each tells what it was made from, see `warehouse.parts`."""
    runs: NotRequired[dict[str, str]]
    """What each part was when it was built; see `parts.Fingerprints.data_of`."""
    replaced: NotRequired[list[FilePath]]
    """Files that the build replaced, which open connections may still read."""


def make_entry(
    table: str, rel: str, row_count: int, written: Written, layer: str | None = None
) -> FileEntry:
    """The entry of a file that was just written."""
    return {
        "table": table,
        "path": rel,
        "layer": layer,
        "row_count": row_count,
        "bytes": written.bytes,
        "checksum": written.checksum,
    }


def keep_formats(files: Iterable[FileEntry], written: int) -> list[FileEntry]:
    """Files of a record that is to be written again: it gets today's format, and they keep theirs.

    Args:
        files: As the record names them.
        written: The format that it has.
    """
    if written == FORMAT:
        return list(files)
    return [{**file, "format": file.get("format", written)} for file in files]


def adopt_file(store: Store, table: str, rel: str) -> FileEntry | None:
    """The entry of a Parquet file that an interrupted attempt left, if it is there and whole.

    Every page is read, against its own checksum.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not store.exists(rel):
        return None
    try:
        with store.open(rel) as file:
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            for batch in parquet.iter_batches():
                del batch
            row_count = int(parquet.metadata.num_rows)
    except (pa.ArrowException, OSError):
        return None
    return make_entry(table, rel, row_count, Written(store.size(rel), store.checksum(rel)))
