"""Merging partial statistics: of 64 shards into one file a table and layer, of 64 merges into one, and so on.

So what is asked of a run's statistics and top images reads a bounded number of files and rows, however many
shards it has, and the k top images of a neuron are kept once, not once a shard. ``tables/merged.py`` says
what a merge stands for; its files are written under names of their own, and ``merged.json``, by rename, makes
them count. Until then, and after a kill, the views read what they read before. A merge that was interrupted
is found by what it was made from and used again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.faults import faults_told
from pipeline.base.leftovers import clear_half_written
from pipeline.base.locks import Lock, hold_lock
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import digest
from pipeline.base.storage import FORMAT, PAGE_CHECKSUMS, Store, partition
from pipeline.tables.folder_records import Records
from pipeline.tables.manifests import (
    FileEntry,
    ShardManifest,
    adopt_file,
    keep_formats,
    make_entry,
)
from pipeline.tables.merged import (
    LEVELS,
    MERGED_LOCK,
    PARTIALS,
    change_merges,
    find_coverage,
    list_partials,
    mark,
    members_of,
    merged_path,
    read_merged,
    width_of,
)
from pipeline.tables.runs import Merge, MergedRecord, RunRecord, read_run
from pipeline.tables.schema import TABLES
from pipeline.tables.snapshots import write_snapshot
from pipeline.upkeep import merge_queries as queries
from pipeline.warehouse.duck import open_duckdb
from pipeline.warehouse.files import warehouse_uri
from pipeline.warehouse.raw_views import columns_in, quote
from pipeline.warehouse.views import find_view, load_statements

UNITS_AT_ONCE = 1024
"""Units of a layer that are merged in memory at once."""

_ROWS_PER_GROUP = 1 << 15
"""One neuron's rows are found among so many."""

_FORM = 2
"""Of what is kept of the parts: part of what names a merge's files."""


@dataclass(frozen=True)
class MergeSummary:
    """What was merged in a run."""

    merge_count: int
    """Merges that were made, of all levels."""
    shard_count: int
    """Shards that are in a merge now."""


@dataclass(frozen=True)
class _Plan:
    """A merge to be made."""

    level: int
    first: int
    marks: list[str]
    parts: list[FileEntry]
    """Files that it is made from."""
    merged: list[Merge]
    """Merges among its parts."""
    has_parts: bool

    @property
    def made_from(self) -> str:
        return digest([_FORM, self.level, self.first, self.marks])


def merge_run(store: Store, folder: str, progress: ProgressCallback | None = None) -> MergeSummary:
    """Merge the partial statistics of a run, as far as whole groups of shards are done.

    Those that went with a merge that does not hold any more are first made again from stored activations.

    Args:
        store: The warehouse.
        folder: The run's.
        progress: Told of every merge.
    """
    progress, levels = progress or NoProgress(), range(1, LEVELS + 1)
    manifests, run = Records(store, folder).manifests(), read_run(store, folder)
    record = read_merged(store, folder)
    if find_coverage(manifests.values(), record).lost:
        from pipeline.extract.restore import restore_partials  # torch

        if restore_partials(store, folder, progress=progress):
            manifests = Records(store, folder).manifests()
    width = width_of(run, record)
    if not any(_plan(store, folder, manifests, width, level) for level in levels):
        write_snapshot(store, folder)  # a process that was killed may have come so far
        return MergeSummary(0, _count_covered(store, folder, manifests))
    count = 0
    with hold_lock(store, f"{folder}/{MERGED_LOCK}") as lock:
        _clear_leftovers(store, lock, folder)
        with closing(open_duckdb(store)) as connection, faults_told(store.url):
            for statements in load_statements():
                connection.execute(statements)
            for level in levels:
                plans = _plan(store, folder, manifests, width, level)
                progress.start(f"merge statistics, level {level}", len(plans))
                try:
                    for plan in plans:
                        files = _write_merge(connection, store, folder, run, plan)
                        _commit(store, folder, width, plan, files)
                        shards = f"shards {plan.first}..{plan.first + len(plan.marks) - 1}"
                        progress.advance(1, shards)
                        count += 1
                finally:
                    progress.finish()
        write_snapshot(store, folder)
    return MergeSummary(count, _count_covered(store, folder, manifests))


def _count_covered(store: Store, folder: str, manifests: dict[int, ShardManifest]) -> int:
    return len(find_coverage(manifests.values(), read_merged(store, folder)).covered)


def _clear_leftovers(store: Store, lock: Lock, folder: str) -> None:
    """What a killed merge left half-written; its whole files are used again."""
    clear_half_written(store, lock, folder, prefix="merged.json")
    for table in queries.QUERIES:
        for layer in store.list(f"{folder}/{table}") if lock.is_exclusive else ():
            clear_half_written(store, lock, f"{folder}/{table}/{layer}", prefix="merged-")


def _plan(
    store: Store, folder: str, manifests: dict[int, ShardManifest], width: int, level: int
) -> list[_Plan]:
    """What can be merged into this level now, in the order of shards.

    A group is ripe once each of its shards is done or has failed. One that failed and is done later is
    merged into it then.
    """
    record = read_merged(store, folder)
    coverage = find_coverage(manifests.values(), record)
    span = width**level
    plans = []
    for place in range(max(manifests, default=0) // span + 1):
        inside = range(place * span, (place + 1) * span)
        if not all(n in manifests for n in inside):
            continue
        merges = [merge for merge in coverage.merges if merge["first"] // span == place]
        covered = {n for merge in merges for n in members_of(merge)}
        alone = [manifests[n] for n in inside if n not in coverage.covered and mark(manifests[n])]
        if any(merge["level"] > level for merge in merges) or len(merges) + len(alone) < 2:
            continue
        if not all(_is_whole(m) and m["ordinal"] not in coverage.lost for m in alone):
            continue
        made = {merge["made_from"] for merge in merges}
        earlier = [file for file in coverage.files if file.get("made_from") in made]
        parts = keep_formats(earlier, record.get("format", 1) if record else 1)
        for manifest in alone:
            parts += keep_formats(list_partials(manifest), manifest.get("format", 1))
        taken = covered | {manifest["ordinal"] for manifest in alone}
        marks = [mark(manifests[n]) if n in taken else "" for n in inside]
        has_parts = all(merge["has_parts"] for merge in merges)
        plans.append(_Plan(level, inside.start, marks, parts, merges, has_parts))
    return plans


def _is_whole(manifest: ShardManifest) -> bool:
    """Whether a shard has all that is merged, in today's format."""
    files = list_partials(manifest)
    layers = {file.get("layer") for file in files}
    found = {(file["table"], file.get("layer")) for file in files if file.get("checksum")}
    is_today = all(file.get("format", manifest.get("format", 1)) >= 2 for file in files)
    return is_today and found == {(table, layer) for table in PARTIALS for layer in layers}


def _write_merge(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    folder: str,
    run: RunRecord,
    plan: _Plan,
) -> list[FileEntry]:
    """The files of a merge, those of an interrupted attempt among them."""
    files: list[FileEntry] = []
    units = {layer["layer"]: layer["unit_count"] for layer in run["layers"]}
    moments = TABLES["shard_stats"].column_names[1:]
    for layer in sorted({str(file.get("layer")) for file in plan.parts}):
        parts = [file for file in plan.parts if file.get("layer") == layer]
        for table, query in queries.QUERIES.items():
            name = f"merged-{plan.level}-{plan.first:05d}-{plan.made_from}.parquet"
            rel = f"{folder}/{table}/{partition(layer=layer)}/{name}"
            entry = adopt_file(store, table, rel)
            if entry is None:
                asked = query.format(
                    first=plan.first,
                    columns=", ".join(moments),
                    fields=", ".join(f"whole.{name}" for name in moments[1:]),
                    top_k=run["identity"]["top_k"],
                    samples=find_view("stg_samples").body,
                )
                blocks = _ask(connection, parts, units[layer], asked)
                entry = _write(store, table, rel, blocks)
            entry["layer"], entry["made_from"] = layer, plan.made_from
            files.append(entry)
    return files


def _ask(
    connection: duckdb.DuckDBPyConnection, parts: Sequence[FileEntry], unit_count: int, query: str
) -> Iterator[pa.Table]:
    """What a query gives of the files of a layer, some units at a time."""
    for first in range(0, max(1, unit_count), UNITS_AT_ONCE):
        units = f"unit >= {first} and unit < {first + UNITS_AT_ONCE}"
        for table in (*PARTIALS, "merged_samples"):
            files: dict[int, list[str]] = {}
            for file in parts:
                if file["table"] == table:
                    paths = files.setdefault(file.get("format", FORMAT), [])
                    paths.append(quote(warehouse_uri(file["path"])))
            selects = [
                f"select {columns_in(TABLES[table], written)} from "
                f"read_parquet([{', '.join(paths)}], hive_partitioning = false) where {units}"
                for written, paths in files.items()
            ] or [f"select {columns_in(TABLES[table], 0)} where false"]
            connection.execute(
                f"create or replace temp view raw_{table} as "
                "select 0::utinyint as dataset, 0::utinyint as run_id, 0::utinyint as layer, * from "
                f"({' union all by name '.join(selects)})"
            )
        yield connection.sql(query).to_arrow_table()


def _write(store: Store, table: str, rel: str, blocks: Iterator[pa.Table]) -> FileEntry:
    schema = TABLES[table].arrow_schema()
    count = 0

    def write(path: str) -> None:
        nonlocal count
        with pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            use_dictionary=[name for name in schema.names if name != "activation"],
            column_encoding={"activation": "BYTE_STREAM_SPLIT"}
            if "activation" in schema.names
            else None,
            compression_level={"activation": 5} if "activation" in schema.names else None,
            **PAGE_CHECKSUMS,
        ) as writer:
            for block in blocks:
                writer.write_table(
                    block.select(schema.names).cast(schema), row_group_size=_ROWS_PER_GROUP
                )
                count += len(block)

    written = store.write_with(rel, write)
    return make_entry(table, rel, count, written)


def _commit(store: Store, folder: str, width: int, plan: _Plan, files: list[FileEntry]) -> None:
    """Make a merge count, in place of what it was made from, and forget what no longer holds."""
    # anew: where there are no locks another may have written it
    known = read_merged(store, folder) or MergedRecord(
        width=width, merges=[], files=[], retired=[], reserve=[]
    )
    inside = range(plan.first, plan.first + len(plan.marks))
    merge: Merge = {
        "level": plan.level,
        "first": plan.first,
        "marks": plan.marks,
        "made_from": plan.made_from,
        "merged_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "has_parts": plan.has_parts,
    }
    merges = [m for m in known["merges"] if m["first"] not in inside or m["level"] > plan.level]
    reserve = [m for m in known.get("reserve", ()) if m["first"] not in inside]
    if plan.level > 1:
        beside = {one["made_from"]: one for one in known.get("reserve", ())}
        beside |= {one["made_from"]: one for one in plan.merged if one["level"] == 1}
        taken = members_of(merge)
        reserve += [
            one
            for one in beside.values()
            if one["first"] in inside and members_of(one).items() <= taken.items()
        ]
    done = change_merges(known, [*merges, merge], reserve, files)
    store.write_record(merged_path(folder), done, with_copy=True)
