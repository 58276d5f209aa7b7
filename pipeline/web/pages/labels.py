"""Labels by people: one image at a time, blind; and what came of it, beside the automatic labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pipeline.base.question_settings import SheetOptions
from pipeline.warehouse.find import Neuron, find_layers

if TYPE_CHECKING:
    from pipeline.web.answering import Progress
    from pipeline.web.chosen import Chosen
    from pipeline.web.view import View

STRONGEST = 10
"""Of so many of the strongest labelled images the word is taken that was said most."""


@dataclass(frozen=True)
class LabelledRun:
    """A run, and how much people said of it."""

    dataset: str
    run_id: str
    model_id: str
    answer_count: int
    neuron_count: int
    labeller_count: int


_RUNS = """
select
    dataset, run_id, any_value(runs.model_id) as model_id, count(example_id) as answer_count,
    count(distinct (layer, unit)) filter (example_id is not null) as neuron_count,
    count(distinct labeller) as labeller_count,
from runs
left join human_labels using (dataset, run_id)
group by dataset, run_id
order by answer_count desc, dataset, run_id
"""


@dataclass(frozen=True)
class LabelledNeuron:
    """What one person says of one neuron, beside its label."""

    dataset: str
    run_id: str
    layer: str
    unit: int
    labeller: str
    image_count: int
    word: str | None
    """What is said of most of the strongest; None if all of them are "none"."""
    word_count: int | None
    """Of how many of them."""
    strongest_count: int
    """Of how many there are."""
    auroc: float | None
    """Of the images of which the word is said against the others."""
    concept: str | None
    is_labelled: bool
    score: float | None
    is_same: bool | None
    """Whether the word names the label's concept, in any language."""
    pair_count: int
    """Images of the neuron that this person and another labelled, once for each other."""
    same_count: int
    """Of these, where both say the same."""

    @property
    def neuron(self) -> Neuron:
        """Which it is."""
        return Neuron(self.dataset, self.run_id, self.layer, self.unit)


_NEURONS = f"""
with

said as materialized (
    select
        layer, unit, labeller, example_id, category, activation,
        row_number() over person as strength,
    from human_labels
    where dataset = $dataset and run_id = $run_id and coalesce(layer = $layer, true)
    window person as (
        partition by layer, unit, labeller order by activation desc nulls last, example_id
    )
),

people as (
    select
        layer, unit, labeller, count(*) as image_count,
        least(count(*), {STRONGEST}) as strongest_count,
    from said
    group by all
),

words as (
    select layer, unit, labeller, category as word, count(*) as word_count,
    from said
    where strength <= {STRONGEST} and category != 'none'
    group by layer, unit, labeller, category
    qualify
        row_number() over (
            partition by layer, unit, labeller order by word_count desc, word
        ) = 1
),

ranked as (
    select
        layer, unit, labeller, category = word as is_hit,
        rank() over person + (count(*) over (partition by layer, unit, labeller, activation) - 1) / 2
            as place,
    from said
    inner join words using (layer, unit, labeller)
    where activation is not null
    window person as (partition by layer, unit, labeller order by activation)
),

told as (
    select
        layer, unit, labeller,
        (sum(place) filter (is_hit) - count(*) filter (is_hit) * (count(*) filter (is_hit) + 1) / 2)
            / nullif(count(*) filter (is_hit) * count(*) filter (not is_hit), 0) as auroc,
    from ranked
    group by all
),

pairs as (
    select
        one.layer, one.unit, one.labeller, count(*) as pair_count,
        count(*) filter (lower(one.category) = lower(other.category)) as same_count,
    from said as one
    inner join said as other
        on
            one.layer = other.layer and one.unit = other.unit
            and one.example_id = other.example_id and one.labeller != other.labeller
    group by all
),

named as (
    select distinct lower(phrase) as word, concept
    from lexicon
    where rule is null and lower(phrase) in (select lower(word) from words)
)

select
    $dataset as dataset, $run_id as run_id, layer, unit, labeller, image_count, words.word,
    word_count, strongest_count, auroc, labels.concept, coalesce(is_labelled, false) as is_labelled,
    score,
    lower(words.word) = lower(labels.concept) or named.word is not null as is_same,
    coalesce(pair_count, 0) as pair_count, coalesce(same_count, 0) as same_count,
from people
left join words using (layer, unit, labeller)
left join told using (layer, unit, labeller)
left join pairs using (layer, unit, labeller)
left join neuron_labels as labels
    on
        people.layer = labels.layer and people.unit = labels.unit
        and labels.dataset = $dataset and labels.run_id = $run_id
left join named on lower(words.word) = named.word and labels.concept = named.concept
order by people.layer, people.unit, labeller
"""


def labels_page(view: View, labeller: str | None) -> str:
    """What there is, and how to begin.

    Args:
        view: Asks and renders.
        labeller: Whose answers are saved; None if none are.
    """
    runs = view.ask(_RUNS, LabelledRun)
    return view.render("labels.html.j2", runs=runs, labeller=labeller)


def labelled_page(
    view: View, dataset: str, run_id: str, layer: str | None, newer_count: int, here: str
) -> str:
    """What people said of the neurons of a run or a layer.

    Args:
        view: Asks and renders.
        dataset: Of the run.
        run_id: The run.
        layer: Canonical name; None for all.
        newer_count: Answers that the connection does not show yet.
        here: The page's own address.

    Raises:
        WarehouseError: There is no such run or layer.
    """
    find_layers(view.connection, dataset, run_id, layer)
    rows = view.ask(_NEURONS, LabelledNeuron, dataset=dataset, run_id=run_id, layer=layer)
    # The two sides of a pair are both counted.
    return view.render(
        "labelled.html.j2",
        dataset=dataset,
        run_id=run_id,
        layer=layer,
        rows=rows,
        newer_count=newer_count,
        here=here,
        pair_count=sum(row.pair_count for row in rows) // 2,
        same_count=sum(row.same_count for row in rows) // 2,
        judged=[row for row in rows if row.is_labelled and row.word is not None],
        strongest=STRONGEST,
    )


def labelling_page(
    view: View,
    progress: Progress,
    item: int | None,
    words: list[str],
    labeller: str,
    chosen: Chosen | None = None,
) -> str:
    """One image to label; or, if none is left, what next.

    Args:
        view: Asks and renders.
        progress: The sheet, and what was said of it.
        item: Which image; the next without an answer if it is None.
        words: That are offered.
        labeller: Who labels.
        chosen: The list that leads through several neurons.
    """
    sheet = progress.sheet
    item = progress.next_open() if item is None else min(max(item, 1), progress.count)
    changed = asdict(sheet.options).items() - asdict(SheetOptions()).items()
    carried = {**(chosen.carried if chosen else {}), **dict(sorted(changed))}
    following = None if item is None else item % progress.count + 1
    return view.render(
        "labelling.html.j2",
        progress=progress,
        sheet=sheet,
        neuron=sheet.neuron,
        item=item,
        said=None if item is None else progress.said.get(item),
        example_id=None if item is None else sheet.example_ids[item - 1],
        after_id=None if following is None else sheet.example_ids[following - 1],
        skip=None if item is None else progress.next_open(item),
        words=words,
        labeller=labeller,
        chosen=chosen,
        place=chosen and chosen.around(sheet.neuron),
        carried=carried,
    )


def off_page(view: View, neuron: Neuron) -> str:
    """How labelling is switched on.

    Args:
        view: Renders.
        neuron: Which was meant.
    """
    return view.render("labels_off.html.j2", neuron=neuron)
