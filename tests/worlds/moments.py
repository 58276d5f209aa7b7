"""Moments of activations in exact arithmetic, and how far the sums of shards and runs are from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from rounding import LIBRARY, Near, gamma, near, total

TINY = Fraction(1, 2**1074)


@dataclass(frozen=True)
class Moments:
    """Sums of one neuron: of the activations, their squares, deviations from the mean, and responses."""

    count: int
    plain: Near
    squares: Near
    central: dict[int, Near]
    positive: Near
    positive_squares: Near

    def sums(self) -> list[Near]:
        """As ``shard_stats`` has them: values, squares, three of deviations, responses, their squares."""
        deviations = self.central.values()
        return [self.plain, self.squares, *deviations, self.positive, self.positive_squares]

    @property
    def mean(self) -> Near:
        return self.plain / self.count


def moments_of(row: np.ndarray[Any, Any]) -> Moments:
    """Of one pass over float16 or float32 ``[N]``, whose values and squares are exact in doubles.

    The mean is wrong by t, at most that of its sum and division. Deviations a from the exact mean become
    a - t, rounded; their p-th power has 2 p - 1 roundings, and their sum as many as there are others. Of
    a - t, sums of powers are exactly: sum a^2 + n t^2; sum a^3 - 3 t sum a^2 - n t^3; and sum a^4
    - 4 t sum a^3 + 6 t^2 sum a^2 + n t^4.
    """
    count = len(row)
    whole, unit = _as_integers(row)
    above = [max(x, 0) for x in whole]
    plain, positive = _sum(whole, unit), _sum(above, unit)
    squares, positive_squares = (_sum([x * x for x in xs], unit**2) for xs in (whole, above))
    if not count:
        nothing = near(0)
        return Moments(
            0, plain, squares, dict.fromkeys((2, 3, 4), nothing), positive, positive_squares
        )
    start = sum(whole)
    away = [count * x - start for x in whole]
    step = unit / count
    signed = {p: sum(a**p for a in away) * step**p for p in (2, 3, 4)}
    size = {p: sum(abs(a) ** p for a in away) * step**p for p in (1, 2, 3, 4)}
    t = (plain / count).error
    moved = {
        2: count * t**2,
        3: 3 * t * size[2] + count * t**3,
        4: 4 * t * abs(signed[3]) + 6 * t**2 * size[2] + count * t**4,
    }
    larger = {  # sums of (|a| + t)^p
        2: size[2] + 2 * t * size[1] + count * t**2,
        3: size[3] + 3 * t * size[2] + 3 * t**2 * size[1] + count * t**3,
        4: size[4] + 4 * t * size[3] + 6 * t**2 * size[2] + 4 * t**3 * size[1] + count * t**4,
    }
    central = {
        p: Near(signed[p], moved[p] + gamma(2 * p - 1 + count - 1) * larger[p] + 2 * count * TINY)
        for p in (2, 3, 4)
    }
    return Moments(count, plain, squares, central, positive, positive_squares)


def merged(parts: Sequence[Moments]) -> Moments:
    """Of disjoint parts, merged as Pebay 2008 does; powers by products or by the library."""
    parts = [part for part in parts if part.count]
    count = sum(part.count for part in parts)
    plain = total(part.plain for part in parts)
    terms: dict[int, list[Near]] = {2: [], 3: [], 4: []}
    for part in parts:
        second, third, fourth = (part.central[p] for p in (2, 3, 4))
        away = part.mean - plain / count
        square = (away * away).rounded(LIBRARY)
        cube, tesseract = (square * away).rounded(LIBRARY), (square * square).rounded(LIBRARY)
        terms[2] += [second, part.count * square]
        terms[3] += [third, 3 * away * second, part.count * cube]
        terms[4] += [fourth, 4 * away * third, 6 * square * second, part.count * tesseract]
    return Moments(
        count,
        plain,
        total(part.squares for part in parts),
        {p: total(each) for p, each in terms.items()},
        total(part.positive for part in parts),
        total(part.positive_squares for part in parts),
    )


def _as_integers(row: np.ndarray[Any, Any]) -> tuple[list[int], Fraction]:
    """Exactly, and the unit that they count."""
    places = {np.dtype(np.float16): 24, np.dtype(np.float32): 149}[row.dtype]
    return [int(x) for x in np.ldexp(row.astype(np.float64), places).tolist()], Fraction(
        1, 2**places
    )


def _sum(terms: list[int], unit: Fraction) -> Near:
    """Of exact terms, added in any order."""
    size = sum(abs(term) for term in terms) * unit
    return Near(sum(terms) * unit, gamma(max(0, len(terms) - 1)) * size)
