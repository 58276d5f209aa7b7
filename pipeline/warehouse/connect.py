"""The one door to a warehouse: a DuckDB connection with every view.

It is an in-memory DuckDB with one view for every SQL file, over exactly the Parquet files that
manifests name. So it never sees a half-written shard, never locks anything, and is safe beside a
running extraction. Marts that ``build`` has written are used as long as nothing they rest on changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.base.errors import NeuronsError, WarehouseError
from pipeline.base.faults import faults_told
from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.base.warn import warn_once
from pipeline.concepts.facets import FACET_PROMPTS
from pipeline.concepts.lexicon import load_lexicon
from pipeline.tables.computed import DERIVED
from pipeline.tables.manifests import BuildRecord, FileEntry
from pipeline.tables.records import read_record
from pipeline.tables.schema import TABLES, Table
from pipeline.warehouse.duck import open_duckdb, restrict
from pipeline.warehouse.files import warehouse_uri
from pipeline.warehouse.inventory import Inventory, take_inventory
from pipeline.warehouse.stale import explain_staleness, note_stale
from pipeline.warehouse.views import MATERIALISED, View, find_view, load_statements, load_views

_HIVE_TYPES = "hive_partitioning = true, hive_types = {%s}"


def connect(
    warehouse: str | Path,
    settings: LabelSettings | None = None,
    use_marts: bool = True,
    unrestricted: bool = False,
) -> duckdb.DuckDBPyConnection:
    """Open a warehouse: a DuckDB connection with all views.

    Safe beside a running extraction: it shows the shards that were done when it was opened. It reads
    the warehouse and no other file, writes none, installs nothing, and its options are locked; tables,
    views and macros of its own are free. What queries cannot hold in memory they spill, see
    `pipeline.warehouse.spill`.

    Args:
        warehouse: Folder or URL.
        settings: Parameters of the labelling views; those of the last ``build`` if None.
        use_marts: Use what ``build`` wrote, if it is up to date; otherwise everything is computed
            from the activations and partials when it is asked for. The answers are the same, but
            for what needs linear algebra (``raw_<name>`` of `computed.DERIVED`): only a build has it.
        unrestricted: All that DuckDB can do: read and write any file, attach, install, set options.

    Raises:
        WarehouseError: There is no dataset, or a file that the views need is damaged.
    """
    store = Store(warehouse)
    inventory = take_inventory(store)
    built = read_build(store)
    settings = settings or (LabelSettings(**built["settings"]) if built else LabelSettings())
    connection = open_views(inventory, settings)
    current = built and built["fingerprint"] == inventory.fingerprint(settings)
    if built and current and has_marts(store, built):
        for name in MATERIALISED:
            if use_marts or name in DERIVED:
                use_mart(connection, store, built["folder"], name)
    elif use_marts:
        built_runs = built.get("runs", {}) if built else None
        note_stale(connection, explain_staleness(inventory, built_runs))
    if not unrestricted:
        restrict(connection)
    return connection


def read_build(store: Store) -> dict[str, Any] | None:
    """What the last build wrote (fingerprint, folder, settings, row counts), or None.

    It speaks of a cache: one that cannot be read is passed over with a word.
    """
    if not store.exists("marts/build.json"):
        return None
    try:
        built: dict[str, Any] = {**read_record(store, "marts/build.json", BuildRecord)}
        known = asdict(LabelSettings())  # another version may have had others
        settings = {k: v for k, v in built["settings"].items() if k in known}
        check_settings(settings, store.uri("marts/build.json"))
    except NeuronsError as error:
        warn_once(
            f"{error.message} It only says what neurons build made: everything is computed "
            "anew until neurons build has run again."
        )
        return None
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    return built | {"settings": settings}


def check_settings(settings: dict[str, Any], place: str) -> None:
    """Refuse settings of other kinds than ours.

    Raises:
        WarehouseError: Names the place and the setting.
    """
    kinds = {f.name: f.default for f in fields(LabelSettings)}
    for name, value in settings.items():
        default = kinds[name]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = {
            bool: isinstance(value, bool),
            int: isinstance(value, int) and is_number and abs(value) < 1 << 31,
            float: is_number and abs(value) < 1 << 63,
            str: isinstance(value, str),
            tuple: isinstance(value, list | tuple) and all(isinstance(v, str) for v in value),
        }
        if not fits.get(type(default), True):
            raise WarehouseError(
                f"{place} is not what we write there: settings.{name} is {value!r}."
            )


def last_settings(warehouse: str | Path) -> LabelSettings:
    """The settings of the last build; the defaults if there was none."""
    built = read_build(Store(warehouse))
    return LabelSettings(**built["settings"]) if built else LabelSettings()


def has_marts(store: Store, built: dict[str, Any]) -> bool:
    """Whether every file of a build is there, whole."""
    paths = {f"{built['folder']}/{name}.parquet": built["bytes"].get(name) for name in MATERIALISED}
    return all(store.exists(p) and store.size(p) == size for p, size in paths.items())


def open_views(inventory: Inventory, settings: LabelSettings) -> duckdb.DuckDBPyConnection:
    """A connection with every view over the files of an inventory; nothing from a build.

    Raises:
        WarehouseError: A file is damaged.
    """
    connection = open_duckdb(inventory.store)
    for name, rows, columns in small_tables(inventory, settings):
        _create_table(connection, name, rows, columns)
    connection.register("lexicon_file", load_lexicon())
    connection.execute("create table lexicon as from lexicon_file")
    connection.unregister("lexicon_file")
    raw = [
        raw_view(inventory, table, warehouse_uri)
        for table in TABLES.values()
        if table.name != "compact"
    ]
    raw += [empty_view(table) for table in DERIVED.values()]
    with faults_told(inventory.store.url):
        for statements in [*raw, *load_statements()]:
            connection.execute(statements)
        connection.execute(";\n".join(map(empty_of, load_views())))
        for view in reversed(load_views()):
            connection.execute(f"create or replace view {view.name} as\n{view.body}")
            _comment(connection, view)
    return connection


def small_tables(
    inventory: Inventory, settings: LabelSettings
) -> Iterator[tuple[str, list[dict[str, Any]], str]]:
    """Name, rows and column definitions of the tables that are made anew in every connection."""
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
        "is_random boolean, image_activation varchar, text_activation varchar, "
        "image_height_px integer, image_width_px integer, image_mean double[], "
        "image_std double[], interpolation varchar, resize_mode varchar, "
        "preprocess varchar, precision varchar, activation_dtype varchar, "
        "top_k bigint, layers varchar[], versions varchar, is_compacted boolean, "
        "created_at timestamptz",
    )
    yield (
        "raw_layers",
        inventory.layers,
        "dataset varchar, run_id varchar, model_id varchar, layer varchar, layer_path varchar, "
        "point varchar, pooling varchar, tower varchar, module_kind varchar, unit_count integer, "
        "is_rectified boolean, store varchar, presets varchar[]",
    )
    yield (
        "raw_run_shards",
        inventory.run_shards,
        "dataset varchar, run_id varchar, shard_ordinal integer, status varchar, error varchar, "
        "read_count bigint, written_count bigint, rejected_count bigint, canonical_count bigint, "
        "read_s double, decode_s double, forward_s double, write_s double, wall_s double, "
        "file_bytes bigint, "
        "written_at timestamptz",
    )
    yield (
        "raw_class_sets",
        inventory.class_sets,
        "dataset varchar, run_id varchar, class_set varchar, classes varchar[], "
        "templates varchar[], logit_scale double, example_count bigint, created_at timestamptz",
    )
    yield (
        "raw_files",
        [dict(file) for file in inventory.files],
        '"table" varchar, path varchar, layer varchar, row_count bigint, bytes bigint',
    )
    yield (
        "facet_prompts",
        [{"facet": facet, "prompt": prompt} for facet, prompt in FACET_PROMPTS.items()],
        "facet varchar, prompt varchar",
    )
    yield (
        "settings",
        [asdict(settings)],
        "label_top_k integer, label_max_q double, label_min_count integer, "
        "concept_min_count integer, label_origins varchar[], label_null_repeats integer, "
        "similarity_min_score double, facet_min_count integer, facet_min_auroc double, "
        "facet_max_p double, default_language varchar, text_kinds varchar[], "
        "sd_bin_width double, sd_bin_offset double",
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


def raw_view(inventory: Inventory, table: Table, uri: Callable[[str], str]) -> str:
    """SQL of ``raw_<table>``: the files that manifests name, or no rows at all.

    Args:
        inventory: Which files there are.
        table: Which table.
        uri: How DuckDB will find a file, from its path relative to the warehouse.
    """
    parts = _scans(inventory.files_of(table.name), table, uri, "")
    if table.name == "activations":
        unranked = ", null::bigint as rank2, false as is_ranked"
        parts = _scans(inventory.files_of(table.name), table, uri, unranked)
        parts += _scans(inventory.files_of("compact"), table, uri, ", rank2, true as is_ranked")
        if not parts:
            return empty_view(table, "null::bigint as rank2", "null::boolean as is_ranked")
    if not parts:
        return empty_view(table)
    body = "\nunion all by name\n".join(parts)
    return f"create view raw_{table.name} as\n{body}"


def empty_view(table: Table, *more: str) -> str:
    """SQL of ``raw_<table>`` without rows."""
    columns = [f"null::varchar as {name}" for name in table.partitions]
    columns += [f"null::{c.duckdb} as {c.name}" for c in table.columns]
    return f"create view raw_{table.name} as\nselect {', '.join([*columns, *more])} where false"


def _scans(
    files: list[FileEntry], table: Table, uri: Callable[[str], str], extra: str
) -> list[str]:
    """One scan for each run and format: within these all files of a table have the same columns.

    So DuckDB reads the schema of the first file alone; to unite schemas it would open every file.
    """
    hive = _HIVE_TYPES % ", ".join(f"{name}: varchar" for name in table.partitions)
    groups: dict[tuple[str, int], list[str]] = {}
    for file in files:
        run = "/".join(file["path"].split("/")[: len(table.partitions[:2])])
        groups.setdefault((run, file["format"]), []).append(quote(uri(file["path"])))
    return [
        f"select {_columns(table, written)}{extra} from read_parquet([\n{_lines(paths)}], {hive})"
        for (_, written), paths in groups.items()
    ]


def _columns(table: Table, written: int) -> str:
    """The columns of a table in files of a format; null for those that came later."""
    columns = [
        c.name if c.since <= written else f"null::{c.duckdb} as {c.name}" for c in table.columns
    ]
    return ", ".join([*table.partitions, *columns])


def _lines(items: list[str]) -> str:
    return ",\n".join(items)


def empty_of(view: View) -> str:
    """SQL of a view with the columns that its header states, and no rows.

    DuckDB expands all that a view reads when the view is created, so from the bottom up the cost
    multiplies. Put empty ones in place first, then the real ones from the top down: each expands
    only these.
    """
    columns = ", ".join(f"null::{column.type} as {column.name}" for column in view.columns)
    return f"create view {view.name} as select {columns} where false"


def _comment(connection: duckdb.DuckDBPyConnection, view: View) -> None:
    text = quote(f"{view.purpose} Grain: {view.grain}.")
    statements = [f"comment on view {view.name} is {text}"]
    for column in view.columns:
        unit = f" [{column.unit}]" if column.unit else ""
        where = f"{view.name}.{column.name}"
        statements.append(f"comment on column {where} is {quote(column.meaning + unit)}")
    connection.execute(";\n".join(statements))


def use_mart(connection: duckdb.DuckDBPyConnection, store: Store, folder: str, name: str) -> None:
    """Answer a view from the Parquet that a build wrote."""
    file = quote(warehouse_uri(f"{folder}/{name}.parquet"))
    view = f"raw_{name}" if name in DERIVED else name
    connection.execute(f"create or replace view {view} as from read_parquet({file})")
    if name not in DERIVED:
        _comment(connection, find_view(name))  # replacing a view drops its comments
