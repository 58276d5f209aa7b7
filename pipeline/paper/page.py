"""The page: every section of a run, rendered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from pipeline.base.display import show
from pipeline.paper.queries import spell_out
from pipeline.paper.section import DOI, PAPER, PAPER_MODEL, Section, Subject
from pipeline.report.pages import render_page


def render_paper(subject: Subject, sections: Sequence[Section]) -> str:
    """The page, self-contained and without a script.

    Args:
        subject: What the page is about.
        sections: In their order.
    """
    return render_page(
        "paper.html.j2",
        {
            "subject": subject,
            "sections": [
                (one, [spell_out(query, subject.ask.where) for query in one.sql])
                for one in sections
            ],
            "found": [one for one in sections if one.missing is None],
            "paper": PAPER,
            "doi": DOI,
            "paper_model": PAPER_MODEL,
            "show_cell": show_cell,
            "show_lines": show_lines,
        },
    )


def show_lines(lines: Iterable[str]) -> Markup:
    """Lines below each other; text of users is shown, and no line of it becomes two."""
    return Markup("\n").join(show(line) for line in lines)


def show_cell(cell: str | float | None) -> str:
    """A cell of a table, for a person."""
    if cell is None:
        return "–"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.4g}" if isinstance(cell, float) else cell
