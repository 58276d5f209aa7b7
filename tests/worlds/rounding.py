"""How far floating point may be from exact arithmetic: derived step by step, for the numbers at hand.

A test computes what it expects with `Near`s, in the steps of the computation it tests: the value is
exact whatever the steps, and the error is the most that rounding can have done in these steps (Higham
2002, Accuracy and Stability of Numerical Algorithms, 2.2, 3.1 and 4.2). ``got == near`` is true within
that error. So no tolerance is chosen, and none depends on the order in which a processor adds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral
from typing import Any

import mpmath
import numpy as np

DOUBLE, SINGLE = Fraction(1, 2**53), Fraction(1, 2**24)
"""Unit roundoffs: one operation is wrong by at most this share of its result."""
LIBRARY = 2
"""Roundoffs of exp, ln and powers: glibc and others promise less than one unit in the last place."""
_TINY = Fraction(1, 2**1074)  # what underflow adds
_FINE = mpmath.MPContext()
_FINE.prec = 200
_FINEST = Fraction(1, 2**190)


def gamma(steps: int, unit: Fraction = DOUBLE) -> Fraction:
    """The share by which so many roundings, one on top of another, can change a number."""
    return steps * unit / (1 - steps * unit)


def _up(error: Fraction) -> Fraction:
    """Somewhat more, with few digits."""
    return Fraction(math.nextafter(float(error), math.inf))


@dataclass(frozen=True, eq=False)
class Near:
    """An exact number, and how far from it a computation of it can be.

    ``Near(x)`` is a number that is given as it is; numbers that stand beside a `Near` in an expression
    are taken as exact. Each operation rounds once, as a double.
    """

    exact: Fraction
    error: Fraction = Fraction(0)

    def rounded(self, times: int = 1, unit: Fraction = DOUBLE) -> Near:
        """After so many roundings; with `SINGLE`, once, as when it is stored in 32 bits."""
        most = gamma(times, unit) * (abs(self.exact) + self.error) + times * _TINY
        return Near(self.exact, _up(self.error + most))

    def __add__(self, other: Any) -> Near:
        other = near(other)
        return Near(self.exact + other.exact, self.error + other.error).rounded()

    def __neg__(self) -> Near:
        return Near(-self.exact, self.error)

    def __sub__(self, other: Any) -> Near:
        return self + -near(other)

    def __mul__(self, other: Any) -> Near:
        other = near(other)
        error = abs(self.exact) * other.error + self.error * (abs(other.exact) + other.error)
        return Near(self.exact * other.exact, error).rounded()

    def __truediv__(self, other: Any) -> Near:
        other = near(other)
        least = abs(other.exact) - other.error
        assert least > 0, f"a divisor that can be zero: {other}"
        exact = self.exact / other.exact
        return Near(exact, (self.error + abs(exact) * other.error) / least).rounded()

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Any) -> Near:
        return near(other) - self

    def __rtruediv__(self, other: Any) -> Near:
        return near(other) / self

    def power(self, exponent: float) -> Near:
        """Of what is above zero, to a power above one, by the library: rounded as that says."""
        middle, high = _fine(self.exact) ** exponent, _fine(self.exact + self.error) ** exponent
        return _library(middle, _plain(high - middle))

    def sqrt(self) -> Near:
        """Rounded once, as IEEE 754 asks for: sqrt is concave, so below it falls by e / sqrt(x) at most."""
        if not self.exact and not self.error:
            return self
        assert self.exact > self.error, f"can be below zero: {self}"
        root = _plain(_fine(self.exact).sqrt())
        return Near(root, self.error / root + root * _FINEST).rounded()

    def exp(self) -> Near:
        assert self.error < 1, f"no good start: {self}"
        middle = _FINE.exp(_fine(self.exact))
        return _library(middle, _plain(middle) * self.error / (1 - self.error))

    def ln(self) -> Near:
        assert self.exact > self.error, f"can be zero or below: {self}"
        return _library(_FINE.log(_fine(self.exact)), self.error / (self.exact - self.error))

    def at_most(self, bound: Fraction | int) -> Near:
        """The smaller of the two."""
        return Near(min(self.exact, Fraction(bound)), self.error)

    def at_least(self, bound: Fraction | int) -> Near:
        """The larger of the two."""
        return Near(max(self.exact, Fraction(bound)), self.error)

    def __eq__(self, got: object) -> bool:
        if not isinstance(got, (int, float, np.number)) or not math.isfinite(got):
            return False
        return abs(Fraction(float(got)) - self.exact) <= self.error

    __hash__ = None  # type: ignore[assignment]  # how Python says that equals may differ in hash

    def __repr__(self) -> str:
        return f"{float(self.exact)!r} +- {float(self.error):.1e}"


def _library(value: Any, error: Fraction) -> Near:
    """What a function of the library gives, of an argument that makes it wrong by so much."""
    exact = _plain(value)
    return Near(exact, error + abs(exact) * _FINEST).rounded(LIBRARY)


def near(number: Any) -> Near:
    """A number as it is given, exactly; `Near`s as they are."""
    if isinstance(number, Near):
        return number
    if isinstance(number, Integral):
        number = Fraction(int(number))
    return Near(number if isinstance(number, Fraction) else Fraction(float(number)))


def total(terms: Iterable[Any]) -> Near:
    """A sum, in whatever order and grouping, of terms that may be wrong themselves."""
    numbers: Sequence[Near] = [near(term) for term in terms]
    wrong = sum((n.error for n in numbers), Fraction(0))
    size = sum((abs(n.exact) for n in numbers), Fraction(0)) + wrong
    error = wrong + gamma(max(0, len(numbers) - 1)) * size
    return Near(sum((n.exact for n in numbers), Fraction(0)), _up(error) if error else error)


def log_erfc(y: Near) -> Near:
    """``ln erfc(y)`` by Cody's rational functions, as the macro erfc_log: for y at or above zero.

    Their coefficients are positive, so Horner's rule with 8 steps is wrong by 16 roundoffs, a quotient of
    two by 33, and by one more since the fit is (Cody 1969: 6e-19); 1 - erf where erf <= 0.493 doubles
    what its smaller polynomials do, 27. ln of it adds twice itself, which is at most 2, and - y * y, which
    is at most the result, two roundings: 42 + 3 |result| roundoffs. The slope of ln erfc is at most
    2 y + 2 / sqrt(pi) in size (Mills' ratio).
    """
    value = _plain(_FINE.log(_FINE.erfc(_fine(y.exact))))
    slope = 2 * (y.exact + y.error) + Fraction(113, 100)
    return Near(value, _up(y.error * slope + (42 + 3 * abs(value)) * DOUBLE))


def normal_log_tail(z: Near) -> Near:
    """``ln P(Z >= z)`` of a standard normal Z, as the macro of that name; its constants are rounded."""
    root = Near(_plain(_FINE.sqrt(2))).rounded()
    return log_erfc(z / root) - Near(_plain(_FINE.log(2))).rounded()


def hypergeometric_log_tail(population: int, marked: int, drawn: int, hits: int) -> Near:
    """``ln P(X >= hits)``, from binomials, as the macro of that name: hits are possible."""
    tail = hypergeometric_tail(population, marked, drawn, hits)
    few, many = sorted((marked, drawn))
    if tail == 1:
        return Near(Fraction(0))

    def log_mass(x: int) -> Near:
        ratios = [Fraction((many - j) * (few - j), (population - j) * (j + 1)) for j in range(x)]
        ratios += [Fraction(population - many - j, population - x - j) for j in range(few - x)]
        return total(Near(ratio).rounded().ln() for ratio in ratios)

    def horner(value: Fraction, steps: int) -> Near:
        return (
            Near(value).rounded(6 * steps) if steps else Near(value)
        )  # six operations on what is > 0

    if hits * population > marked * drawn:
        mass = _mass(population, marked, drawn, hits)
        return (log_mass(hits) + horner(tail / mass, few - hits).ln()).at_most(0)
    mass = _mass(population, marked, drawn, hits - 1)
    first = max(0, marked + drawn - population)
    below = log_mass(hits - 1).exp() * horner((1 - tail) / mass, hits - 1 - first)
    return (1 - below).ln()


def _mass(population: int, marked: int, drawn: int, hits: int) -> Fraction:
    ways = math.comb(marked, hits) * math.comb(population - marked, drawn - hits)
    return Fraction(ways, math.comb(population, drawn))


def hypergeometric_tail(population: int, marked: int, drawn: int, hits: int) -> Fraction:
    """P(X >= hits), if hits are possible."""
    first, last = max(hits, marked + drawn - population, 0), min(marked, drawn)
    ways, term = 0, math.comb(marked, first) * math.comb(population - marked, drawn - first)
    for x in range(first, last + 1):
        ways += term
        term = (
            term * (marked - x) * (drawn - x) // ((x + 1) * (population - marked - drawn + x + 1))
        )
    return Fraction(ways, math.comb(population, drawn))


def auroc(positives: Iterable[float], others: Iterable[float]) -> Near:
    """The share of pairs in which the positive is above, ties counting half; divided once.

    Counts, ranks and half ranks are whole in doubles, so that nothing before that rounds.
    """
    positives, others = list(positives), list(others)
    twice = sum(int(p > o) + int(p >= o) for p in positives for o in others)
    return Near(Fraction(twice, 2 * len(positives) * len(others))).rounded()


def benjamini_hochberg(p_values: Sequence[float]) -> list[Near]:
    """Benjamini & Hochberg's q of p that are given, each of a product and a quotient.

    p may have been ordered by its logarithm, which exp follows to `LIBRARY` roundoffs: q rises with each p
    and is as homogeneous as they are, so that this and two roundings are all.
    """
    order = sorted(range(len(p_values)), key=lambda i: -p_values[i])
    found: list[Near] = [Near(Fraction(0))] * len(order)
    least = Fraction(1)
    for place, i in enumerate(order):
        rank = len(order) - place
        least = min(least, Fraction(p_values[i]) * len(order) / rank)
        found[i] = Near(least).rounded(2 + 2 * LIBRARY)
    return found


def _fine(number: Fraction) -> Any:
    return _FINE.mpf(number.numerator) / number.denominator


def _plain(number: Any) -> Fraction:
    """All binary digits of a number of mpmath."""
    sign, mantissa, exponent, _ = number._mpf_
    return (-1) ** sign * Fraction(int(mantissa)) * Fraction(2) ** exponent
