"""A warehouse of given images for the Halle Berry test: their forms, what they show, and activations."""

from __future__ import annotations

from typing import Any

import numpy as np
from sql_world import empty_world

from pipeline.base.progress import NoProgress
from pipeline.concepts.facets import FACET_PROMPTS

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
}


class FacetWorld:
    """The views over no rows; then what the methods add. One dataset, d."""

    def __init__(self, **changes: Any) -> None:
        self.world = empty_world(VIEWS, ("stg_activations",), **SETTINGS | changes)
        self.con, self.add, self.rows = self.world.con, self.world.add, self.world.rows
        self.add("facet_prompts", "facet prompt", *FACET_PROMPTS.items(), class_set="facets")
        self.example_count = 0

    def add_run(self, run: str = "r", is_random: bool = False) -> None:
        self.add("stg_runs", "run_id model_id is_random", (run, f"model-{run}", is_random))

    def add_layer(self, run: str = "r", layer: str = "l", units: int = 10) -> None:
        row = (run, f"model-{run}", layer, units, "visual")
        self.add("stg_layers", "run_id model_id layer unit_count tower", row)

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
        self.add("stg_examples", "example_id half", (example, half))
        seen = [(run, f"model-{run}") for run in runs]
        own = {"example_id": example}
        self.add("stg_run_examples", "run_id model_id", *seen, is_duplicate=is_duplicate, **own)
        if facet is not None:
            self.add("stg_stimuli", "facet language", (facet, language), **own)
        if not is_duplicate:
            shown = [(run, concept, "thing", origin) for run in runs for concept in concepts]
            self.add("run_concepts", "run_id concept category origin", *shown, **own)
        return example

    def add_activations(
        self, matrix: np.ndarray, run: str = "r", layer: str = "l", keep_all: bool = False
    ) -> None:
        """Float ``[U, N]``; zeros and below are left out unless all are kept."""
        self.add_layer(run, layer, len(matrix))
        units, images = np.nonzero(np.ones(matrix.shape) if keep_all else matrix > 0)
        values = matrix[units, images].astype(np.float32)
        frame = {"unit": units.astype(np.int32), "example_id": images, "activation": values}
        self.con.register("frame", frame)
        self.con.execute(
            "insert into stg_activations by name "
            f"select '{run}' as run_id, '{layer}' as layer, * from frame"
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
        names = "model_id run_id layer unit concept category origin screening_auroc screening_z"
        place = (f"model-{run}", run, layer, unit, concept, category, origin)
        tops = "screening_top_count screening_top_log10_p"
        self.add("neuron_concepts", f"{names} {tops}", (*place, auroc, z, *top))

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
