"""A neuron's card as one self-contained page; it holds what the picture holds, and the numbers."""

from __future__ import annotations

from functools import partial

from markupsafe import Markup

from pipeline.report import charts, label_words, support_words, words
from pipeline.report.card import Card
from pipeline.report.drawn import describe_drawn
from pipeline.report.figures import (
    draw_histogram,
    draw_samples,
    sample_stride,
    sd_range,
)
from pipeline.report.pages import render_page
from pipeline.report.svg import draw_svg
from pipeline.warehouse.layer_axes import AXES


def render_card(card: Card) -> str:
    """The page."""
    return render_page(
        "card.html.j2",
        {
            "card": card,
            "words": words,
            "label_words": label_words,
            "support_words": support_words,
            "axes": AXES,
            "describe_drawn": describe_drawn,
            "distribution": _distribution(card),
            "stride": _stride(card),
            "strata": _strata(card),
            "probabilities": _probabilities(card),
            "densities": charts.densities(card.probabilities, card.axis),
        },
    )


def _stride(card: Card) -> int:
    if not card.histogram:
        return 1
    return sample_stride(card.samples, charts.WIDE_PX - 72, sd_range(card))


def _distribution(card: Card) -> Markup | None:
    if not card.histogram:
        return None
    limits = sd_range(card)
    if not card.samples:
        return charts.histogram(card, limits)
    bars = partial(draw_histogram, card=card, limits=limits)
    images = partial(draw_samples, bins=card.samples, limits=limits)
    return Markup(draw_svg(charts.WIDE_PX, 380, (64, 8, 4, 40), images, bars, heights=(168, 150)))


def _strata(card: Card) -> list[tuple[str, Markup]]:
    groups = words.group_strata(card.halle_berry)
    return [(title, charts.strata(items)) for title, items in groups]


def _probabilities(card: Card) -> Markup | None:
    points = card.probabilities
    return charts.probabilities(points, card.axis) if points else None
