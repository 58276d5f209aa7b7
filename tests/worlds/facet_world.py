"""A warehouse of given images for the Halle Berry test: their forms, what they show, and activations."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np

from pipeline.base.progress import NoProgress
from pipeline.concepts.facets import FACET_PROMPTS
from pipeline.warehouse.views import find_view, load_statements

TABLES = {
    "stg_runs": "dataset varchar, run_id varchar, model_id varchar, is_random boolean",
    "stg_layers": "dataset varchar, run_id varchar, model_id varchar, layer varchar, "
    "unit_count integer, tower varchar",
    "stg_examples": "dataset varchar, example_id bigint, half varchar",
    "stg_run_examples": "dataset varchar, run_id varchar, model_id varchar, example_id bigint, "
    "is_duplicate boolean",
    "stg_activations": "dataset varchar, run_id varchar, layer varchar, unit integer, "
    "example_id bigint, activation float",
    "stg_stimuli": "dataset varchar, example_id bigint, facet varchar, language varchar",
    "raw_class_scores": "dataset varchar, run_id varchar, class_set varchar, example_id bigint, "
    "class_name varchar, logit float, probability float",
    "facet_prompts": "facet varchar, prompt varchar",
    "text_tokens": "dataset varchar, example_id bigint, base_language varchar",
    "text_concepts": "dataset varchar, example_id bigint, base_language varchar, "
    "concept varchar, category varchar",
    "run_concepts": "dataset varchar, run_id varchar, example_id bigint, concept varchar, "
    "category varchar, origin varchar",
    "neuron_concepts": "dataset varchar, model_id varchar, run_id varchar, layer varchar, "
    "unit integer, concept varchar, category varchar, origin varchar, "
    "screening_auroc double, screening_z double, screening_top_count bigint, "
    "screening_top_log10_p double, auroc double, z double, positive_count bigint, "
    "top_count bigint, top_size bigint, lift double, top_log10_p double",
    "neuron_labels": "dataset varchar, run_id varchar, layer varchar, unit integer, "
    "concept varchar, category varchar, origin varchar",
    "raw_facet_aurocs": "dataset varchar, run_id varchar, layer varchar, unit integer, "
    "candidate_rank integer, concept varchar, category varchar, origin varchar, "
    "dimension varchar, stratum varchar, facet_origin varchar, positive_count bigint, "
    "other_count bigint, auroc double, surrogate_aurocs float[], "
    "screening_positive_count bigint, screening_other_count bigint, screening_auroc double",
}
VIEWS = (
    "stg_distinct_images",
    "example_facets",
    "example_strata",
    "label_candidates",
    "stratum_concepts",
    "facet_candidates",
    "neuron_facets",
    "surrogate_indices",
    "neuron_multimodality",
    "multimodality_summary",
    "check_facets",
)
SETTINGS: dict[str, Any] = {
    "label_min_count": 2,
    "label_origins": ["stimulus", "texts"],
    "facet_min_count": 3,
    "facet_min_auroc": 0.8,
    "facet_max_p": 0.05,
    "default_language": "en",
}


class FacetWorld:
    """Empty tables, the macros and the views; then what the methods add. One dataset, d."""

    def __init__(self, **changes: Any) -> None:
        self.con = duckdb.connect(":memory:", config={"threads": 2})
        for name, columns in TABLES.items():
            self.con.execute(f"create table {name} ({columns})")
        parameters = SETTINGS | changes
        columns = ", ".join(f"${name} as {name}" for name in parameters)
        self.con.execute(f"create table settings as select {columns}", parameters)
        self.con.execute("".join(load_statements()))
        for name in VIEWS:
            self.con.execute(f"create view {name} as {find_view(name).body}")
        self.insert("facet_prompts", list(FACET_PROMPTS.items()))
        self.example_count = 0

    def insert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self.con.executemany(f"insert into {table} values ({marks})", rows)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.con.execute(query).fetchall()

    def add_run(self, run: str = "r", is_random: bool = False) -> None:
        self.insert("stg_runs", [("d", run, f"model-{run}", is_random)])

    def add_image(
        self,
        facet: str | None = None,
        half: str = "testing",
        concepts: tuple[str, ...] = (),
        language: str | None = None,
        is_duplicate: bool = False,
        runs: tuple[str, ...] = ("r",),
        origin: str = "stimulus",
    ) -> int:
        """One image of all runs named; ``concepts`` are of category thing."""
        example = self.example_count
        self.example_count += 1
        self.insert("stg_examples", [("d", example, half)])
        self.insert(
            "stg_run_examples",
            [("d", run, f"model-{run}", example, is_duplicate) for run in runs],
        )
        if facet is not None:
            self.insert("stg_stimuli", [("d", example, facet, language)])
        if not is_duplicate:
            shown = [("d", run, example, c, "thing", origin) for run in runs for c in concepts]
            self.insert("run_concepts", shown)
        return example

    def add_activations(
        self, matrix: np.ndarray, run: str = "r", layer: str = "l", keep_all: bool = False
    ) -> None:
        """Float ``[U, N]``; zeros and below are left out unless all are kept."""
        self.insert("stg_layers", [("d", run, f"model-{run}", layer, len(matrix), "visual")])
        units, images = np.nonzero(np.ones(matrix.shape) if keep_all else matrix > 0)
        values = matrix[units, images].astype(np.float32)
        frame = {"unit": units.astype(np.int32), "example_id": images, "activation": values}
        self.con.register("frame", frame)
        self.con.execute(
            f"insert into stg_activations select 'd', '{run}', '{layer}', unit, example_id, "
            "activation from frame"
        )
        self.con.unregister("frame")

    def add_candidate(
        self,
        unit: int,
        concept: str,
        z: float = 5.0,
        run: str = "r",
        layer: str = "l",
        origin: str = "stimulus",
        category: str = "thing",
        top: tuple[int, float] = (0, 0.0),
        auroc: float = 0.9,
    ) -> None:
        """A row of neuron_concepts; ``top`` is screening_top_count and screening_top_log10_p."""
        row = ("d", f"model-{run}", run, layer, unit, concept, category, origin, auroc, z, *top)
        figures = [None] * 7  # of the testing half: candidates do not depend on it
        self.insert("neuron_concepts", [(*row, *figures)])

    def compute(self, **options: Any) -> list[dict[str, Any]]:
        """Fill raw_facet_aurocs as a build does; returns its rows in their order."""
        import pyarrow as pa

        from pipeline.evidence.facets import compute_facet_aurocs
        from pipeline.tables.computed import DERIVED

        tables = list(compute_facet_aurocs(self.con, NoProgress(), **options))
        table = pa.concat_tables([DERIVED["facet_aurocs"].arrow_schema().empty_table(), *tables])
        self.con.execute("delete from raw_facet_aurocs")
        self.con.register("found", table)
        self.con.execute("insert into raw_facet_aurocs select * from found")
        self.con.unregister("found")
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows
