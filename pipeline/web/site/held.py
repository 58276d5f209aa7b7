"""What pages ask about some neurons, held in memory: a query then takes a millisecond instead of twenty.

A held table has the name of its view, which it hides from whoever asks this connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from pipeline.web.site.choose import Place

_OF_DATASET = "dataset = $dataset"
_OF_LAYER = "dataset = $dataset and run_id = $run_id and layer = $layer"
_OF_UNITS = f"{_OF_LAYER} and unit between $first and $last and list_contains($units, unit)"
_SHOWN = "dataset = $dataset and example_id in (from shown_examples)"

LABELS = {"neuron_labels": _OF_DATASET}
"""Of neighbours too."""

NEURONS = {
    **LABELS,
    **dict.fromkeys(("layers", "runs", "stg_runs", "layer_axes"), _OF_DATASET),
    **dict.fromkeys(
        (
            "top_examples",
            "neuron_samples",
            "neuron_stats",
            "label_candidates",
            "label_evidence",
            "neuron_histograms",
            "neuron_multimodality",
            "neuron_facets",
            "conditional_probabilities",
            "neuron_clarity",
            "neuron_groups",
            "top_example_groups",
            "contrasting_examples",
            "neuron_neighbours",
        ),
        _OF_UNITS,
    ),
}
"""What the page of a neuron asks, and of which rows."""

EXAMPLES = dict.fromkeys(("examples", "stimuli", "primary_texts", "stg_texts"), _SHOWN) | {
    "run_concepts": f"{_SHOWN} and run_id = $run_id and (concept, category) in (from shown_concepts)"
}
"""And of the images on it."""

LISTS = {
    "neuron_labels": f"{_OF_LAYER} and list_contains($units, unit)",
    **dict.fromkeys(
        ("neuron_stats", "neuron_multimodality", "neuron_clarity", "neuron_histograms"), _OF_LAYER
    ),
    "layer_axes": _OF_DATASET,
}
"""What lists of neurons ask: of those that have pages alone."""

_SHOWN_EXAMPLES = """
create temp table shown_examples as
select example_id from top_examples
union select example_id from neuron_samples
union select example_id from contrasting_examples
"""

_SHOWN_CONCEPTS = """
create temp table shown_concepts as
select distinct concept, category from neuron_labels
where {} and list_contains($units, unit) and is_labelled
"""


class Holder:
    """Holds tables for one block of neurons after another."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Args:
        connection: A cursor of its own, or a connection that nobody else asks.
        """
        self.connection = connection
        self._held: list[str] = []

    def hold_neurons(self, place: Place, units: tuple[int, ...]) -> None:
        """All that the pages of some neurons of a layer ask, and nothing of others."""
        asked = {**place._asdict(), "units": list(units), "first": min(units), "last": max(units)}
        self.release()
        self._hold(NEURONS, asked)
        self._make("shown_examples", _SHOWN_EXAMPLES, {})
        of_layer = {**place._asdict(), "units": list(units)}
        self._make("shown_concepts", _SHOWN_CONCEPTS.format(_OF_LAYER), of_layer)
        self._hold(EXAMPLES, asked)

    def hold_lists(self, place: Place, units: Sequence[int]) -> None:
        """What the lists of some neurons of a layer ask."""
        self.release()
        self._hold(LISTS, {**place._asdict(), "units": list(units)})

    def release(self) -> None:
        """Let all go: the views are seen again."""
        for name in self._held:
            self.connection.execute(f"drop table temp.{name}")
        self._held.clear()

    def _hold(self, tables: Mapping[str, str], asked: Mapping[str, object]) -> None:
        """All are read before the first hides its view, which others may rest on."""
        for name, where in tables.items():
            given = {key: value for key, value in asked.items() if f"${key}" in where}
            query = f"create temp table held_{name} as select * from {name} where {where}"
            self.connection.execute(query, given)
        for name in tables:
            self.connection.execute(f"alter table temp.held_{name} rename to {name}")
            self._held.append(name)

    def _make(self, name: str, query: str, asked: Mapping[str, object]) -> None:
        self.connection.execute(query, dict(asked))
        self._held.append(name)
