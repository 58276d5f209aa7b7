"""An image: what it is, what it says and shows, and the neurons that it excites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import WarehouseError
from pipeline.warehouse.find import FoundRun, Neuron, find_run
from pipeline.warehouse.layer_axes import say_strength

if TYPE_CHECKING:
    from pipeline.web.view import View

NEURON_COUNT = 12
"""Neurons of each layer."""

_SMALL_PX, _LARGE_PX = 384, 768
_POSITION_BITS = 20
"""Of an example's id: its place in the shard, below the shard's ordinal."""


@dataclass(frozen=True)
class ExampleFacts:
    """The image itself, as ``examples`` has it."""

    dataset: str
    example_id: int
    shard: str
    shard_key: str
    image_sha256: str
    width_px: int
    height_px: int
    mime_type: str
    image_offset: int
    image_bytes: int
    source_url: str | None
    is_turned: bool
    half: str
    group_id: int
    """First example of its group of copies (``image_groups``)."""

    @property
    def shown_px(self) -> int:
        """Side of the square in which it is shown: a small image is not blown up."""
        return _LARGE_PX if max(self.width_px, self.height_px) > _SMALL_PX else _SMALL_PX


_FACTS = """
select
    dataset, example_id, shard, shard_key, image_sha256, width_px, height_px, mime_type,
    image_offset, image_bytes, source_url, is_turned, half,
    coalesce(duplicate_of, example_id) as group_id,
from examples
where dataset = $dataset and example_id = $example_id
"""


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


class Text(NamedTuple):
    """A text that came with it."""

    language: str | None
    text_kind: str
    text: str
    page_title: str | None


_TEXTS = """
select language, text_kind, text, page_title
from texts
where dataset = $dataset and example_id = $example_id
order by text_place(text_kind, language, text_rank, text)
"""


class Shown(NamedTuple):
    """A concept that it shows, and whose word that is."""

    concept: str
    category: str
    origins: list[str]
    evidence: str | None
    """The words of a text that say so."""
    evidence_language: str | None


_SHOWN = """
with said as (
    select concept, category, any_value(evidence) as evidence,
        any_value(evidence_language) as evidence_language,
    from example_concepts
    where dataset = $dataset and example_id = $group_id
    group by concept, category
)

select
    concept, category, list(distinct origin order by origin) as origins,
    any_value(evidence) as evidence, any_value(evidence_language) as evidence_language,
from run_concepts
left join said using (concept, category)
where dataset = $dataset and run_id = $run_id and example_id = $group_id
group by concept, category
order by len(origins) desc, category, concept
"""


class Excited(NamedTuple):
    """A neuron that answers to it."""

    layer: str
    unit: int
    activation: float
    strength: float
    """On the layer's axis."""
    axis: str
    concept: str | None
    is_labelled: bool

    @property
    def caption(self) -> str:
        """Its activation, for a person."""
        return say_strength(self.strength, self.axis)


_EXCITED = f"""
with here as (
    select layer, unit, activation
    from activations
    where dataset = $dataset and run_id = $run_id and example_id = $example_id
),

scaled as (
    select
        layer, unit, activation, axis,
        (activation - axis_origin(axis, mean)) / nullif(sd, 0) as strength,
    from here
    inner join neuron_stats using (layer, unit)
    inner join layer_axes using (dataset, run_id, layer)
    where dataset = $dataset and run_id = $run_id
),

strongest as (
    select * from scaled
    where strength is not null
    qualify
        row_number() over (partition by layer order by strength desc, unit asc) <= {NEURON_COUNT}
)

select layer, unit, activation, strength, axis, concept, coalesce(is_labelled, false) as is_labelled,
from strongest
inner join neuron_labels using (layer, unit)
where dataset = $dataset and run_id = $run_id
order by layer, strength desc, unit
"""
"""The question of `example_top_neurons`, within each layer."""


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
    found = view.ask(_FACTS, ExampleFacts, **this)
    if not found:
        raise WarehouseError(
            f"Dataset {dataset!r} has no example {example_id}.", "Follow a link of a page."
        )
    (facts,) = found
    of_group = {"dataset": run.dataset, "group_id": facts.group_id}
    position = {
        "ordinal": example_id >> _POSITION_BITS,
        "position": example_id & ((1 << _POSITION_BITS) - 1),
    }
    return view.render(
        "example.html.j2",
        run=run,
        example=facts,
        around=view.ask(_AROUND, Around, **this)[0],
        form=next(iter(view.ask(_FORM, Form, **of_group, run_id=run.run_id)), None),
        texts=view.ask(_TEXTS, Text, **this),
        concepts=view.ask(_SHOWN, Shown, **of_group, run_id=run.run_id),
        layers=_excited(view, run, example_id),
        copies=view.ask(_COPIES, Copy, **of_group, example_id=example_id),
        troubles=view.ask(_TROUBLES, Trouble, **here, **position),
        predictions=view.ask(_PREDICTIONS, Prediction, **here),
        stimulus=_stimulus(view, this),
    )


def _excited(view: View, run: FoundRun, example_id: int) -> dict[str, list[tuple[Neuron, Excited]]]:
    """By layer, the neurons that it excites most."""
    layers: dict[str, list[tuple[Neuron, Excited]]] = {}
    asked = {"dataset": run.dataset, "run_id": run.run_id, "example_id": example_id}
    for row in view.ask(_EXCITED, Excited, **asked):
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
