"""Images that an earlier example already showed, found by the hash of their bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.dataset import dataset_folder, read_manifest, shard_file, write_manifest
from pipeline.records import make_entry
from pipeline.schema import TABLES
from pipeline.storage import Store

if TYPE_CHECKING:
    import pyarrow as pa

_MEMORY_LIMIT = "2GB"

# An image is known by its first example: the one among the shards whose duplicates are written
# already, or else the smallest example_id. So a file once written stays true for ever, also when a
# shard that had failed is repaired after later ones were done.
_QUERY = """
with

settled as (
    select examples.image_sha256, examples.example_id
    from settled_examples as examples
    anti join settled_duplicates as duplicates
        on examples.example_id = duplicates.example_id
),

images as (
    select image_sha256, example_id, true as is_settled from settled
    union all
    select image_sha256, example_id, false as is_settled from fresh_examples
),

firsts as (
    select
        image_sha256,
        coalesce(min(example_id) filter (where is_settled), min(example_id)) as duplicate_of,
    from images
    group by image_sha256
    having count(*) > 1
)

select
    fresh_examples.example_id,
    firsts.duplicate_of,
from fresh_examples
inner join firsts
    on fresh_examples.image_sha256 = firsts.image_sha256
where fresh_examples.example_id <> firsts.duplicate_of
order by fresh_examples.example_id
"""


def find_duplicates(store: Store, dataset: str, done: list[int]) -> int:
    """Write ``duplicates`` of every done shard that has none yet; an empty table if none is found.

    Uses at most 2 GB of memory and spills to the system's temporary folder beyond that.

    Args:
        store: The warehouse.
        dataset: Name of the dataset.
        done: Ordinals of the shards whose index is done.

    Returns:
        How many examples of the dataset are duplicates.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    folder = dataset_folder(dataset)
    settled = [ordinal for ordinal in done if _is_noted(store, folder, ordinal)]
    fresh = [ordinal for ordinal in done if ordinal not in set(settled)]
    schema = TABLES["duplicates"].arrow_schema()
    with tempfile.TemporaryDirectory() as spill, _connect(store, spill) as con:
        _create_view(con, store, "settled_duplicates", folder, "duplicates", settled)
        if fresh:
            _create_view(con, store, "settled_examples", folder, "examples", settled)
            _create_view(con, store, "fresh_examples", folder, "examples", fresh)
            con.execute(f"create temp table found as {_QUERY}")
        count = int(con.sql("select count(*) from settled_duplicates").fetchall()[0][0])
        for ordinal in fresh:
            rows = con.sql(
                "select * from found where example_id >> 20 = ? order by example_id",
                params=[ordinal],
            ).to_arrow_table()
            count += rows.num_rows
            table = pa.table(
                {name: pc.cast(rows[name], pa.int64()) for name in schema.names}, schema=schema
            )
            _note(store, folder, ordinal, table)
    return count


def _is_noted(store: Store, folder: str, ordinal: int) -> bool:
    """Whether a shard's manifest names its file; in format 1 the file alone says it."""
    manifest: Mapping[str, Any] = read_manifest(store, folder, ordinal) or {"files": []}
    if any(file["table"] == "duplicates" for file in manifest["files"]):
        return True
    return "format" not in manifest and store.exists(shard_file(folder, "duplicates", ordinal))


def _note(store: Store, folder: str, ordinal: int, table: pa.Table) -> None:
    """Write the file of a shard and name it in the shard's manifest."""
    rel = shard_file(folder, "duplicates", ordinal)
    entry = make_entry("duplicates", rel, table.num_rows, store.write_parquet(rel, table))
    manifest = read_manifest(store, folder, ordinal)
    if manifest is not None:
        others = [file for file in manifest["files"] if file["table"] != "duplicates"]
        write_manifest(store, folder, {**manifest, "files": [*others, entry]})


def _connect(store: Store, spill: str) -> Any:
    import duckdb

    con = duckdb.connect(config={"memory_limit": _MEMORY_LIMIT, "temp_directory": spill})
    con.execute("set autoinstall_known_extensions = false")
    if not store.is_local:
        con.register_filesystem(store.fs)
    return con


def _create_view(
    con: Any, store: Store, view: str, folder: str, table: str, ordinals: list[int]
) -> None:
    """A view over a table's files of some shards; over no file it has the columns and no rows."""
    if not ordinals:
        con.register(view, TABLES[table].arrow_schema().empty_table())
        return
    files = [store.uri(shard_file(folder, table, ordinal)) for ordinal in ordinals]
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    con.execute(f"create temp view {view} as select * from read_parquet([{listed}])")
