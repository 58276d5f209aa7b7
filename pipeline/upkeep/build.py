"""Materialising the expensive marts, and the same views as a script for the plain DuckDB shell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from pipeline.base.faults import faults_told
from pipeline.base.leftovers import clear_half_written, clear_half_written_below
from pipeline.base.locks import hold_lock
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import LabelSettings
from pipeline.base.storage import PAGE_CHECKSUMS, Store
from pipeline.base.warn import warn_once
from pipeline.concepts.lexicon import load_lexicon
from pipeline.tables.computed import DERIVED
from pipeline.tables.manifests import BuildRecord, FileEntry, make_entry
from pipeline.tables.snapshots import write_snapshots
from pipeline.upkeep.script import LEXICON, write_views_script
from pipeline.warehouse.connect import open_views, take_whole_inventory, use_mart
from pipeline.warehouse.contents import Inventory
from pipeline.warehouse.inventory import take_inventory
from pipeline.warehouse.last_build import RECORD, Build, read_build
from pipeline.warehouse.raw_views import quote
from pipeline.warehouse.stale import digest_runs
from pipeline.warehouse.views import MATERIALISED, TITLE, find_view, write_dictionary

DICTIONARY = "README.md"
"""What every view and column means, in the warehouse itself."""


@dataclass(frozen=True)
class BuildSummary:
    """What a build wrote."""

    row_counts: Mapping[str, int]
    was_current: bool
    """Nothing had changed since the last build, so nothing was done."""


def build(
    warehouse: str | Path,
    settings: LabelSettings | None = None,
    progress: ProgressCallback | None = None,
) -> BuildSummary:
    """Write the expensive marts as Parquet, ``views.sql`` for the plain DuckDB shell, and what every view
    and column means into ``README.md``.

    Raises:
        WarehouseError: There is nothing to build from.
    """
    store, progress = Store(warehouse), progress or NoProgress()
    take_inventory(store)  # says what is missing before anything is written
    # Alone: a second build would clear away what the first writes.
    with hold_lock(store, "marts/build.lock") as lock:
        clear_half_written_below(store, lock, "marts")
        for name in ("views.sql", DICTIONARY):
            clear_half_written(store, lock, "", prefix=name)
        write_snapshots(store)
        return _build(store, settings, progress)


def _build(
    store: Store, settings: LabelSettings | None, progress: ProgressCallback
) -> BuildSummary:
    inventory = take_whole_inventory(store)
    built = read_build(store)
    settings = settings or (built.settings if built else LabelSettings())
    fingerprint = inventory.fingerprint(settings)
    if built and built.fingerprint == fingerprint and _is_whole(store, built):
        _write_words(inventory, settings, built.folder)  # compaction changes them, not the marts
        _drop_old_marts(store, keep={built.folder, built.previous})
        return BuildSummary(built.row_counts, was_current=True)
    folder = f"marts/{fingerprint}"
    previous = _previous(built, folder)
    _drop_old_marts(store, keep={folder, built.folder if built else "", previous})
    words = load_lexicon()
    written = store.write_parquet(f"{folder}/{LEXICON}", words)
    lexicon = make_entry("lexicon", f"{folder}/{LEXICON}", len(words), written)
    files: list[FileEntry] = []
    with faults_told(store.url), open_views(inventory, settings) as connection:
        progress.start("build", len(MATERIALISED))
        try:
            for name in MATERIALISED:
                files.append(_materialise(connection, store, folder, name, progress))
                progress.advance(1, f"{name}: {files[-1]['row_count']} rows")
        finally:
            progress.finish()
    row_counts = {file["table"]: file["row_count"] for file in files}
    record: BuildRecord = {
        "fingerprint": fingerprint,
        "folder": folder,
        "settings": asdict(settings),
        "row_counts": row_counts,
        "bytes": {file["table"]: file["bytes"] for file in files},
        "files": [*files, lexicon],
        "previous": previous,
        "runs": digest_runs(inventory),
    }
    store.write_record(RECORD, record, with_copy=True)  # the settings are nowhere else
    _write_words(inventory, settings, folder)
    store.delete(f"marts/{LEXICON}")  # where earlier versions had it, written over by each build
    _drop_old_marts(store, keep={folder, previous})
    return BuildSummary(row_counts, was_current=False)


def _write_words(inventory: Inventory, settings: LabelSettings, folder: str) -> None:
    """The views as a script, and what they mean."""
    store = inventory.store
    _write_if_new(store, "views.sql", write_views_script(inventory, settings, folder))
    if store.exists(DICTIONARY):
        with store.open(DICTIONARY) as file:
            is_ours = file.read(len(TITLE)) == TITLE.encode()
        if not is_ours:
            warn_once(
                f"{store.uri(DICTIONARY)} is not ours: it is left as it is, and the data dictionary is "
                "not written. Rename it and build again to have both."
            )
            return
    _write_if_new(store, DICTIONARY, write_dictionary())


def _write_if_new(store: Store, name: str, text: str) -> None:
    data = text.encode()
    if store.exists(name):
        with store.open(name) as file:
            if file.read() == data:
                return
    store.write_bytes(name, data)


def _materialise(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    folder: str,
    name: str,
    progress: ProgressCallback,
) -> FileEntry:
    def copy(path: str) -> None:
        view = find_view(name)
        order = f" order by {', '.join(view.key)}" if view.key else ""
        connection.execute(
            f"copy (from {name}{order}) to {quote(path)} (format parquet, compression zstd)"
        )

    def compute(path: str) -> None:
        from pipeline.evidence.computed import COMPUTED  # torch: only where something is computed

        schema = DERIVED[name].arrow_schema()
        with pq.ParquetWriter(path, schema, compression="zstd", **PAGE_CHECKSUMS) as writer:
            for table in COMPUTED[name](connection, progress):
                writer.write_table(table)

    rel = f"{folder}/{name}.parquet"
    written = store.write_with(rel, compute if name in DERIVED else copy)
    use_mart(connection, folder, name)
    with store.open(rel) as file:
        row_count = int(pq.read_metadata(file).num_rows)
    return make_entry(name, rel, row_count, written)


def _is_whole(store: Store, built: Build) -> bool:
    return built.is_whole(store) and store.exists(f"{built.folder}/{LEXICON}")


def _previous(built: Build | None, folder: str) -> str:
    """The folder of the build before one into ``folder``; empty if there is none."""
    if not built:
        return ""
    return built.previous if built.folder == folder else built.folder


def _drop_old_marts(store: Store, keep: set[str]) -> None:
    """Remove marts of earlier builds, except the last: open connections may still read it."""
    for name in store.list("marts"):
        if "." not in name and f"marts/{name}" not in keep:
            store.fs.rm(store.path(f"marts/{name}"), recursive=True)
