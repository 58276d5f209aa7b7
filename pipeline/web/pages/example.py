"""An image: what it is, what it says and shows, and the neurons that it excites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from pipeline.warehouse.find import FoundRun, Neuron, find_run
from pipeline.web.examples import (
    SMALL_PX,
    ExampleFacts,
    Excited,
    read_excited,
    read_facts,
    read_shown,
    read_texts,
)

if TYPE_CHECKING:
    from pipeline.web.view import View

_POSITION_BITS = 20
"""Of an example's id: its place in the shard, below the shard's ordinal."""


class Around(NamedTuple):
    """The examples before and after it in the dataset."""

    before: int | None
    after: int | None


_AROUND = """
select
    max(example_id) filter (where example_id < $example_id) as before,
    min(example_id) filter (where example_id > $example_id) as after,
from examples
where dataset = $dataset
"""


class Form(NamedTuple):
    """The facet of the image."""

    facet: str
    facet_origin: str
    score: float | None


_FORM = """
select facet, facet_origin, score
from example_facets
where dataset = $dataset and run_id = $run_id and example_id = $group_id
"""


class Copy(NamedTuple):
    """One of the examples that show the same image."""

    example_id: int
    copy_kind: str
    shard: str
    shard_key: str


_COPIES = """
select example_id, coalesce(copy_kind, 'first') as copy_kind, shard, shard_key
from examples
where
    dataset = $dataset and example_id <> $example_id
    and (example_id = $group_id or duplicate_of = $group_id)
order by duplicate_of is not null, example_id
"""


class Trouble(NamedTuple):
    """Why it, or a part of it, was not used."""

    stage: str
    reason: str
    detail: str | None
    is_reject: bool


_TROUBLES = """
select stage, reason, detail, true as is_reject
from rejects
where
    dataset = $dataset and coalesce(run_id = $run_id, true)
    and shard_ordinal = $ordinal and position = $position
union all
select stage, reason, detail, false
from notices
where dataset = $dataset and example_id = $example_id
order by all
"""


class Prediction(NamedTuple):
    """What the model takes it for, among the classes of a set."""

    class_set: str
    predicted_class: str
    predicted_probability: float
    runner_up_class: str | None
    runner_up_probability: float | None


_PREDICTIONS = """
select
    class_set, predicted_class, predicted_probability, runner_up_class, runner_up_probability
from class_predictions
where dataset = $dataset and run_id = $run_id and example_id = $example_id
order by class_set
"""

_STIMULUS = "select * from stimuli where dataset = $dataset and example_id = $example_id"


def example_page(view: View, dataset: str, run_id: str, example_id: int) -> str:
    """The page of an image, as a run saw it.

    Args:
        view: Asks and renders.
        dataset: Its dataset.
        run_id: The run's id, or the beginning of it.
        example_id: Which.

    Raises:
        WarehouseError: There is no such run or example.
    """
    run = find_run(view.connection, dataset, run_id)
    this = {"dataset": run.dataset, "example_id": example_id}
    here = {**this, "run_id": run.run_id}
    facts = read_facts(view, run.dataset, example_id)
    of_group = {"dataset": run.dataset, "group_id": facts.group_id}
    position = {
        "ordinal": example_id >> _POSITION_BITS,
        "position": example_id & ((1 << _POSITION_BITS) - 1),
    }
    return view.render(
        "example.html.j2",
        run=run,
        example=facts,
        shown_px=SMALL_PX if view.is_site else facts.shown_px,
        around=view.ask(_AROUND, Around, **this)[0],
        form=next(iter(view.ask(_FORM, Form, **of_group, run_id=run.run_id)), None),
        texts=read_texts(view, facts),
        concepts=read_shown(view, facts, run),
        layers=_excited(view, facts, run),
        copies=view.ask(_COPIES, Copy, **of_group, example_id=example_id),
        troubles=view.ask(_TROUBLES, Trouble, **here, **position),
        predictions=view.ask(_PREDICTIONS, Prediction, **here),
        stimulus=_stimulus(view, this),
    )


def _excited(
    view: View, facts: ExampleFacts, run: FoundRun
) -> dict[str, list[tuple[Neuron, Excited]]]:
    """By layer, the neurons that it excites most."""
    layers: dict[str, list[tuple[Neuron, Excited]]] = {}
    for row in read_excited(view, facts, run):
        neuron = Neuron(run.dataset, run.run_id, row.layer, row.unit)
        layers.setdefault(row.layer, []).append((neuron, row))
    return layers


def _stimulus(view: View, this: Mapping[str, object]) -> list[tuple[str, object]]:
    """What is known of it by construction: names and values, of those that apply."""
    found = view.connection.execute(_STIMULUS, this)
    names = [column[0] for column in found.description]
    return [
        (name.replace("_", " "), f"{value:.3g}" if isinstance(value, float) else value)
        for row in found.fetchall()
        for name, value in zip(names, row, strict=True)
        if value is not None and name not in ("dataset", "example_id")
    ]
