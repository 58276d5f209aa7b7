"""What the views say of a run that is on its way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.warehouse.connect import connect

SHARD_COUNT, SHARD_SIZE = 24, 12


def read_views(folder: Path) -> tuple[int, int]:
    """Number of shards that are done, after checking that the views show them and nothing else."""
    with connect(folder / "warehouse") as connection:

        def ask(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql).fetchall()

        ((done,),) = ask("select count(*) from stg_run_shards where status = 'done'")
        ((examples,),) = ask("select count(*) from image_embeddings")
        assert examples == done * SHARD_SIZE
        ((rows,),) = ask("select count(*) from activations")
        ((positive,),) = ask("select coalesce(sum(positive_count), 0) from raw_shard_stats")
        assert rows == positive
        ((least, most),) = ask(
            "select min(n), max(n) from (select sum(example_count) as n from raw_shard_stats"
            " group by shard_ordinal, unit)"
        )
        assert done == 0 or (least == most == SHARD_SIZE)
    return int(done), int(rows)
