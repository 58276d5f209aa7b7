"""The index of a run, held in memory while its marts are made: most of them ask it, and some several times.

From the files each question costs two openings a shard: of 8,000 images in 100 shards that was half of all
openings of a build.
"""

from __future__ import annotations

import duckdb

HELD = {
    "stg_examples": "dataset, example_id, image_sha256, duplicate_of, copy_kind, half",
    "stg_run_examples": "*",
    "stg_stimuli": "*",
}
"""Views, and the columns of them that marts are made from. Another column is an error of the query then."""


def hold_index(connection: duckdb.DuckDBPyConnection) -> None:
    """Answer some views from memory from now on.

    Args:
        connection: Over the data of a part, which must not change.
    """
    connection.execute("create schema held")
    for view, columns in HELD.items():
        connection.execute(f"create table held.{view} as select {columns} from {view}")
        connection.execute(f"create or replace view {view} as from held.{view}")
