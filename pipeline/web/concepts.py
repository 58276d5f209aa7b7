"""A concept in a run: which neurons stand for it, which images show it, and what it is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import WarehouseError
from pipeline.report.thumbnails import Picture, name_pictures
from pipeline.warehouse.find import FoundRun, Neuron, find_run
from pipeline.web.neurons import NeuronPage, list_labelled

if TYPE_CHECKING:
    from pipeline.web.view import View

TELLER_COUNT = 12
"""Neurons that tell it best without standing for it; also those that it leaves coldest."""

FORMS_COUNT = 24
"""Neurons whose forms are compared."""

PICTURE_COUNT = 12
"""Images of each group."""


class Teller(NamedTuple):
    """How well a neuron tells the concept; ``neuron_concepts``."""

    layer: str
    unit: int
    origin: str
    direction: str
    """``positive``, or ``negative`` if it answers less where the concept is shown."""
    auroc: float | None
    q_value: float | None
    lift: float | None
    concept: str | None
    """What the neuron itself stands for."""
    is_labelled: bool


@dataclass(frozen=True)
class Forms:
    """How well neurons tell the concept within each form of one origin."""

    facet_origin: str
    facets: Sequence[str]
    rows: Sequence[tuple[Neuron, FormRow]]


class FormRow(NamedTuple):
    """The Halle Berry test of a neuron with the concept; ``neuron_multimodality``."""

    layer: str
    unit: int
    facet_origin: str
    is_label: bool
    multimodality_index: float | None
    p_value: float | None
    language_index: float | None
    is_thin: bool
    facet_aurocs: Mapping[str, float]


class ImageGroup(NamedTuple):
    """Images of which the same say that they show it."""

    origins: Sequence[str]
    image_count: int
    ids: Sequence[int]
    """The first of them, spread over the forms."""


class Phrases(NamedTuple):
    """What it is called in a language."""

    language: str
    phrases: Sequence[str]
    """Of the lexicon; none if a text was found by a rule alone."""
    example_count: int
    """Examples of the dataset whose texts of that language name it."""


class Elsewhere(NamedTuple):
    """Another run in which images show it or neurons stand for it."""

    dataset: str
    run_id: str
    model_id: str
    labelled_count: int


@dataclass(frozen=True)
class Concept:
    """What a page of it says."""

    run: FoundRun
    category: str
    concept: str
    labelled: NeuronPage
    """Neurons that stand for it, the most convincing first."""
    tellers: Sequence[tuple[Neuron, Teller]]
    cold: Sequence[tuple[Neuron, Teller]]
    """Neurons that answer less where it is shown."""
    forms: Sequence[Forms]
    images: Sequence[tuple[ImageGroup, Sequence[Picture]]]
    phrases: Sequence[Phrases]

    @property
    def image_count(self) -> int:
        """Distinct images that show it, by anyone's word."""
        return sum(group.image_count for group, _ in self.images)

    @property
    def image_ids(self) -> list[int]:
        """Those of them that the page shows."""
        return [example_id for group, _ in self.images for example_id in group.ids]


_THIS = "dataset = $dataset and run_id = $run_id and category = $category and concept = $concept"

_TELLERS = f"""
with told as (
    select * replace (coalesce(direction, 'positive') as direction)
    from neuron_concepts
    where {_THIS} and coalesce(q_value <= 0.05, lift > 1)
    qualify
        row_number() over (
            partition by layer, unit
            order by
                abs(auroc - 0.5) desc nulls last,
                list_position(['stimulus', 'texts', 'similarity'], origin)
        ) = 1
)

select
    layer, unit, told.origin, direction, auroc, told.q_value, told.lift, labels.concept,
    labels.is_labelled,
from told
inner join neuron_labels as labels using (dataset, run_id, layer, unit)
where not (labels.is_labelled and labels.concept = $concept and labels.category = $category)
qualify
    row_number() over (
        partition by direction
        order by abs(auroc - 0.5) desc nulls last, told.lift desc nulls last, layer, unit
    ) <= {TELLER_COUNT}
order by abs(auroc - 0.5) desc nulls last, told.lift desc nulls last, layer, unit
"""

_FORMS = f"""
select
    layer, unit, facet_origin, is_label, multimodality_index, p_value, language_index, is_thin,
    facet_aurocs,
from neuron_multimodality
where {_THIS} and len(map_keys(facet_aurocs)) > 0
qualify
    row_number() over (
        partition by layer, unit, facet_origin order by is_label desc, candidate_rank asc, origin asc
    ) = 1
order by
    facet_origin desc, is_label desc, multimodality_index desc nulls last, layer, unit
"""

_IMAGES = f"""
with showing as (
    select example_id, list(distinct origin order by origin) as origins
    from run_concepts
    where {_THIS}
    group by example_id
),

forms as (
    select example_id, facet
    from example_facets
    where dataset = $dataset and run_id = $run_id
),

placed as (
    select
        origins, example_id,
        row_number() over (partition by origins, facet order by example_id) as place,
    from showing
    left join forms using (example_id)
)

select
    origins, count(*) as image_count,
    list(example_id order by place, example_id)[:{PICTURE_COUNT}] as ids,
from placed
group by origins
order by len(origins) desc, origins
"""

_PHRASES = """
with named as (
    select language, list(distinct phrase order by phrase) as phrases
    from lexicon
    where concept = $concept and category = $category and rule is null
    group by language
),

spoken as (
    select unnest(languages) as language, example_id
    from example_concepts
    where dataset = $dataset and concept = $concept and category = $category
),

found as (
    select language, count(*) as example_count
    from spoken
    group by language
)

select
    language, coalesce(phrases, []) as phrases, coalesce(example_count, 0) as example_count,
from named
full join found using (language)
order by example_count desc, language
"""

_ELSEWHERE = """
with shown as (
    select distinct dataset, run_id
    from run_concepts
    where category = $category and concept = $concept
),

labelled as (
    select dataset, run_id, count(*) as labelled_count
    from neuron_labels
    where category = $category and concept = $concept and is_labelled
    group by dataset, run_id
)

select dataset, run_id, model_id, coalesce(labelled_count, 0) as labelled_count,
from stg_runs
inner join shown using (dataset, run_id)
left join labelled using (dataset, run_id)
where (dataset, run_id) is distinct from ($dataset, $run_id)
order by dataset, run_id
"""


def gather_concept(
    view: View, dataset: str, run_id: str, category: str, concept: str, count: int
) -> Concept:
    """Ask the views for all that is known of a concept in a run.

    Args:
        view: Asks.
        dataset: Of the run.
        run_id: The run's id, or the beginning of it.
        category: Its family.
        concept: Its name.
        count: Labelled neurons, at most.

    Raises:
        WarehouseError: There is no such run, or nothing is known of the concept in it.
    """
    run = find_run(view.connection, dataset, run_id)
    this = {
        "dataset": run.dataset,
        "run_id": run.run_id,
        "category": category,
        "concept": concept,
    }
    of_dataset = {name: value for name, value in this.items() if name != "run_id"}
    groups = view.ask(_IMAGES, ImageGroup, **this)
    phrases = view.ask(_PHRASES, Phrases, **of_dataset)
    labelled = list_labelled(view, run.dataset, run.run_id, category, concept, count)
    if not (groups or phrases or labelled.count):
        raise WarehouseError(
            f"No concept {concept!r} of the category {category!r} is known in run {run.run_id!r}.",
            "Follow a link of a page, or search for it.",
        )
    pictures = name_pictures(
        view.connection, run.dataset, [i for group in groups for i in group.ids]
    )

    tellers = [
        (Neuron(run.dataset, run.run_id, row.layer, row.unit), row)
        for row in view.ask(_TELLERS, Teller, **this)
    ]
    return Concept(
        run=run,
        category=category,
        concept=concept,
        labelled=labelled,
        tellers=[one for one in tellers if one[1].direction == "positive"],
        cold=[one for one in tellers if one[1].direction == "negative"],
        forms=_gather_forms(view, run, this),
        images=[(group, [pictures[i] for i in group.ids]) for group in groups],
        phrases=phrases,
    )


def list_elsewhere(view: View, run: FoundRun, category: str, concept: str) -> list[Elsewhere]:
    """Other runs that know the concept.

    Args:
        view: Asks.
        run: The one that is left out.
        category: Its family.
        concept: Its name.
    """
    asked = {"dataset": run.dataset, "run_id": run.run_id}
    return view.ask(_ELSEWHERE, Elsewhere, **asked, category=category, concept=concept)


def _gather_forms(view: View, run: FoundRun, this: Mapping[str, str]) -> list[Forms]:
    rows: dict[str, list[FormRow]] = {}
    for row in view.ask(_FORMS, FormRow, **this):
        rows.setdefault(row.facet_origin, []).append(row)
    return [
        Forms(
            origin,
            sorted({facet for row in found for facet in row.facet_aurocs}),
            [
                (Neuron(run.dataset, run.run_id, row.layer, row.unit), row)
                for row in found[:FORMS_COUNT]
            ],
        )
        for origin, found in rows.items()
    ]
