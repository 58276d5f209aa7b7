"""A warehouse of given numbers: a matrix of activations, and what each image shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
from sql_world import SqlWorld, empty_world, insert

VIEWS = (
    "stg_distinct_images",
    "stg_value_counts",
    "stg_ranks",
    "stg_rank_stats",
    "run_concepts",
    "tested_concepts",
    "concept_ranks",
    "neuron_enrichments",
    "neuron_concepts",
    "label_candidates",
    "tested_labels",
    "scored_labels",
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
    """The views over empty tables; it is the one that was given before, emptied."""
    return empty_world(VIEWS, ("stg_runs",), **SETTINGS | changes).con


def open_own_world(**changes: Any) -> duckdb.DuckDBPyConnection:
    """The same, to stand beside another or to be changed."""
    return SqlWorld(VIEWS, ("stg_runs",), **SETTINGS | changes).con


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
    place = {"dataset": dataset, "run_id": run, "layer": layer}
    insert(con, "stg_runs", [{"dataset": dataset, "run_id": run}])
    insert(con, "stg_layers", [place | {"unit_count": units, "tower": tower}])
    images = [{"example_id": n} for n in range(count)]
    seen = [image | {"is_duplicate": image["example_id"] in duplicates} for image in images]
    told = [image | {"half": half} for image, half in zip(images, halves, strict=True)]
    insert(con, "stg_examples", told, dataset=dataset)
    insert(con, "stg_run_examples", seen, dataset=dataset, run_id=run)
    stored = values > 0 if keep == "positive" else np.ones_like(values, bool)
    kept = [
        {"unit": int(u), "example_id": int(n), "activation": float(values[u, n])}
        for u, n in zip(*stored.nonzero(), strict=True)
    ]
    insert(con, "stg_activations", kept, **place)
    distinct = [n for n in range(count) if n not in duplicates]
    tops = []
    for u in range(units):
        for polarity, sign in (("positive", -1), ("negative", 1)):
            best = sorted(distinct, key=lambda n: (sign * values[u, n], n))
            if keep == "positive":
                best = [n for n in best if sign * values[u, n] < 0]
            neuron = {"unit": u, "polarity": polarity}
            tops += [
                neuron | {"example_rank": rank, "example_id": n, "activation": float(values[u, n])}
                for rank, n in enumerate(best[:100], 1)
            ]
    insert(con, "top_examples", tops, **place)
    stats = [{"unit": u, "sd": float(values[u].std())} for u in range(units)]
    insert(con, "neuron_stats", stats, **place)
    shown = [
        {"example_id": n, "concept": concept, "category": families.get(concept, "object")}
        for n, concepts in enumerate(shows)
        for concept in sorted(concepts)
    ]
    if origin == "similarity":
        scores = [{"example_id": row["example_id"], "concept": row["concept"]} for row in shown]
        insert(con, "raw_concept_scores", scores, dataset=dataset, run_id=run, probability=0.9)
        known = sorted({(row["concept"], row["category"]) for row in shown})
        insert(con, "lexicon", [{"concept": c, "category": f} for c, f in known])
    else:
        table = {"texts": "example_concepts", "stimulus": "stg_stimuli"}[origin]
        insert(con, table, shown, dataset=dataset)


def labelled_world(
    origin: str = "texts",
    opened: Callable[..., duckdb.DuckDBPyConnection] = open_world,
    **changes: Any,
) -> duckdb.DuckDBPyConnection:
    """400 images in two like halves: ten cats, ten dogs in each; five of the cats are big.

    Units: 0 cats; 1 nothing nameable; 2 noise; 3 dead; 4 inhibited by dogs, else constant; 5 dogs a
    little; 6 cats of the screening half alone.
    """
    rng = np.random.default_rng(5)
    kinds = ["cat"] * 10 + ["dog"] * 10 + [""] * 180
    shows = [({k} if k else set()) | ({"big"} if n < 5 else set()) for n, k in enumerate(kinds)]
    shows, halves = shows * 2, ["screening"] * 200 + ["testing"] * 200
    is_cat = np.array(["cat" in s for s in shows])
    is_dog = np.array(["dog" in s for s in shows])
    is_screening = np.array([h == "screening" for h in halves])
    noise = rng.random((7, 400))
    values = np.stack(
        [
            noise[0] + 5 * is_cat,
            noise[1] * (~is_cat & ~is_dog),
            noise[2],
            np.zeros(400),
            np.where(is_dog, -1.0, 0.0),
            np.where(is_dog, 2 + noise[5], np.maximum(noise[5] - 0.9, 0)),
            noise[6] + 5 * (is_cat & is_screening),
        ]
    )
    con = opened(**{"label_top_k": 40, **changes})
    fill(con, values, shows, halves, keep="positive", origin=origin)
    return con


def fetch(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    """Rows as dictionaries."""
    result = con.execute(query)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
