"""The Stroop test of a run: does the model answer with the word or with the ink that it is written in?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import WarehouseError
from pipeline.warehouse.find import find_run
from pipeline.web.class_sets import choose_set, find_sets

if TYPE_CHECKING:
    from pipeline.web.view import View


class Summary(NamedTuple):
    """How often the word wins; ``stroop_summary``."""

    cell_count: int
    word_cell_count: int
    ink_cell_count: int
    other_cell_count: int
    word_cell_frac: float | None
    word_cell_low: float | None
    word_cell_high: float | None
    likelier_word_cell_count: int
    card_count: int
    word_card_frac: float | None
    ink_card_frac: float | None
    congruent_count: int
    congruent_correct_frac: float | None
    neutral_count: int
    neutral_correct_frac: float | None


_SUMMARY = f"""
select {", ".join(Summary._fields)}
from stroop_summary
where dataset = $dataset and run_id = $run_id and class_set = $class_set
"""


class Cell(NamedTuple):
    """Cards of one ink and one word; ``stroop_cells``."""

    class_set: str
    ink_name: str
    word_name: str
    """Empty: cards without a colour word."""
    card_kind: str
    card_count: int
    predicted_class: str
    word_count: int
    ink_count: int
    word_probability: float | None
    ink_probability: float | None
    winner: str
    example_id: int
    """Its first card."""


_CELLS = """
with cards as (
    select
        ink_name, coalesce(word_name, '') as word_name, min(example_id) as example_id,
    from stimuli
    where dataset = $dataset and stimulus = 'stroop'
    group by all
)

select
    class_set, ink_name, word_name, card_kind, card_count, predicted_class, word_count, ink_count,
    word_probability, ink_probability, winner, example_id,
from stroop_cells
inner join cards using (ink_name, word_name)
where dataset = $dataset and run_id = $run_id
"""


class CardRow(NamedTuple):
    """A card, and what it is taken for."""

    example_id: int
    text: str | None
    font: str | None
    predicted_class: str
    predicted_probability: float


_CARDS = """
select example_id, text, font, predicted_class, predicted_probability
from stimuli
inner join class_predictions using (dataset, example_id)
where
    dataset = $dataset and run_id = $run_id and class_set = $class_set
    and stimulus = 'stroop' and ink_name = $ink and coalesce(word_name, '') = $word
order by example_id
"""

_INKS = """
select distinct ink_name, ink from stimuli where dataset = $dataset and stimulus = 'stroop'
order by all
"""


def stroop_page(
    view: View,
    dataset: str,
    run_id: str,
    class_set: str = "",
    ink: str | None = None,
    word: str | None = None,
) -> str:
    """The page of a run's Stroop test.

    Args:
        view: Asks and renders.
        dataset: Of the run.
        run_id: The run's id, or the beginning of it.
        class_set: Which of those that the cards were classified with; empty for the first.
        ink: With ``word``, the cell whose cards are shown; the first that is incongruent by default.
        word: Empty for cards without a colour word.

    Raises:
        WarehouseError: There is no such run or cell, or no cards of it were classified.
    """
    run = find_run(view.connection, dataset, run_id)
    this = {"dataset": run.dataset, "run_id": run.run_id}
    known = view.ask(_CELLS, Cell, **this)
    sets = find_sets(view, this, {cell.class_set for cell in known})
    if not sets:
        raise WarehouseError(
            f"Run {run.run_id!r} has no Stroop cards that were classified.",
            f"Classify them with: neurons stroop --dataset {run.dataset}",
        )
    chosen = choose_set(sets, class_set)
    this["class_set"] = chosen.class_set
    cells = {
        (cell.ink_name, cell.word_name): cell
        for cell in known
        if cell.class_set == chosen.class_set
    }
    shown = _choose_cell(cells, ink, word)
    rows = view.connection.execute(_INKS, {"dataset": run.dataset}).fetchall()
    names = sorted({name for name, _ in cells})
    return view.render(
        "stroop.html.j2",
        run=run,
        sets=sets,
        chosen=chosen,
        asked_set=class_set,
        summary=view.ask(_SUMMARY, Summary, **this)[0],
        cells=cells,
        inks=names,
        words=sorted({name for _, name in cells}),
        swatches={name: colour for name, colour in rows if _is_colour(colour)},
        shown=shown,
        cards=view.ask(_CARDS, CardRow, **this, ink=shown.ink_name, word=shown.word_name),
    )


def _choose_cell(cells: dict[tuple[str, str], Cell], ink: str | None, word: str | None) -> Cell:
    if ink is None:
        ordered: Sequence[Cell] = sorted(
            cells.values(), key=lambda cell: (cell.card_kind != "incongruent", cell[:3])
        )
        return ordered[0]
    if (ink, word or "") not in cells:
        raise WarehouseError(
            f"There is no card of the word {word!r} in the ink {ink!r}.",
            "Choose a cell of the table.",
        )
    return cells[ink, word or ""]


def _is_colour(text: str | None) -> bool:
    """Whether it may stand in a style: other people's stimuli state anything."""
    return bool(text and re.fullmatch(r"#[0-9a-fA-F]{6}", text))
