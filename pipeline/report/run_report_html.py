"""A run's report as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup, escape

from pipeline.base.display import show
from pipeline.report import report_words, support_words, words
from pipeline.report.figures import BLUE, FAINT, ORANGE, RULE, draw_bars
from pipeline.report.pages import render_page
from pipeline.report.run_report import Baselines, Multimodality, NeuronFacts, Report
from pipeline.report.svg import draw_svg

_WIDTH_PX, _BAR_PX = 620, 25
FIRST_LINES = 300
"""Neurons of the list that are read without a script; it draws the others when they are asked for."""


@dataclass(frozen=True)
class _Line:
    """A line of the list of all neurons, as it reads."""

    layer: str
    unit: int
    label: str
    category: str
    """Empty if there is no label."""
    figures: tuple[str, ...]
    """AUROC, q, margin, methods, support; empty without a label."""
    card: str
    """Address of its card, if it has one."""


def render_report(report: Report, cards: Mapping[tuple[str, int], str] | None = None) -> str:
    """The page.

    Args:
        report: What it says.
        cards: Addresses of cards, by layer and unit: neurons are linked to theirs.
    """
    lines = [_line(one, cards or {}) for one in report.neurons]
    return render_page(
        "report.html.j2",
        {
            "report": report,
            "first": lines[:FIRST_LINES],
            "rest": _pack(lines[FIRST_LINES:]),
            "cards": cards or {},
            "words": words,
            "report_words": report_words,
            "support_words": support_words,
            "categories": _bars([(name, count, str(count)) for name, count in report.categories]),
            "reasons": _bars([(name, count, str(count)) for name, count in report.reasons]),
            "labelled": _labelled(report.baselines),
            "scores": _scores(report.baselines),
            "multimodal": [
                (row, _multimodal(row)) for row in report.multimodality if row.category == "all"
            ],
        },
    )


def _line(row: NeuronFacts, cards: Mapping[tuple[str, int], str]) -> _Line:
    card = cards.get((row.layer, row.unit), "")
    if not row.is_labelled:
        return _Line(row.layer, row.unit, f"none: {row.reason}", "", ("",) * 5, card)
    figures = (
        words.describe_number(row.score),
        words.describe_q(row.q_value),
        words.describe_number(row.margin, "+.3f"),
        "–" if row.agreement is None else str(row.agreement),
        support_words.say_count(row.supported_count, row.measured_count),
    )
    return _Line(row.layer, row.unit, row.concept or "", row.category or "", figures, card)


def _pack(lines: Sequence[_Line]) -> Markup:
    """Lines of the list as the script reads them, a fifth of a table's size: names once, then their numbers.

    Cells are parted by tabs, lines by line ends: `show` lets neither through.
    """
    numbers: dict[str, int] = {}
    packed = []
    for line in lines:
        names = [
            numbers.setdefault(name, len(numbers))
            for name in (line.layer, line.label, line.category)
        ]
        cells = (names[0], line.unit, *names[1:], *line.figures, line.card)
        packed.append("\t".join(show(cell) for cell in cells).rstrip("\t"))
    if not packed:
        return Markup()
    return escape("\n".join(("\t".join(map(show, numbers)), *packed)))


def _bars(
    rows: Sequence[tuple[str, float, str]], colours: Sequence[str] = (BLUE,)
) -> Markup | None:
    if not rows:
        return None
    names, values, notes = zip(*rows, strict=True)
    draw = partial(draw_bars, names=names, values=values, notes=notes, colours=colours)
    return Markup(draw_svg(_WIDTH_PX, _BAR_PX * len(rows) + 8, (200, 130, 4, 4), draw))


def _labelled(row: Baselines) -> Markup | None:
    bars = [("as they are", row.labelled_frac, f"{row.labelled_frac:.1%}")]
    if row.permuted_frac is not None:
        bars.append(("concepts permuted", row.permuted_frac, f"{row.permuted_frac:.2%}"))
    chance = row.chance_count / row.neuron_count
    bars.append(("expected by chance", chance, f"{chance:.2%}"))
    return _bars(bars, (BLUE, ORANGE, RULE) if len(bars) == 3 else (BLUE, RULE))


def _scores(row: Baselines) -> Markup | None:
    if row.label_score is None or row.constant_score is None:
        return None
    constant = f"{row.constant_score:.3f}, {row.constant_concept}"
    return _bars(
        [
            ("the labels", row.label_score, f"{row.label_score:.3f}"),
            ("one constant label", row.constant_score, constant),
            ("chance", 0.5, "0.5"),
        ],
        (BLUE, ORANGE, RULE),
    )


def _multimodal(row: Multimodality) -> Markup | None:
    """Three thresholds: found, by chance, untrained."""
    bars: list[tuple[str, float, str]] = []
    for threshold, here in row.by_threshold.items():
        values = {
            f"index at least {threshold / 100}": here.found,
            "by chance": here.by_chance,
            "untrained model": here.untrained if row.untrained_run_count else None,
        }
        bars += [
            (name, value, f"{value:.4g}") for name, value in values.items() if value is not None
        ]
    return _bars(bars, (BLUE, ORANGE, FAINT) if row.untrained_run_count else (BLUE, ORANGE))
