"""A neuron's card as one self-contained page; it holds what the picture holds, and the numbers."""

from __future__ import annotations

from functools import partial

from markupsafe import Markup

from pipeline.report import label_words, support_words, words
from pipeline.report.card import Card
from pipeline.report.figures import (
    draw_histogram,
    draw_probabilities,
    draw_samples,
    draw_strata,
    sample_stride,
    sd_range,
)
from pipeline.report.pages import render_page
from pipeline.report.svg import draw_svg
from pipeline.warehouse.layer_axes import AXES

_WIDE_PX, _HALF_PX = 1120, 560
_STRATUM_PX = 26


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
            "distribution": _distribution(card),
            "stride": _stride(card),
            "strata": _strata(card),
            "probabilities": _probabilities(card),
        },
    )


def _stride(card: Card) -> int:
    if not card.histogram:
        return 1
    return sample_stride(card.samples, _WIDE_PX - 72, sd_range(card))


def _distribution(card: Card) -> Markup | None:
    if not card.histogram:
        return None
    limits = sd_range(card)
    bars = partial(draw_histogram, card=card, limits=limits)
    if not card.samples:
        return Markup(draw_svg(_WIDE_PX, 210, (64, 8, 6, 40), bars))
    images = partial(draw_samples, bins=card.samples, limits=limits)
    return Markup(draw_svg(_WIDE_PX, 380, (64, 8, 4, 40), images, bars, heights=(168, 150)))


def _strata(card: Card) -> list[tuple[str, Markup]]:
    groups = words.group_strata(card.halle_berry)
    return [
        (
            title,
            Markup(
                draw_svg(
                    _HALF_PX,
                    _STRATUM_PX * len(items) + 46,
                    (120, 175, 4, 42),
                    partial(draw_strata, strata=items),
                )
            ),
        )
        for title, items in groups
    ]


def _probabilities(card: Card) -> Markup | None:
    if not card.probabilities:
        return None
    names = len({point.what for point in card.probabilities})
    draw = partial(draw_probabilities, points=card.probabilities, axis=card.axis)
    return Markup(draw_svg(_HALF_PX, 330 + 21 * names, (48, 10, 14 + 21 * names, 42), draw))
