"""A warehouse of given numbers: a matrix of activations, and what each image shows."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from pipeline.warehouse.views import find_view, load_statements

TABLES = {
    "lexicon_phrases": "concept varchar, category varchar",
    "stg_runs": "dataset varchar, run_id varchar, model_id varchar, is_compacted boolean",
    "stg_examples": "dataset varchar, example_id bigint, half varchar",
    "stg_run_examples": "dataset varchar, run_id varchar, model_id varchar, example_id bigint, "
    "is_duplicate boolean",
    "stg_layers": "dataset varchar, model_id varchar, run_id varchar, layer varchar, "
    "unit_count integer, tower varchar",
    "stg_activations": "dataset varchar, run_id varchar, layer varchar, unit integer, "
    "example_id bigint, activation float, rank2 bigint, is_ranked boolean",
    "raw_compact_stats": "dataset varchar, run_id varchar, layer varchar, unit uinteger, "
    "half varchar, stored_count bigint, tie_sum double, activation_sum double",
    "top_examples": "dataset varchar, model_id varchar, run_id varchar, layer varchar, "
    "unit integer, polarity varchar, example_rank bigint, example_id bigint, activation float",
    "neuron_stats": "dataset varchar, run_id varchar, layer varchar, unit integer, sd double",
    "example_concepts": "dataset varchar, example_id bigint, concept varchar, category varchar",
    "stg_stimuli": "dataset varchar, example_id bigint, concept varchar, category varchar",
    "raw_concept_scores": "dataset varchar, run_id varchar, example_id bigint, concept varchar, "
    "probability float",
    "raw_soft_wpmi": "dataset varchar, run_id varchar, layer varchar, unit integer, "
    "concept varchar, screening float, testing float",
    "raw_label_nulls": "dataset varchar, run_id varchar, repeat integer, labelled_count bigint",
}
VIEWS = (
    "stg_distinct_images",
    "stg_ranks",
    "stg_rank_stats",
    "run_concepts",
    "tested_concepts",
    "concept_ranks",
    "neuron_enrichments",
    "neuron_concepts",
    "label_candidates",
    "neuron_labels",
    "label_baselines",
)
SETTINGS: dict[str, Any] = {
    "label_top_k": 50,
    "label_max_q": 0.05,
    "label_min_count": 2,
    "concept_min_count": 3,
    "label_origins": ["stimulus", "texts"],
    "similarity_min_score": 0.2,
}


def open_world(**changes: Any) -> duckdb.DuckDBPyConnection:
    """Empty tables, the settings, the macros and the views over them."""
    con = duckdb.connect(":memory:", config={"threads": 2})
    for name, columns in TABLES.items():
        con.execute(f"create table {name} ({columns})")
    parameters = SETTINGS | changes
    columns = ", ".join(f"${name} as {name}" for name in parameters)
    con.execute(f"create table settings as select {columns}", parameters)
    con.execute("".join(load_statements()))
    for name in VIEWS:
        con.execute(f"create view {name} as {find_view(name).body}")
    return con


def insert(con: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]) -> None:
    """Insert rows."""
    if rows:
        columns = {str(n): list(column) for n, column in enumerate(zip(*rows, strict=True))}
        con.register("rows_to_insert", pa.table(columns))
        con.execute(f"insert into {table} from rows_to_insert")
        con.unregister("rows_to_insert")


def fill(
    con: duckdb.DuckDBPyConnection,
    activations: np.ndarray,
    shows: list[set[str]],
    halves: list[str],
    duplicates: set[int] = frozenset(),
    keep: str = "all",
    dataset: str = "d",
    run: str = "r",
    layer: str = "l",
    origin: str = "texts",
    categories: dict[str, str] | None = None,
    tower: str = "visual",
) -> None:
    """One layer of one run.

    Args:
        con: Of open_world.
        activations: ``[U, N]``.
        shows: The concepts that each of the N images shows.
        halves: ``screening`` or ``testing``, for each image.
        duplicates: Images that repeat another one.
        keep: ``all``, or ``positive``: activations that are not above zero are not stored.
        dataset: Name of the dataset.
        run: Name of the run.
        layer: Name of the layer.
        origin: ``texts``, ``stimulus`` or ``similarity``.
        categories: Family of each concept; ``object`` by default.
        tower: ``visual`` or ``text``: what the layer belongs to.
    """
    families = categories or {}
    units, count = activations.shape
    values = activations.astype(np.float32)
    insert(con, "stg_runs", [(dataset, run, "m", False)])
    insert(con, "stg_layers", [(dataset, "m", run, layer, units, tower)])
    insert(con, "stg_examples", [(dataset, n, halves[n]) for n in range(count)])
    insert(con, "stg_run_examples", [(dataset, run, "m", n, n in duplicates) for n in range(count)])
    stored = values > 0 if keep == "positive" else np.ones_like(values, bool)
    insert(
        con,
        "stg_activations",
        [
            (dataset, run, layer, int(u), int(n), float(values[u, n]), None, False)
            for u, n in zip(*stored.nonzero(), strict=True)
        ],
    )
    distinct = [n for n in range(count) if n not in duplicates]
    tops = []
    for u in range(units):
        for polarity, sign in (("positive", -1), ("negative", 1)):
            best = sorted(distinct, key=lambda n: (sign * values[u, n], n))
            if keep == "positive":
                best = [n for n in best if sign * values[u, n] < 0]
            tops += [
                (dataset, "m", run, layer, u, polarity, rank, n, float(values[u, n]))
                for rank, n in enumerate(best[:100], 1)
            ]
    insert(con, "top_examples", tops)
    insert(
        con,
        "neuron_stats",
        [(dataset, run, layer, u, float(values[u].std())) for u in range(units)],
    )
    told = [
        (dataset, n, concept, families.get(concept, "object"))
        for n, concepts in enumerate(shows)
        for concept in sorted(concepts)
    ]
    if origin == "similarity":
        insert(con, "raw_concept_scores", [(dataset, run, n, c, 0.9) for _, n, c, _ in told])
        known = sorted({(c, family) for *_, c, family in told})
        insert(con, "lexicon_phrases", known)
    else:
        insert(con, {"texts": "example_concepts", "stimulus": "stg_stimuli"}[origin], told)


def fetch(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    """Rows as dictionaries."""
    result = con.execute(query)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
