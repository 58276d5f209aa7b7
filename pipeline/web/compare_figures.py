"""The cards of two neurons in figures side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from pipeline.report import charts, label_words, support_words, words
from pipeline.report.card import Card
from pipeline.report.figures import sd_range


class Figure(NamedTuple):
    """A figure of both neurons, in words; a dash where one has none."""

    name: str
    first: str
    second: str


class StratumPair(NamedTuple):
    """AUROC of both within one form or language."""

    dimension: str
    name: str
    facet_origin: str
    first: float | None
    second: float | None


def pair(*sides: Iterable[tuple[str, str]]) -> list[Figure]:
    """Figures of both by their name, in the order of the first that has them."""
    first, second = (dict(side) for side in sides)
    return [
        Figure(name, first.get(name, "–"), second.get(name, "–"))
        for name in dict.fromkeys((*first, *second))
    ]


def list_figures(cards: Sequence[Card]) -> list[Figure]:
    """What is known of both."""
    return pair(*(_figures_of(card) for card in cards))


def _figures_of(card: Card) -> list[tuple[str, str]]:
    stats, number = card.stats, words.describe_number
    return [
        *label_words.label_facts(card.label),
        ("Methods that choose it", label_words.describe_agreement(card.label)),
        ("Images", f"{stats.example_count:,}"),
        ("Above zero", f"{stats.active_frac:.1%}"),
        ("Strongest, in SD", number(stats.max / stats.sd if stats.sd else None, ".1f")),
        ("Skewness", number(stats.skewness, ".3g")),
        ("Excess kurtosis", number(stats.kurtosis, ".3g")),
        ("Sparsity", number(stats.sparsity, ".3g")),
    ]


def list_support(cards: Sequence[Card]) -> list[Figure]:
    """The scores that support the label of either."""
    return pair(
        *(
            [(line.name, line.value) for line in support_words.list_scores(card.support)]
            if card.support
            else []
            for card in cards
        )
    )


def list_strata(cards: Sequence[Card]) -> list[StratumPair]:
    """Forms and languages in which either was tested."""
    sides = [
        {(s.dimension, s.name, s.facet_origin): s.auroc for s in card.halle_berry.strata}
        if card.halle_berry
        else {}
        for card in cards
    ]
    pairs = [
        StratumPair(*place, *(side.get(place) for side in sides))
        for place in dict.fromkeys((*sides[0], *sides[1]))
    ]
    return [pair for pair in pairs if pair.first is not None or pair.second is not None]


def draw_histograms(cards: Sequence[Card]) -> list[Markup | None]:
    """Both over the same range, where both are on the same axis."""
    ranges = [sd_range(card) if card.histogram else None for card in cards]
    known = [limits for limits in ranges if limits is not None]
    if len(known) == 2 and cards[0].axis == cards[1].axis:
        one = (min(low for low, _ in known), max(high for _, high in known))
        ranges = [one, one]
    return [
        None if limits is None else charts.histogram(card, limits)
        for card, limits in zip(cards, ranges, strict=True)
    ]
