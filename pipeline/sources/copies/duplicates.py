"""Images that an earlier example already showed: the same file, or a copy of it (``near``).

A shard whose duplicates are not marked yet is not visible: marking it is the last step of its ingest. So
nothing is ever counted twice between the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.base.storage import Store
from pipeline.sources.copies.near import find_near
from pipeline.tables.datasets import dataset_folder
from pipeline.tables.manifest_files import (
    is_marked,
    read_manifest,
    shard_file,
    write_manifest,
)
from pipeline.tables.manifests import ShardManifest, keep_formats, make_entry
from pipeline.tables.schema import TABLES
from pipeline.warehouse.files import warehouse_uri

_MEMORY_LIMIT = "2GB"

# An image is known by its first example: the one among the shards that are marked already, or else
# the smallest example_id. So a file once written stays true for ever, also when a shard that had
# failed is repaired after later ones were done.
_TWINS = """
create table twins as
with

images as (
    select image_sha256, example_id, true as is_settled from settled_examples
    union all
    select image_sha256, example_id, false as is_settled from fresh_examples
),

firsts as (
    select
        image_sha256,
        coalesce(min(example_id) filter (where is_settled), min(example_id)) as twin,
    from images
    group by image_sha256
    having count(*) > 1
)

select fresh_examples.example_id, firsts.twin,
from fresh_examples
inner join firsts using (image_sha256)
where fresh_examples.example_id <> firsts.twin
"""

# Copies are looked for among different files. What other shards name as their first stays a first,
# also if its own shard has to be marked again.
_NODES = """
create table nodes as
select
    fingerprints.example_id,
    fingerprints.hash_1,
    fingerprints.hash_2,
    fingerprints.hash_3,
    fingerprints.hash_4,
    fingerprints.hash_5,
    fingerprints.is_fresh,
    marks.example_id is null as may_lead,
    pinned.example_id is null as may_follow,
from fingerprints
left join settled_duplicates as marks using (example_id)
left join (select distinct duplicate_of as example_id from settled_duplicates) as pinned
    using (example_id)
anti join twins on fingerprints.example_id = twins.example_id
where coalesce(marks.copy_kind, 'identical') <> 'identical' or marks.example_id is null
"""

# The twin of an image that is a copy itself is a copy of the same kind.
_FOUND = """
create table found as
with

marks as (
    select example_id, duplicate_of, coalesce(copy_kind, 'identical') as copy_kind
    from settled_duplicates
    union all
    select example_id, duplicate_of, copy_kind from near
),

images as (
    select example_id, image_sha256 from settled_examples
    union all
    select example_id, image_sha256 from fresh_examples
),

marked as (
    select example_id, duplicate_of, copy_kind from near
    union all
    select
        twins.example_id,
        coalesce(marks.duplicate_of, twins.twin) as duplicate_of,
        coalesce(marks.copy_kind, 'identical') as copy_kind,
    from twins
    left join marks on twins.twin = marks.example_id
)

select
    marked.example_id,
    marked.duplicate_of,
    marked.copy_kind,
    images.image_sha256 as first_sha256,
from marked
inner join images on marked.duplicate_of = images.example_id
where marked.example_id <> marked.duplicate_of
"""


def find_duplicates(store: Store, dataset: str, done: Sequence[int]) -> int:
    """Write ``duplicates`` of every done shard that has none yet, and name it in the shard's manifest.

    Uses at most 2 GB of memory and spills beyond that.

    Args:
        store: The warehouse.
        dataset: Name of the dataset.
        done: Ordinals of the shards whose index is done.

    Returns:
        How many examples of the dataset are duplicates.
    """
    from pipeline.warehouse.duck import open_duckdb

    folder = dataset_folder(dataset)
    manifests = {n: m for n in done if (m := read_manifest(store, folder, n)) is not None}
    files = set(store.list(f"{folder}/duplicates", ".parquet"))
    settled = [
        n
        for n, manifest in manifests.items()
        if is_marked(store, folder, manifest) and f"{n:05d}.parquet" in files
    ]
    fresh = [n for n in manifests if n not in set(settled)]
    with open_duckdb(store, _MEMORY_LIMIT) as con:
        _create_view(con, folder, "duplicates", "settled_duplicates", settled)
        if fresh:
            _create_view(con, folder, "examples", "settled_examples", settled)
            _create_view(con, folder, "examples", "fresh_examples", fresh)
            for name, ordinals in (("settled", settled), ("fresh", fresh)):
                there = [n for n in ordinals if _has_table(manifests[n], "fingerprints")]
                _create_view(con, folder, "fingerprints", f"{name}_fingerprints", there)
            con.execute(
                "create view fingerprints as select *, false as is_fresh from settled_fingerprints "
                "union all select *, true as is_fresh from fresh_fingerprints"
            )
            con.execute(_TWINS)
            con.execute(_NODES)
            find_near(con)
            con.execute(_FOUND)
        count = int(con.sql("select count(*) from settled_duplicates").fetchall()[0][0])
        for ordinal in fresh:
            count += _mark(con, store, folder, manifests[ordinal])
    return count


def _mark(con: Any, store: Store, folder: str, manifest: ShardManifest) -> int:
    """Write the duplicates of a shard, then name them in its manifest: from here on it is visible."""
    ordinal = manifest["ordinal"]
    rows = con.sql(
        "select * from found where example_id >> 20 = ? order by example_id", params=[ordinal]
    ).to_arrow_table()
    table = rows.cast(TABLES["duplicates"].arrow_schema())
    rel = shard_file(folder, "duplicates", ordinal)
    entry = make_entry("duplicates", rel, table.num_rows, store.write_parquet(rel, table))
    others = [file for file in manifest["files"] if file["table"] != "duplicates"]
    others = keep_formats(others, manifest.get("format", 1))
    write_manifest(store, folder, {**manifest, "files": [*others, entry]})
    return int(table.num_rows)


def _has_table(manifest: ShardManifest, table: str) -> bool:
    return any(file["table"] == table for file in manifest["files"])


def _create_view(con: Any, folder: str, table: str, view: str, ordinals: Sequence[int]) -> None:
    """A view over a table's files of some shards; columns that older files lack are null."""
    columns = ", ".join(f"null::{c.duckdb} as {c.name}" for c in TABLES[table].columns)
    body = f"select {columns} where false"
    if ordinals:
        files = [warehouse_uri(shard_file(folder, table, ordinal)) for ordinal in ordinals]
        listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        body += (
            f" union all by name select * from read_parquet([{listed}], union_by_name = true, "
            "hive_partitioning = false)"
        )
    con.execute(f"create view {view} as {body}")
