"""A concept as a sparse sum of the neurons of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from pipeline.base.errors import WarehouseError
from pipeline.base.question_settings import SumQuestion
from pipeline.base.settings import LabelOrigin
from pipeline.search.find import Found, choose_whole_layers, match_concepts, read_labels
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import FoundRun, find_run
from pipeline.warehouse.stale import tell_stale

if TYPE_CHECKING:
    import numpy as np

    from pipeline.evidence.sums import NeuronSum

ORIGINS: tuple[LabelOrigin, ...] = ("texts", "stimulus", "similarity")
"""Who says what an image shows; the first that knows the concept is taken."""


@dataclass(frozen=True)
class SumAnswer:
    """A concept as a sparse sum of neurons, and the tables that say so."""

    run: FoundRun
    shown: str
    """Which concepts, and who says that images show them."""
    found: NeuronSum
    table: Found


def find_neuron_sum(question: SumQuestion) -> SumAnswer:
    """Write a concept as a sparse sum of neurons; see `pipeline.evidence.sums`.

    Raises:
        WarehouseError: No such concept (the closest are named), run or layer; several runs; or too
            few images show the concept.
    """
    with connect(question.warehouse) as connection:
        tell_stale(connection, ("neuron_labels",))
        return find_sum_in(connection, question)


def find_sum_in(connection: duckdb.DuckDBPyConnection, question: SumQuestion) -> SumAnswer:
    """The same, of a warehouse that is open.

    Args:
        connection: Of ``pipeline.connect``.
        question: Which concept and run; its warehouse is not looked at.

    Raises:
        WarehouseError: As of `find_neuron_sum`.
    """
    from pipeline.evidence.sums import find_sum

    run = find_run(connection, question.dataset, question.run, question.layer)
    concepts = _choose_concepts(connection, question.concept)
    origin, shown = _read_shown(connection, run, concepts, question.origin)
    layers = choose_whole_layers(connection, run, question.layer, "A sum of neurons")
    layers = [one for one in layers if one.tower != "text" or origin == "similarity"]
    if not layers:
        raise WarehouseError(
            "A text tower's layer read the very texts that tell the concept: a sum of its "
            "neurons says nothing.",
            "Name a layer of the image tower with --layer, or --origin similarity.",
        )
    named = "; ".join(f"{concept} ({category})" for concept, category in concepts[:5])
    more = f"; and {len(concepts) - 5} more" if len(concepts) > 5 else ""
    found = find_sum(connection, layers, shown, question.neurons, f"{named}{more}, by {origin}")
    labels = read_labels(connection, layers)
    rows = [
        (t.layer.layer, t.unit, t.weight, t.auroc, labels[t.layer].get(t.unit)) for t in found.terms
    ]
    best = found.best
    title = f"{question.concept!r} as a sum of {len(rows)} neurons, {run.dataset}, run {run.run_id}"
    notes = (
        f"Concepts: {named}{more}; by {origin}.",
        f"Fitted on {found.fitted_positive_count} images with and "
        f"{found.fitted_count - found.fitted_positive_count} without it (screening half).",
        f"AUROC of the sum {found.auroc:.3f}; of the best single neuron, unit {best.unit} of "
        f"{best.layer.layer}, {best.auroc:.3f} (testing half, {found.testing_positive_count} with and "
        f"{found.testing_count - found.testing_positive_count} without it).",
        "weight: log odds for one standard deviation; auroc: of that neuron alone.",
    )
    columns = ("layer", "unit", "weight", "auroc", "label")
    return SumAnswer(run, f"{named}; by {origin}", found, Found(title, columns, tuple(rows), notes))


def _choose_concepts(connection: duckdb.DuckDBPyConnection, text: str) -> list[tuple[str, str]]:
    """The concepts of that name; or those of the category of that name.

    Raises:
        WarehouseError: Neither is known; the closest are named.
    """
    of_category = connection.execute(
        """
        select distinct concept, category from run_concepts
        where lower(category) = lower(trim($text))
        order by all
        """,
        {"text": text},
    ).fetchall()
    matches, close = match_concepts(connection, text)
    found = [(concept, category) for concept, category, _ in matches] or of_category
    if not found:
        raise WarehouseError(
            f"No concept is called {text!r}.",
            f"Closest: {', '.join(close) or 'none'}. A category will do too.",
        )
    return found


def _read_shown(
    connection: duckdb.DuckDBPyConnection,
    run: FoundRun,
    concepts: list[tuple[str, str]],
    origin: str | None,
) -> tuple[str, np.ndarray[Any, np.dtype[np.int64]]]:
    """Who says so, and the images that show any of the concepts, int64, ascending.

    Raises:
        WarehouseError: No image of the run shows one.
    """
    import numpy as np

    for one in (origin,) if origin else ORIGINS:
        found = connection.execute(
            """
            select distinct example_id from run_concepts
            where
                dataset = $dataset and run_id = $run_id and origin = $origin
                and list_contains($concepts, [concept, category])
            order by example_id
            """,
            {
                "dataset": run.dataset,
                "run_id": run.run_id,
                "origin": one,
                "concepts": [list(pair) for pair in concepts],
            },
        ).fetchnumpy()["example_id"]
        if len(found):
            return one, np.asarray(found, dtype=np.int64)
    named = ", ".join(concept for concept, _ in concepts[:5])
    raise WarehouseError(
        f"No image of run {run.run_id!r} of {run.dataset!r} shows {named}"
        f"{f' by {origin}' if origin else ''}.",
        "See what they show: neurons sql 'select concept, category, origin, count(*) from "
        "run_concepts group by all order by 4 desc'",
    )
