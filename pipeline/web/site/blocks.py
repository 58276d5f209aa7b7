"""What the pages of lists, concepts or images ask, held in memory while they are made.

Pages of neurons ask once for a whole block, see `pages.neuron.know_neurons`; these ask page by page, and of a
table in memory that takes a millisecond. A server copies whole views once (`pipeline.web.holding`); a block
asks little of many views, and of some that are too large to be held whole. A held table is temporary and has
the name of its view, which it hides from whoever asks this connection.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from pipeline.web.site.choose import Place

_OF_DATASET = "dataset = $dataset"
_OF_RUN = f"{_OF_DATASET} and run_id = $run_id"
_OF_LAYER = f"{_OF_RUN} and layer = $layer"
_SHOWN = f"{_OF_DATASET} and example_id in (from shown_examples)"
_SHOWN_IN_RUN = f"{_OF_RUN} and example_id in (from shown_examples)"
_CONCEPTS = f"{_OF_RUN} and (concept, category) in (from shown_concepts)"

_RUNS = dict.fromkeys(("layers", "runs", "stg_runs", "stg_layers", "layer_axes"), _OF_DATASET)
_SHARDS = {"stg_shards": _OF_DATASET}
_EXAMPLES = dict.fromkeys(("examples", "stimuli", "primary_texts", "stg_texts"), _SHOWN)
_STATISTICS = ("neuron_stats", "neuron_multimodality", "neuron_clarity", "neuron_histograms")

LISTS = {
    **_RUNS,
    **_SHARDS,
    "neuron_labels": f"{_OF_LAYER} and list_contains($units, unit)",
    **dict.fromkeys(_STATISTICS, _OF_LAYER),
}
"""What lists of neurons ask: of those that have pages alone."""

CONCEPTS = {
    **_RUNS,
    **_SHARDS,
    "neuron_labels": _OF_DATASET,
    **dict.fromkeys(_STATISTICS, _OF_RUN),
    **dict.fromkeys(("run_concepts", "example_facets"), _OF_RUN),
    "neuron_concepts": _CONCEPTS,
    "example_concepts": f"{_OF_DATASET} and (concept, category) in (from shown_concepts)",
    **_EXAMPLES,
}
"""What pages of concepts and categories ask."""

IMAGES = {
    **_RUNS,
    **_SHARDS,
    **dict.fromkeys(("neuron_labels", "examples", "rejects", "notices"), _OF_DATASET),
    **dict.fromkeys(("stimuli", "texts", "stg_texts", "primary_texts", "example_concepts"), _SHOWN),
    **dict.fromkeys(
        ("activations", "run_concepts", "example_facets", "class_predictions"), _SHOWN_IN_RUN
    ),
    "neuron_stats": _OF_RUN,
}
"""What pages of images ask."""

_IMAGES_OF_CONCEPTS = f"select distinct example_id from run_concepts where {_CONCEPTS}"

_WITH_FIRSTS = """
select unnest($ids::bigint[]) as example_id
union
select duplicate_of from examples
where dataset = $dataset and list_contains($ids::bigint[], example_id) and duplicate_of is not null
"""
"""Images, and those that they are copies of."""


class Holder:
    """Holds tables for one block after another."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Args:
        connection: A cursor of its own, or a connection that nobody else asks.
        """
        self.connection = connection
        self._held: list[str] = []

    def hold_lists(self, place: Place, units: Sequence[int]) -> None:
        """What the lists of some neurons of a layer ask."""
        self.release()
        self._hold(_select(LISTS), {**place._asdict(), "units": list(units)})

    def hold_concepts(
        self, dataset: str, run_id: str, names: Collection[tuple[str, str | None]]
    ) -> None:
        """What the pages of some concepts of a run ask, given by category and name."""
        asked = {"dataset": dataset, "run_id": run_id}
        self.release()
        pairs = [[concept, category] for category, concept in names if concept is not None]
        self._make(
            "shown_concepts",
            "select pair[1] as concept, pair[2] as category "
            "from (select unnest($pairs::varchar[][]) as pair)",
            {"pairs": pairs},
        )
        self._make("shown_examples", _IMAGES_OF_CONCEPTS, asked)
        self._hold(_select(CONCEPTS), asked)

    def hold_images(self, dataset: str, run_id: str, ids: Sequence[int]) -> None:
        """What the pages of some images ask, as a run saw them."""
        self.release()
        self._make("shown_examples", _WITH_FIRSTS, {"dataset": dataset, "ids": list(ids)})
        self._hold(_select(IMAGES), {"dataset": dataset, "run_id": run_id})

    def release(self) -> None:
        """Let all go: the views are seen again."""
        for name in self._held:
            self.connection.execute(f"drop table temp.{name}")
        self._held.clear()

    def _hold(self, queries: Mapping[str, str], asked: Mapping[str, object]) -> None:
        """All are read before the first hides its view, which others may rest on."""
        for name, query in queries.items():
            given = {key: value for key, value in asked.items() if f"${key}" in query}
            self.connection.execute(f"create temp table held_{name} as {query}", given)
        for name in queries:
            self.connection.execute(f"alter table temp.held_{name} rename to {name}")
            self._held.append(name)

    def _make(self, name: str, query: str, asked: Mapping[str, object]) -> None:
        self.connection.execute(f"create temp table {name} as {query}", dict(asked))
        self._held.append(name)


def _select(tables: Mapping[str, str]) -> dict[str, str]:
    """Queries of views, by their names."""
    return {name: f"select * from {name} where {where}" for name, where in tables.items()}
