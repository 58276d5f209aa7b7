"""The Stroop grid: colour words in coloured ink, and which of the two the model answers with."""

from __future__ import annotations

from typing import NamedTuple

from markupsafe import Markup

from pipeline.paper.queries import SAME_MODEL, spell_out
from pipeline.paper.section import (
    Chart,
    Missing,
    Row,
    Section,
    Subject,
    tell_interval,
    tell_percent,
    tell_share,
)
from pipeline.report.shapes import box, svg, text

SUMMARY = f"""
with
{SAME_MODEL}
select
    dataset, run_id, class_set, cell_count, word_cell_count, word_cell_low, word_cell_high, card_count,
    word_card_frac, ink_card_frac, neutral_count, neutral_correct_frac,
from stroop_summary
inner join models using (dataset, run_id)
order by is_own desc, cell_count desc, dataset, run_id, class_set
limit 1
"""

CELLS = """
select ink_name, word_name, predicted_class, winner
from stroop_cells
where dataset = $dataset and run_id = $run_id and class_set = $class_set
order by ink_name, word_name
"""

_CELL_PX, _HEAD_PX, _SIDE_PX = (76, 34), 44, 104
_FILLS = {"word": "orange", "ink": "blue", "both": "band", "other": "paper"}


class _Summary(NamedTuple):
    dataset: str
    run_id: str
    class_set: str
    cell_count: int
    word_cell_count: int
    word_cell_low: float | None
    word_cell_high: float | None
    card_count: int
    word_card_frac: float | None
    ink_card_frac: float | None
    neutral_count: int
    neutral_correct_frac: float | None


class _Cell(NamedTuple):
    ink_name: str
    word_name: str
    predicted_class: str
    winner: str


def make_section(subject: Subject) -> Section:
    """Stroop cards of this run, or of another dataset by the same weights."""
    found = subject.ask(SUMMARY, _Summary)
    id_, title, figure = (
        "stroop",
        "The Stroop effect",
        "the grid of colour words, section “The Stroop effect”",
    )
    published = "49 of 49"
    if not found:
        return Section(
            id_,
            title,
            figure,
            rows=[Row("cells that the word wins, not the ink", published, "", "", "", "")],
            missing=Missing(
                "No Stroop cards were classified by this model here.",
                (
                    "neurons stimuli stroop --dataset cards",
                    f"neurons stroop --dataset cards --model {subject.run.model_id}",
                ),
            ),
        )
    (one,) = found
    where = {"dataset": one.dataset, "run_id": one.run_id, "class_set": one.class_set}
    answer = subject.ask.connection.execute(CELLS, where).fetchall()
    cells = [_Cell(*row) for row in answer]
    neutral = (
        f"ink named right on neutral cards {tell_percent(one.neutral_correct_frac)} "
        f"of {one.neutral_count}"
    )
    return Section(
        id_,
        title,
        figure,
        told=(
            f"A colour's name is written in the ink of another colour ({one.dataset}), and "
            f"{subject.run.model_id} is asked for the colour of the ink. A cell is a pair of ink and word; "
            "the answer that most of its cards get counts. The control is a card without a colour word: a "
            "model that cannot name the ink there loses to any word.",
        ),
        rows=[
            Row(
                "cells that the word wins, not the ink",
                published,
                tell_share(one.word_cell_count, one.cell_count),
                f"{one.cell_count} cells, {one.card_count} cards",
                tell_interval(one.word_cell_low, one.word_cell_high),
                neutral,
            ),
            Row(
                "cards answered with the word",
                "",
                tell_percent(one.word_card_frac),
                f"{one.card_count} cards",
                "",
                f"with the ink {tell_percent(one.ink_card_frac)}",
            ),
        ],
        parts=[
            Chart(
                "Answers: orange where the word wins, blue where the ink does, grey where both are the same; "
                "without colour: a third one, or a card without a word.",
                "; ".join(
                    f"{cell.word_name or 'no word'} in {cell.ink_name}: {cell.predicted_class}"
                    for cell in cells
                ),
                *_grid(cells),
            )
        ],
        sql=(SUMMARY, spell_out(CELLS, where)),
    )


def _grid(cells: list[_Cell]) -> tuple[Markup, int]:
    """The grid and its width, px: a row for each ink, a column for each word."""
    inks = sorted({cell.ink_name for cell in cells})
    words = sorted({cell.word_name for cell in cells}, key=lambda word: (not word, word))
    width, height = _CELL_PX
    parts = [text(_SIDE_PX - 8, _HEAD_PX - 10, "ink ↓  word →", "faint", "end")]
    for column, word in enumerate(words):
        x = _SIDE_PX + column * width + width / 2
        parts.append(text(x, _HEAD_PX - 10, word or "no word", "faint", "middle"))
    for row, ink in enumerate(inks):
        y = _HEAD_PX + row * height + height / 2 + 4
        parts.append(text(_SIDE_PX - 8, y, ink, "faint", "end"))
    for cell in cells:
        x = _SIDE_PX + words.index(cell.word_name) * width
        y = _HEAD_PX + inks.index(cell.ink_name) * height
        fill = _FILLS[cell.winner] if cell.word_name else "paper"
        outline = 'stroke="var(--paper)"' if fill != "paper" else 'stroke="var(--rule)"'
        parts.append(box(x + 1, y + 1, width - 2, height - 2, fill, outline))
        colour = "paper" if fill in ("orange", "blue") else "ink"
        parts.append(
            text(x + width / 2, y + height / 2 + 4, cell.predicted_class, colour, "middle")
        )
    size = _SIDE_PX + len(words) * width, _HEAD_PX + len(inks) * height
    return svg(*size, *parts), size[0]
