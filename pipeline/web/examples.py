"""What is known of an image: the page of it and the API ask the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import WarehouseError
from pipeline.warehouse.find import FoundRun
from pipeline.warehouse.layer_axes import say_strength

if TYPE_CHECKING:
    from pipeline.web.view import View

NEURON_COUNT = 12
"""Neurons of each layer."""

SMALL_PX, LARGE_PX = 384, 768
"""Sides of the square in which an image is shown."""


@dataclass(frozen=True)
class ExampleFacts:
    """The image itself, as ``examples`` has it."""

    dataset: str
    example_id: int
    shard: str
    shard_key: str
    image_sha256: str
    width_px: int | None
    height_px: int | None
    mime_type: str | None
    image_offset: int | None
    image_bytes: int | None
    source_url: str | None
    is_turned: bool
    half: str
    group_id: int
    """First example of its group of copies (``image_groups``)."""

    @property
    def shown_px(self) -> int:
        """Side of the square in which it is shown: a small image is not blown up."""
        return LARGE_PX if max(self.width_px or 0, self.height_px or 0) > SMALL_PX else SMALL_PX


_FACTS = """
select
    dataset, example_id, shard, shard_key, image_sha256, width_px, height_px, mime_type,
    image_offset, image_bytes, source_url, is_turned, half,
    coalesce(duplicate_of, example_id) as group_id,
from examples
where dataset = $dataset and example_id = $example_id
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


def read_facts(view: View, dataset: str, example_id: int) -> ExampleFacts:
    """The image itself.

    Args:
        view: Asks.
        dataset: Its dataset.
        example_id: Which.

    Raises:
        WarehouseError: There is no such example.
    """
    found = view.ask(_FACTS, ExampleFacts, dataset=dataset, example_id=example_id)
    if not found:
        raise WarehouseError(
            f"Dataset {dataset!r} has no example {example_id}.", "Follow a link of a page."
        )
    return found[0]


def read_texts(view: View, facts: ExampleFacts) -> list[Text]:
    """Its texts, the primary one first."""
    return view.ask(_TEXTS, Text, dataset=facts.dataset, example_id=facts.example_id)


def read_shown(view: View, facts: ExampleFacts, run: FoundRun) -> list[Shown]:
    """The concepts that it shows, those that most say first."""
    asked = {"dataset": facts.dataset, "run_id": run.run_id, "group_id": facts.group_id}
    return view.ask(_SHOWN, Shown, **asked)


def read_excited(view: View, facts: ExampleFacts, run: FoundRun) -> list[Excited]:
    """The neurons that it excites most, `NEURON_COUNT` of each layer, layer by layer."""
    asked = {"dataset": facts.dataset, "run_id": run.run_id, "example_id": facts.example_id}
    return view.ask(_EXCITED, Excited, **asked)
