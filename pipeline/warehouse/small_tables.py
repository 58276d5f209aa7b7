"""What a connection holds in memory: the rows of manifests, settings and prompts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.base.settings import LabelSettings
from pipeline.concepts.facets import FACET_PROMPTS
from pipeline.warehouse.inventory import Inventory


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


def create_table(
    connection: duckdb.DuckDBPyConnection, name: str, rows: list[dict[str, Any]], columns: str
) -> None:
    """Make one of them and fill it; it stays empty where there are no rows."""
    connection.execute(f"create table {name} ({columns})")
    names = [column.strip().split()[0].strip('"') for column in columns.split(",")]
    if rows:
        listed = {n: pa.array([_plain(row.get(n)) for row in rows]) for n in names}
        connection.register("rows_to_insert", pa.table(listed))
        connection.execute(f"insert into {name} from rows_to_insert")
        connection.unregister("rows_to_insert")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
