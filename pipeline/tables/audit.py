"""What is damaged in a warehouse: every record against itself, every file against its record.

A record is read whole, unless its file is what it was when it was found good. A file's size is compared
each time, its checksum when its record is new since the last audit, or when all are asked for. Files of
format 1 have no checksum: their footers are read, and on demand their pages. One file is open at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from pipeline.base.errors import NewerFormatError
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.storage import COPY, Store
from pipeline.tables.checked import Unchanged, keep_checked, read_checked
from pipeline.tables.datasets import (
    check_file_folder,
    check_folder,
    check_run_folder,
)
from pipeline.tables.manifest_files import shard_file
from pipeline.tables.manifests import DatasetRecord, FileEntry, ShardEntry, ShardManifest
from pipeline.tables.merged import find_coverage, own_files
from pipeline.tables.presence import Presence, list_files
from pipeline.tables.record_list import KINDS, AnyRecord, Record, list_records, read_good
from pipeline.tables.records import UPDATE
from pipeline.tables.runs import MergedRecord, RunRecord
from pipeline.tables.schema import TABLES


@dataclass(frozen=True)
class Damage:
    """A file or a record that is not what was written."""

    record: Record
    path: str
    """The file itself; the record's own path if that is damaged."""
    problem: str
    """As the rest of a sentence that begins with the path."""
    is_newer: bool = False
    """Nothing is damaged: a newer version of ours wrote it."""

    @property
    def is_of_record(self) -> bool:
        """Whether the record itself is damaged, or its copy."""
        return self.path.removesuffix(COPY) == self.record.path


@dataclass
class Audit:
    """What was found."""

    damages: list[Damage] = field(default_factory=list)
    values: dict[Record, AnyRecord] = field(default_factory=dict)
    """Records that are good, and what they say."""
    file_count: int = 0
    read_count: int = 0
    """Files that were read from end to end."""
    known_file_count: int = 0
    """Files of which only the size was looked at, since nothing has changed."""
    known_record_count: int = 0
    """Records that were not read, since nothing has changed."""
    seals: dict[Record, str] = field(default_factory=dict)
    """Of the good records."""
    snapshots: dict[str, str] = field(default_factory=dict)
    """By path, the stamps of the snapshots that are believed."""
    unrecorded_count: int = 0
    """Files whose record has no checksum of them: made before there were any."""


def audit_warehouse(
    store: Store,
    deep: bool = False,
    dataset: str | None = None,
    progress: ProgressCallback | None = None,
) -> Audit:
    """Look at every record and file of a warehouse, or of one dataset and the marts.

    Args:
        store: The warehouse.
        deep: Read every file, also those that were found good before.
        dataset: Only this dataset.
        progress: Told of every file that is read.

    Raises:
        WarehouseError: The folder of a dataset or a run was renamed: none of its files is where its
            records say, and none of them is damaged.
    """
    audit, progress = Audit(), progress or NoProgress()
    checked = read_checked(store)
    known = {} if deep else checked["records"]
    look, seals = Unchanged(store, known), audit.seals
    for record in list_records(store, dataset):
        _read(look, record, audit)
    _check_folders(store, audit)
    _compare_shards(audit)
    merged = _check_merges(audit)
    presence = Presence(store)
    progress.start("check files", len(audit.values))
    try:
        for record, value in audit.values.items():
            is_known = known.get(record.path) == seals[record]
            for file in files_of_record(store, record, value, merged.get(record.folder)):
                problem = presence.find_problem(file) or _find_problem(
                    store, file, deep, is_known, audit
                )
                if not (problem or is_known):
                    problem = _find_column_problem(store, file, value.get("format", 1))
                audit.file_count += 1
                if problem and _is_unchanged(store, record, seals[record]):
                    audit.damages.append(Damage(record, file["path"], problem))
            progress.advance(1)
    finally:
        progress.finish()
    bad = {damage.record.path for damage in audit.damages}
    damaged = {damage.path for damage in audit.damages}
    good = {record.path: seal for record, seal in seals.items() if record.path not in bad}
    audit.snapshots = look.snapshots
    good |= {path: stamp for path, stamp in look.copies.items() if path not in damaged}
    if dataset is None:
        keep_checked(store, {**checked, "records": good})
    return audit


def find_cure(damage: Damage) -> str:
    """The one command that makes it again."""
    if damage.is_newer:
        return UPDATE
    if not damage.record.dataset:
        return "neurons repair"
    return f"neurons repair --dataset {damage.record.dataset}"


def files_of_record(
    store: Store, record: Record, value: AnyRecord, merged: MergedRecord | None = None
) -> Iterator[FileEntry]:
    """The files that a record names, and what belongs to it.

    Args:
        store: The warehouse.
        record: Which.
        value: What it says.
        merged: The merges of its run: files of a shard that went into one need not be there.
    """
    manifest = cast(ShardManifest, value)
    if record.kind == "shard":
        yield from own_files(manifest, merged)
        return
    if record.kind != "index" or manifest["status"] != "done":
        yield from _named_files(value)
        return
    yield from list_files(record.folder, manifest)
    duplicates = shard_file(record.folder, "duplicates", manifest["ordinal"])
    is_noted = any(file["table"] == "duplicates" for file in manifest["files"])
    if not is_noted and store.exists(duplicates):  # manifests of format 1 do not name it
        yield {"table": "duplicates", "path": duplicates, "row_count": -1, "bytes": -1}


def _named_files(value: AnyRecord) -> list[FileEntry]:
    return cast(list[FileEntry], value.get("files", []))


def _read(look: Unchanged, record: Record, audit: Audit) -> None:
    if copy := look.find_copy(record):
        try:
            problem = read_good(look.store, copy, KINDS[record.kind])[2]
        except NewerFormatError:
            problem = "is of a newer version of ours than what it is a copy of"
        if problem:
            audit.damages.append(Damage(record, copy, problem))
    known = look.find_known(record)
    if known is not None:
        audit.values[record], audit.seals[record] = known, str(known.get("checksum"))
        audit.known_record_count += 1
        return
    try:
        value, seal, problem = read_good(look.store, record.path, KINDS[record.kind])
    except NewerFormatError as error:
        problem = error.message.removeprefix(record.path).strip().rstrip(".")
        audit.damages.append(Damage(record, record.path, problem, is_newer=True))
        return
    if value is None:
        audit.damages.append(Damage(record, record.path, problem))
    else:
        audit.values[record], audit.seals[record] = value, seal


def _check_folders(store: Store, audit: Audit) -> None:
    for record, value in audit.values.items():
        if record.kind == "dataset":
            check_folder(store, record.folder, cast(DatasetRecord, value))
        elif record.kind == "run":
            check_run_folder(store, record.folder, cast(RunRecord, value))
        for file in _named_files(value):
            if record.kind != "marts":
                check_file_folder(store, record.folder, file)


def _compare_shards(audit: Audit) -> None:
    """Every manifest of a done shard must be of the shard that the dataset has in that place.

    One that was done and is to be made again is damaged until it is.
    """
    datasets = {
        record.folder: cast(DatasetRecord, value)["shards"]
        for record, value in audit.values.items()
        if record.kind == "dataset"
    }
    for record, value in audit.values.items():
        if record.kind not in ("index", "shard"):
            continue
        manifest, shards = cast(ShardManifest, value), datasets.get(record.folder.split("/")[0])
        if manifest.get("is_undone"):
            audit.damages.append(Damage(record, record.path, manifest["error"] or "is not done"))
        if shards is None or manifest["status"] != "done":
            continue
        name, size = _name_and_size(shards, manifest["ordinal"])
        if (manifest["shard"], manifest.get("size_bytes", size)) != (name, size):
            said = f"{manifest['shard']} ({manifest.get('size_bytes', '?')} bytes)"
            there = f"{name} ({size} bytes)"
            problem = f"is of the shard {said}, dataset.json has {there} in its place"
            audit.damages.append(Damage(record, record.path, problem))


def _check_merges(audit: Audit) -> dict[str, MergedRecord]:
    """By run folder, the records of merges; a shard whose statistics are in none that holds is damaged."""
    manifests: dict[str, list[ShardManifest]] = {}
    merged: dict[str, MergedRecord] = {}
    for record, value in audit.values.items():
        if record.kind == "merged":
            merged[record.folder] = cast(MergedRecord, value)
        elif record.kind == "shard":
            manifests.setdefault(record.folder, []).append(cast(ShardManifest, value))
    lost = {
        folder: find_coverage(manifests.get(folder, []), value).lost
        for folder, value in merged.items()
    }
    for record, value in audit.values.items():
        if record.kind == "shard" and record.folder in lost:
            why = lost[record.folder].get(cast(ShardManifest, value)["ordinal"])
            if why is not None:
                audit.damages.append(Damage(record, record.path, f"has no statistics: {why}"))
    return merged


def _name_and_size(shards: list[ShardEntry], ordinal: int) -> tuple[str | None, int | None]:
    """What a list of shards says of one of them; nothing if it is shorter."""
    if ordinal >= len(shards):
        return None, None
    return shards[ordinal]["name"], shards[ordinal]["size_bytes"]


def _find_problem(store: Store, file: FileEntry, deep: bool, is_known: bool, audit: Audit) -> str:
    checksum = file.get("checksum")
    if checksum is None:
        audit.unrecorded_count += file["bytes"] != -1
        return _find_parquet_problem(store, file, deep, audit)
    if is_known and not deep:
        audit.known_file_count += 1
        return ""
    audit.read_count += 1
    try:
        found = store.checksum(file["path"])
    except FileNotFoundError:  # since its folder was listed
        return "is gone"
    return "" if found == checksum else f"has the checksum {found}, its record says {checksum}"


def _find_parquet_problem(store: Store, file: FileEntry, deep: bool, audit: Audit) -> str:
    """Without a checksum: the number of rows, and every page if asked for."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with store.open(file["path"]) as stream:
            parquet = pq.ParquetFile(stream, page_checksum_verification=True)
            rows = int(parquet.metadata.num_rows)
            if deep:
                audit.read_count += 1
                for batch in parquet.iter_batches():
                    del batch
    except (pa.ArrowException, OSError) as error:
        return f"is not readable Parquet: {error}"
    if file["row_count"] not in (-1, rows):
        return f"has {rows} rows, its record says {file['row_count']}"
    return ""


def _find_column_problem(store: Store, file: FileEntry, written: int) -> str:
    """A column that the table has in this format, and the file has not, or of another kind."""
    import pyarrow.parquet as pq

    table = TABLES.get(file["table"])
    if table is None:
        return ""
    with store.open(file["path"]) as stream:
        schema = pq.read_schema(stream)
    for column in table.columns:
        if column.since > file.get("format", written):
            continue
        if column.name not in schema.names:
            return f"lacks the column {column.name}"
        found = str(schema.field(column.name).type)
        if _kind(found) != _kind(column.arrow):
            return f"has a column {column.name} of type {found}, expected {column.arrow}"
    return ""


def _kind(arrow: str) -> str:
    """What a type is of, whatever its width."""
    name = arrow.removeprefix("large_").removeprefix("u").removeprefix("half").rstrip("0123456789")
    return "float" if name == "double" else name.split("<")[0].split("[")[0]


def _is_unchanged(store: Store, record: Record, seal: str) -> bool:
    """Whether a record still says what it said: a step that runs beside us may have replaced it."""
    return read_good(store, record.path, KINDS[record.kind])[1] == seal
