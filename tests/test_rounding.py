"""The bounds that tests compare with: rounding stays within them, and little more does."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rounding import SINGLE, Near, auroc, benjamini_hochberg, near, normal_log_tail, total
from scipy.special import log_ndtr

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
above_zero = st.floats(1e-3, 1e6)


@given(st.lists(numbers, max_size=60))
def test_sums_in_any_order_are_within(terms):
    bound = total(terms)
    assert bound.exact == sum(map(Fraction, terms))
    for each in (sum(terms), sum(sorted(terms)), float(np.sum(terms)), math.fsum(terms)):
        assert each == bound


@given(above_zero, above_zero, above_zero)
def test_steps_are_within_and_a_step_beside_is_not(x, y, z):
    a, b, c = near(x), near(y), near(z)
    assert (x + y) * z - x / y == (a + b) * c - a / b
    assert math.sqrt(x * y + z) == (a * b + c).sqrt()
    assert math.log(x) * (1 - y) == a.ln() * (1 - b)
    assert math.exp(x / 1e5 - y / 1e5) == (a / 1e5 - b / 1e5).exp()
    assert (x + y) ** 1.5 == (a + b).power(1.5)
    assert float(np.float32(x / y)) == (a / b).rounded(unit=SINGLE)
    quotient = x / y
    assert quotient == a / b
    for beside in (math.inf, -math.inf):
        two_away = math.nextafter(math.nextafter(quotient, beside), beside)
        assert two_away != a / b


def test_what_is_no_number_is_equal_to_none():
    assert not any(each == near(0) for each in (math.nan, math.inf, None, "0"))
    assert Near(Fraction(0)) == 0


@pytest.mark.parametrize("z", [0.0, 0.3, 0.7, 2.5, 5.6, 5.8, 40.0])
def test_the_normal_tail_is_what_scipy_calls_so(z):
    assert float(normal_log_tail(near(z)).exact) == pytest.approx(log_ndtr(-z), rel=1e-12)


def test_counts_and_ranks():
    assert auroc([2.0, 1.0], [1.0, 0.0]).exact == Fraction(7, 8)
    found = [q.exact for q in benjamini_hochberg([0.25, 0.125, 1.0, 0.125])]
    assert found == [Fraction(1, 3), Fraction(1, 4), 1, Fraction(1, 4)]
