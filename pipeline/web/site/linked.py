"""Which concepts, categories and images have pages: what the neurons that have pages lead to.

A concept has one if a neuron stands for it, and so has its category; an image if it is one of the strongest of
a neuron, up to a bound. An explorer has a page for every other too: a site of those would be many times as
large.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.report.gather import EXAMPLE_COUNT
from pipeline.warehouse.find import Neuron
from pipeline.web.site.choose import Chosen

if TYPE_CHECKING:
    import duckdb

Run = tuple[str, str]
"""Dataset and id."""


@dataclass(frozen=True)
class Linked:
    """What has pages beside neurons, by run."""

    concepts: Mapping[Run, frozenset[tuple[str, str]]]
    """By category and name."""
    examples: Mapping[Run, frozenset[int]]

    def names(self, run: Run) -> list[tuple[str, str | None]]:
        """Categories and concepts of a run in order; a category itself has no second name."""
        concepts = sorted(self.concepts.get(run, ()))
        categories = sorted({category for category, _ in concepts})
        return [*((category, None) for category in categories), *concepts]

    def has_category(self, run: Run, category: str) -> bool:
        """Whether a category has a page."""
        return any(category == found for found, _ in self.concepts.get(run, ()))


_LABELS = """
select dataset, run_id, layer, unit, category, concept
from neuron_labels
where is_labelled and list_contains($datasets, dataset)
"""

_STRONGEST = """
select dataset, run_id, layer, unit, example_id
from top_examples
inner join neuron_labels using (dataset, run_id, layer, unit)
where polarity = 'positive' and example_rank <= $shown and list_contains($datasets, dataset)
order by example_rank, is_labelled desc, score desc nulls last, dataset, run_id, layer, unit
"""


def find_linked(
    connection: duckdb.DuckDBPyConnection, chosen: Chosen, example_count: int
) -> Linked:
    """What the neurons lead to.

    Args:
        connection: Of ``pipeline.connect``.
        chosen: The neurons that have pages.
        example_count: How many images of a run have one, at most.
    """
    concepts: dict[Run, set[tuple[str, str]]] = {}
    labels = connection.execute(_LABELS, {"datasets": chosen.datasets}).fetchall()
    for *place, category, concept in labels:
        neuron = Neuron(*place)
        if neuron in chosen:
            concepts.setdefault((neuron.dataset, neuron.run_id), set()).add((category, concept))
    examples: dict[Run, set[int]] = {}
    asked = {"datasets": chosen.datasets, "shown": EXAMPLE_COUNT}
    for *place, example_id in connection.execute(_STRONGEST, asked).fetchall():
        neuron = Neuron(*place)
        of_run = examples.setdefault((neuron.dataset, neuron.run_id), set())
        if neuron in chosen and len(of_run) < example_count:
            of_run.add(example_id)
    return Linked(
        {run: frozenset(found) for run, found in concepts.items()},
        {run: frozenset(found) for run, found in examples.items()},
    )
