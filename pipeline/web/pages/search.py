"""What was searched for: concepts, categories and neurons, images by their texts, and the model's own word."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import NeuronsError
from pipeline.warehouse.find import FoundRun, Neuron, find_run, find_runs
from pipeline.web.meanings import find_meanings

if TYPE_CHECKING:
    from pipeline.web.asked_models import AskedModels
    from pipeline.web.view import View

SUGGESTED = 8
"""Suggestions of one kind."""

CONCEPTS = 40
"""Concepts on the page."""

SHOWN_NEURONS = 6
"""Neurons of each concept on the page, and images of each text."""

TEXTS = 36
"""Images whose text holds the words."""

_BEST = """
with asked as (
    select
        unnest($datasets::varchar[]) as dataset, unnest($runs::varchar[]) as run_id,
        unnest($categories::varchar[]) as category, unnest($concepts::varchar[]) as concept,
)

select dataset, run_id, layer, unit, category, concept, score,
from neuron_labels
semi join asked using (dataset, run_id, category, concept)
where is_labelled
qualify
    row_number() over (
        partition by dataset, run_id, category, concept order by score desc, layer, unit
    ) <= $count
order by score desc, layer, unit
"""

_TEXTS = """
with said as (
    select dataset, example_id, min_by(text, (length(text), text)) as text,
    from stg_texts
    where contains(fold(text), fold($text))
    group by dataset, example_id
    order by length(any_value(text)), dataset, example_id
    limit $many
),

runs as (
    select dataset, arg_min(run_id, (run_id <> $run_id, run_id)) as run_id,
    from stg_runs
    group by dataset
)

select dataset, run_id, example_id, text,
from said
inner join runs using (dataset)
inner join stg_examples using (dataset, example_id)
where duplicate_of is null
order by (dataset = $dataset) desc, length(text), dataset, example_id
limit $count
"""


class Labelled(NamedTuple):
    """A neuron that a concept labels."""

    dataset: str
    run_id: str
    layer: str
    unit: int
    category: str
    concept: str
    score: float | None

    @property
    def neuron(self) -> Neuron:
        """Which it is."""
        return Neuron(self.dataset, self.run_id, self.layer, self.unit)


class Said(NamedTuple):
    """An image whose text holds the words."""

    dataset: str
    run_id: str
    example_id: int
    text: str


def suggestions(view: View, text: str, here: tuple[str, str]) -> str:
    """What the words may mean, to choose from while they are typed.

    Args:
        view: Asks and renders.
        text: As it is typed.
        here: Dataset and run of the page that it is typed on.
    """
    found = find_meanings(view.connection, text, SUGGESTED, here)
    return view.render(
        "suggestions.html.j2", text=text.strip(), found=found, is_one_run=_is_one_run(view)
    )


def search_page(view: View, text: str, here: tuple[str, str] = ("", ""), answers: str = "") -> str:
    """The page of a search.

    Args:
        view: Asks and renders.
        text: What was searched for.
        here: Dataset and run whose neurons come first.
        answers: What a model said, of `model_part`.
    """
    text = text.strip()
    found = find_meanings(view.connection, text, CONCEPTS, here)
    best: dict[tuple[str, ...], list[Labelled]] = {}
    for row in view.ask(
        _BEST,
        Labelled,
        datasets=[one.dataset for one in found.concepts],
        runs=[one.run_id for one in found.concepts],
        categories=[one.category for one in found.concepts],
        concepts=[one.concept for one in found.concepts],
        count=SHOWN_NEURONS,
    ):
        best.setdefault((row.dataset, row.run_id, row.category, row.concept), []).append(row)
    return view.render(
        "search.html.j2",
        text=text,
        found=found,
        best=best,
        runs=find_runs(view.connection),
        answers=answers,
        is_one_run=_is_one_run(view),
    )


def texts_part(view: View, text: str, here: tuple[str, str]) -> str:
    """Images whose texts hold the words, a part of the page.

    Args:
        view: Asks and renders.
        text: What was searched for.
        here: Dataset and run whose images come first.
    """
    text = text.strip()
    rows = []
    if text:
        rows = view.ask(
            _TEXTS, Said, text=text, dataset=here[0], run_id=here[1], count=TEXTS, many=20 * TEXTS
        )
    return view.render("search_texts.html.j2", text=text, rows=rows, most=TEXTS)


def model_part(view: View, models: AskedModels, text: str, run: str) -> str:
    """What a run's model makes of the words, a part of the page; also why it says nothing.

    Args:
        view: Asks and renders.
        models: Of the warehouse.
        text: What was searched for.
        run: ``dataset/run_id``.
    """
    dataset, _, run_id = run.rpartition("/")
    asked: FoundRun | None = None
    answers, error = [], None
    try:
        asked = find_run(view.connection, dataset, run_id)
        answers = models.ask(view.connection, text.strip(), asked)
    except NeuronsError as found:
        error = found
    return view.render(
        "search_model.html.j2", text=text.strip(), run=asked, answers=answers, error=error
    )


def _is_one_run(view: View) -> bool:
    """Whether it goes without saying which run is meant."""
    ((count,),) = view.connection.execute("select count(*) from stg_runs").fetchall()
    return bool(count == 1)
