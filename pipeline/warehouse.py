"""The one door to a warehouse: connect, build, check.

A connection is an in-memory DuckDB with one view for every SQL file, over exactly the Parquet files that
manifests name. So it never sees a half-written shard, never locks anything, and is safe beside a
running extraction. Marts that ``build`` has written are used as long as nothing they rest on changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import LabelSettings, digest
from pipeline.dataset import dataset_folder, list_datasets, read_dataset, read_manifest, shard_file
from pipeline.errors import StorageError, WarehouseError
from pipeline.labels.lexicon import load_lexicon
from pipeline.progress import NoProgress, ProgressCallback
from pipeline.schema import TABLES, Table
from pipeline.storage import Store
from pipeline.views import MATERIALISED, View, load_statements, load_views

MEMORY_LIMIT = "4GB"
"""DuckDB's limit; beyond it, queries spill to disk."""

_HIVE_TYPES = "hive_partitioning = true, hive_types = {%s}, union_by_name = true"


@dataclass
class Inventory:
    """All that manifests say of a warehouse: the rows of the small tables, and the files."""

    store: Store
    shards: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)
    run_shards: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)

    def paths(self, table: str) -> list[str]:
        """Files of one table, relative to the warehouse."""
        return [file["path"] for file in self.files if file["table"] == table]

    def fingerprint(self, settings: LabelSettings) -> str:
        """Changes whenever the data, the SQL or the settings do."""
        sql = [view.body for view in load_views()] + list(load_statements())
        rest = [file for file in self.files if file["table"] not in ("activations", "compact")]
        files = sorted((file["path"], file["row_count"], file["bytes"]) for file in rest)
        runs = [{k: v for k, v in run.items() if k != "is_compacted"} for run in self.runs]
        return digest([files, runs, self.run_shards, sql, _lexicon_digest(), asdict(settings)])


def _lexicon_digest() -> str:
    file = Path(__file__).parent / "labels" / "lexicon.csv"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def take_inventory(store: Store) -> Inventory:
    """Read all manifests.

    Raises:
        WarehouseError: There is no dataset at all.
    """
    inventory = Inventory(store)
    names = list_datasets(store)
    if not names:
        raise WarehouseError(
            f"There is no dataset in {store.url}.",
            "Make one with: neurons ingest SOURCE PATH --warehouse DIR --dataset NAME, "
            "or see one with: neurons demo",
        )
    for name in names:
        _add_dataset(inventory, name)
    return inventory


def _add_dataset(inventory: Inventory, name: str) -> None:
    store, folder = inventory.store, dataset_folder(name)
    dataset = read_dataset(store, name)
    for shard in dataset.shards:
        manifest = read_manifest(store, folder, shard.ordinal) or {"status": "pending"}
        counts = {
            key: manifest.get(key, 0) for key in ("read_count", "written_count", "rejected_count")
        }
        inventory.shards.append(
            {
                "dataset": name,
                "source": dataset.source,
                "shard_ordinal": shard.ordinal,
                "shard": shard.name,
                "url": shard.url,
                "size_bytes": shard.size_bytes,
                "status": manifest["status"],
                "error": manifest.get("error"),
                **counts,
            }
        )
        inventory.files += manifest.get("files", [])
        duplicates = shard_file(folder, "duplicates", shard.ordinal)
        if manifest["status"] == "done" and store.exists(duplicates):
            entry = {"table": "duplicates", "path": duplicates, "row_count": -1, "bytes": -1}
            inventory.files.append(entry)
    for run_folder in store.list(folder):
        if run_folder.startswith("run_id=") and store.exists(f"{folder}/{run_folder}/run.json"):
            _add_run(inventory, name, f"{folder}/{run_folder}")


def _add_run(inventory: Inventory, dataset: str, folder: str) -> None:
    store = inventory.store
    record = store.read_json(f"{folder}/run.json")
    identity, run_id, model_id = record["identity"], record["run_id"], record["model"]["model_id"]
    manifests = [
        store.read_json(f"{folder}/manifests/{name}")
        for name in store.list(f"{folder}/manifests", ".json")
    ]
    done = sorted(m["ordinal"] for m in manifests if m["status"] == "done")
    compact = f"{folder}/compact.json"
    compacted: dict[str, Any] = (
        store.read_json(compact) if store.exists(compact) else {"ordinals": None, "files": []}
    )
    is_compacted = bool(done) and compacted["ordinals"] == done
    for manifest in manifests:
        files = manifest["files"]
        inventory.run_shards.append(
            {
                "dataset": dataset,
                "run_id": run_id,
                "shard_ordinal": manifest["ordinal"],
                **{k: manifest[k] for k in ("status", "error", "read_count", "written_count")},
                **{k: manifest[k] for k in ("rejected_count", "canonical_count", "written_at")},
                **{f"{k}_s": manifest["seconds"].get(k) for k in ("read", "decode", "write")},
                "file_bytes": sum(file["bytes"] for file in files),
            }
        )
        inventory.files += [
            file for file in files if not (is_compacted and file["table"] == "activations")
        ]
    inventory.files += compacted["files"] if is_compacted else []
    inventory.runs.append(
        {
            "dataset": dataset,
            "run_id": run_id,
            "model_id": model_id,
            "weights_sha256": identity["weights_sha256"],
            "is_random": record["model"]["is_random"],
            **{k: identity[k] for k in ("preprocess", "precision", "activation_dtype", "top_k")},
            "layers": identity["layers"],
            "versions": json.dumps(record["versions"]),
            "is_compacted": is_compacted,
            "created_at": record["created_at"],
        }
    )
    for layer in record["layers"]:
        row = {key: value for key, value in layer.items() if key != "path"}
        row |= {"dataset": dataset, "run_id": run_id, "model_id": model_id}
        inventory.layers.append(row | {"layer_path": layer["path"]})


def connect(
    warehouse: str | Path, settings: LabelSettings | None = None, use_marts: bool = True
) -> duckdb.DuckDBPyConnection:
    """Open a warehouse: a DuckDB connection with all views.

    Read-only as far as the warehouse goes, and safe beside a running extraction: it shows the shards
    that were done when it was opened.

    Args:
        warehouse: Folder or URL.
        settings: Parameters of the labelling views; those of the last ``build`` if None.
        use_marts: Use what ``build`` wrote, if it is up to date; otherwise everything is computed
            from the activations and partials when it is asked for. The answers are the same.

    Raises:
        WarehouseError: There is no dataset, or a file that the views need is damaged.
    """
    store = Store(warehouse)
    inventory = take_inventory(store)
    built = _read_build(store)
    settings = settings or (LabelSettings(**built["settings"]) if built else LabelSettings())
    connection = _open(inventory, settings)
    if use_marts and built and built["fingerprint"] == inventory.fingerprint(settings):
        for name in MATERIALISED:
            _use_mart(connection, store, built["folder"], name)
    return connection


def _read_build(store: Store) -> dict[str, Any] | None:
    if not store.exists("marts/build.json"):
        return None
    built: dict[str, Any] = store.read_json("marts/build.json")
    built["settings"]["text_kinds"] = tuple(built["settings"]["text_kinds"])
    return built


def _open(inventory: Inventory, settings: LabelSettings) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        config={
            "memory_limit": MEMORY_LIMIT,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
    )
    connection.execute("set enable_progress_bar = false; set timezone = 'UTC'")
    if not inventory.store.is_local:
        connection.register_filesystem(inventory.store.fs)
    for name, rows, columns in _small_tables(inventory, settings):
        _create_table(connection, name, rows, columns)
    connection.register("lexicon_file", load_lexicon())
    connection.execute("create table lexicon as from lexicon_file")
    connection.unregister("lexicon_file")
    raw = [raw_view(inventory, table) for table in TABLES.values() if table.name != "compact"]
    try:
        for statements in [*raw, *load_statements()]:
            connection.execute(statements)
        for view in load_views():
            connection.execute(f"create view {view.name} as\n{view.body}")
            _comment(connection, view)
    except duckdb.Error as error:
        raise explain_damage(error, inventory.store.url) from error
    return connection


def _small_tables(
    inventory: Inventory, settings: LabelSettings
) -> Iterable[tuple[str, list[dict[str, Any]], str]]:
    yield (
        "raw_shards",
        inventory.shards,
        "dataset varchar, source varchar, shard_ordinal integer, shard varchar, url varchar, "
        "size_bytes bigint, status varchar, error varchar, read_count bigint, "
        "written_count bigint, rejected_count bigint",
    )
    yield (
        "raw_runs",
        inventory.runs,
        "dataset varchar, run_id varchar, model_id varchar, weights_sha256 varchar, "
        "is_random boolean, preprocess varchar, precision varchar, activation_dtype varchar, "
        "top_k bigint, layers varchar[], versions varchar, is_compacted boolean, "
        "created_at timestamptz",
    )
    yield (
        "raw_layers",
        inventory.layers,
        "dataset varchar, run_id varchar, model_id varchar, layer varchar, layer_path varchar, "
        "point varchar, pooling varchar, tower varchar, module_kind varchar, unit_count integer, "
        "is_rectified boolean, store varchar",
    )
    yield (
        "raw_run_shards",
        inventory.run_shards,
        "dataset varchar, run_id varchar, shard_ordinal integer, status varchar, error varchar, "
        "read_count bigint, written_count bigint, rejected_count bigint, canonical_count bigint, "
        "read_s double, decode_s double, write_s double, file_bytes bigint, "
        "written_at timestamptz",
    )
    yield (
        "raw_files",
        inventory.files,
        '"table" varchar, path varchar, layer varchar, row_count bigint, bytes bigint',
    )
    yield (
        "settings",
        [asdict(settings)],
        "label_top_k integer, label_max_q double, label_min_count integer, "
        "concept_min_count integer, default_language varchar, text_kinds varchar[], "
        "half_seed integer",
    )


def _create_table(
    connection: duckdb.DuckDBPyConnection, name: str, rows: list[dict[str, Any]], columns: str
) -> None:
    connection.execute(f"create table {name} ({columns})")
    names = [column.strip().split()[0].strip('"') for column in columns.split(",")]
    if rows:
        listed = {n: pa.array([_plain(row.get(n)) for row in rows]) for n in names}
        connection.register("rows_to_insert", pa.table(listed))
        connection.execute(f"insert into {name} from rows_to_insert")
        connection.unregister("rows_to_insert")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def raw_view(inventory: Inventory, table: Table) -> str:
    """SQL of ``raw_<table>``: the files that manifests name, or no rows at all."""
    parts = [_scan(inventory, table, table.name, extra="")]
    if table.name == "activations":
        parts = [
            _scan(inventory, table, "activations", extra=", null::bigint as rank2"),
            _scan(inventory, table, "compact", extra=", rank2"),
        ]
    body = "\nunion all by name\n".join(part for part in parts if part)
    if not body:
        columns = [f"null::varchar as {name}" for name in table.partitions]
        columns += [f"null::{c.duckdb} as {c.name}" for c in table.columns]
        columns += ["null::bigint as rank2"] if table.name == "activations" else []
        body = f"select {', '.join(columns)} where false"
    return f"create view raw_{table.name} as\n{body}"


def _scan(inventory: Inventory, table: Table, files_of: str, extra: str) -> str:
    paths = inventory.paths(files_of)
    if not paths:
        return ""
    listed = ",\n".join(quote(inventory.store.uri(path)) for path in paths)
    hive = _HIVE_TYPES % ", ".join(f"{name}: varchar" for name in table.partitions)
    columns = ", ".join([*table.partitions, *table.column_names])
    return f"select {columns}{extra} from read_parquet([\n{listed}], {hive})"


def _comment(connection: duckdb.DuckDBPyConnection, view: View) -> None:
    text = quote(f"{view.purpose} Grain: {view.grain}.")
    statements = [f"comment on view {view.name} is {text}"]
    for column in view.columns:
        unit = f" [{column.unit}]" if column.unit else ""
        where = f"{view.name}.{column.name}"
        statements.append(f"comment on column {where} is {quote(column.meaning + unit)}")
    connection.execute(";\n".join(statements))


def _use_mart(connection: duckdb.DuckDBPyConnection, store: Store, folder: str, name: str) -> None:
    file = quote(store.uri(f"{folder}/{name}.parquet"))
    connection.execute(f"create or replace view {name} as from read_parquet({file})")
    view = next(view for view in load_views() if view.name == name)
    _comment(connection, view)  # replacing a view drops its comments


def explain_damage(error: duckdb.Error, place: str) -> WarehouseError:
    """Say what a failing read means: which file is damaged and how to have it made again."""
    text = str(error).strip().splitlines()[0]
    return WarehouseError(
        f"A file of {place} cannot be read: {text}",
        "List damaged files with: neurons check. Delete the manifest (manifests/NNNNN.json) beside "
        "each, and run the same ingest or extract again: it makes just those shards anew.",
    )


@dataclass(frozen=True)
class BuildSummary:
    """What a build wrote."""

    row_counts: dict[str, int]
    was_current: bool
    """Nothing had changed since the last build, so nothing was done."""


def build(
    warehouse: str | Path,
    settings: LabelSettings | None = None,
    progress: ProgressCallback | None = None,
) -> BuildSummary:
    """Write the expensive marts as Parquet, and ``views.sql`` for the plain DuckDB shell.

    Raises:
        WarehouseError: There is nothing to build from.
    """
    store, progress = Store(warehouse), progress or NoProgress()
    inventory = take_inventory(store)
    built = _read_build(store)
    settings = settings or (LabelSettings(**built["settings"]) if built else LabelSettings())
    fingerprint = inventory.fingerprint(settings)
    if built and built["fingerprint"] == fingerprint:
        return BuildSummary(built["row_counts"], was_current=True)
    folder = f"marts/{fingerprint}"
    store.write_parquet("marts/lexicon.parquet", load_lexicon())
    row_counts = {}
    with _open(inventory, settings) as connection:
        progress.start("build", len(MATERIALISED))
        try:
            for name in MATERIALISED:
                row_counts[name] = _materialise(connection, store, folder, name)
                progress.advance(1, f"{name}: {row_counts[name]} rows")
        finally:
            progress.finish()
    store.write_json(
        "marts/build.json",
        {
            "fingerprint": fingerprint,
            "folder": folder,
            "settings": asdict(settings),
            "row_counts": row_counts,
        },
    )
    script = write_views_script(inventory, settings, folder).encode()
    store.write_with("views.sql", lambda path: Path(path).write_bytes(script))
    _drop_old_marts(store, keep={folder, built["folder"] if built else folder})
    return BuildSummary(row_counts, was_current=False)


def _materialise(
    connection: duckdb.DuckDBPyConnection, store: Store, folder: str, name: str
) -> int:
    view = next(view for view in load_views() if view.name == name)
    order = f" order by {', '.join(view.key)}" if view.key else ""

    def copy(path: str) -> None:
        try:
            connection.execute(
                f"copy (from {name}{order}) to {quote(path)} (format parquet, compression zstd)"
            )
        except duckdb.Error as error:
            if "No space left" in str(error):
                raise StorageError(
                    f"The disk is full: {name} could not be written.",
                    "Free some space and run neurons build again.",
                ) from error
            raise explain_damage(error, store.url) from error

    rel = f"{folder}/{name}.parquet"
    store.write_with(rel, copy)
    _use_mart(connection, store, folder, name)
    with store.open(rel) as file:
        return int(pq.read_metadata(file).num_rows)


def _drop_old_marts(store: Store, keep: set[str]) -> None:
    """Remove marts of earlier builds, except the last: open connections may still read it."""
    for name in store.list("marts"):
        if "." not in name and f"marts/{name}" not in keep:
            store.fs.rm(store.path(f"marts/{name}"), recursive=True)


def write_views_script(inventory: Inventory, settings: LabelSettings, folder: str) -> str:
    """SQL that makes the same views without us: ``duckdb -init views.sql``, from the warehouse."""
    out = ["-- Made by neurons build. Use it from this folder: duckdb -init views.sql"]
    for name, rows, columns in _small_tables(inventory, settings):
        out.append(f"create or replace table {name} ({columns});")
        names = [column.strip().split()[0].strip('"') for column in columns.split(",")]
        out += [
            f"insert into {name} values ({', '.join(_literal(r.get(n)) for n in names)});"
            for r in rows
        ]
    out.append("create or replace table lexicon as from 'marts/lexicon.parquet';")
    local = Inventory(_Relative(), files=inventory.files)  # type: ignore[arg-type]
    for table in TABLES.values():
        if table.name != "compact":
            out.append(
                raw_view(local, table).replace("create view", "create or replace view") + ";"
            )
    out += list(load_statements())
    for view in load_views():
        body = view.body
        if view.name in MATERIALISED:
            body = f"from read_parquet({quote(f'{folder}/{view.name}.parquet')})"
        out.append(f"create or replace view {view.name} as\n{body};")
    return "\n".join(out) + "\n"


class _Relative:
    def uri(self, rel: str) -> str:
        return rel


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_literal(item) for item in value)}]"
    return quote(str(value))


@dataclass(frozen=True)
class CheckResult:
    """One check and the rows that violate it."""

    name: str
    purpose: str
    is_warning: bool
    violation_count: int
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    """The first twenty."""


def check(warehouse: str | Path, progress: ProgressCallback | None = None) -> list[CheckResult]:
    """Run every check view, and compare every file with what its manifest says.

    Raises:
        WarehouseError: There is no dataset.
    """
    store, progress = Store(warehouse), progress or NoProgress()
    inventory = take_inventory(store)
    views = [view for view in load_views() if view.layer == "check"]
    progress.start("check", len(views) + 1)
    try:
        files = check_files(inventory)
        progress.advance(1, f"check_files: {files.violation_count} violations")
        results = [files]
        if files.violation_count:
            return results  # the views cannot be trusted, or not even opened
        with connect(warehouse) as connection:
            for view in views:
                results.append(_run_check(connection, view, store.url))
                progress.advance(1, f"{view.name}: {results[-1].violation_count} violations")
    finally:
        progress.finish()
    return results


def _run_check(connection: duckdb.DuckDBPyConnection, view: View, place: str) -> CheckResult:
    try:
        result = connection.execute(
            f"select *, count(*) over () as violation_count from {view.name} limit 20"
        )
        names = tuple(column[0] for column in result.description)[:-1]
        rows = result.fetchall()
    except duckdb.Error as error:
        raise explain_damage(error, place) from error
    count = int(rows[0][-1]) if rows else 0
    return CheckResult(
        view.name,
        view.purpose,
        view.name.startswith("warn_"),
        count,
        names,
        tuple(tuple(row[:-1]) for row in rows),
    )


def check_files(inventory: Inventory) -> CheckResult:
    """Files that a manifest names and that are gone, damaged, or hold another number of rows."""
    bad: list[tuple[str, str]] = []
    for file in inventory.files:
        problem = _file_problem(inventory.store, file)
        if problem:
            bad.append((file["path"], problem))
    return CheckResult(
        "check_files",
        "Files that a manifest names and that are gone, damaged or of another size.",
        False,
        len(bad),
        ("path", "problem"),
        tuple(bad[:20]),
    )


def _file_problem(store: Store, file: dict[str, Any]) -> str:
    path = file["path"]
    if not store.exists(path):
        return "is gone"
    size = store.size(path)
    if file["bytes"] >= 0 and size != file["bytes"]:
        return f"has {size} bytes, the manifest says {file['bytes']}"
    try:
        with store.open(path) as stream:
            rows = pq.read_metadata(stream).num_rows
    except (pa.ArrowInvalid, OSError) as error:
        return f"is not readable Parquet: {error}"
    if file["row_count"] >= 0 and rows != file["row_count"]:
        return f"has {rows} rows, the manifest says {file['row_count']}"
    return ""


def run_violations(results: Sequence[CheckResult]) -> int:
    """Violations of checks that are not mere warnings."""
    return sum(result.violation_count for result in results if not result.is_warning)
