"""The tail of the hypergeometric distribution: SQL equal to exact arithmetic and SciPy."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom
from sql_world import SqlWorld


@pytest.fixture(scope="module")
def log_tail():
    world = SqlWorld(())
    world.con.execute("create table cases (i integer, n bigint, k bigint, d bigint, h bigint)")

    def found(cases):
        world.con.execute("delete from cases")
        world.add("cases", "i n k d h", *((i, *case) for i, case in enumerate(cases)))
        query = "select hypergeometric_log_tail(n, k, d, h) from cases order by i"
        return [value for (value,) in world.rows(query)]

    return found


def exact_log_tail(population, marked, drawn, hits):
    ways = sum(
        math.comb(marked, i) * math.comb(population - marked, drawn - i)
        for i in range(hits, min(marked, drawn) + 1)
    )
    tail = Fraction(ways, math.comb(population, drawn))
    return math.log(tail.numerator) - math.log(tail.denominator) if ways else -math.inf


def test_tail_equals_exact_arithmetic_up_to_ten_million(log_tail):
    rng = np.random.default_rng(0)
    cases = []
    for population in (1, 5, 20, 200, 1913, 100_000, 10_000_000):
        for _ in range(60):
            marked = int(rng.integers(0, min(population, int(rng.choice([5, 100, 3000]))) + 1))
            drawn = int(rng.integers(0, min(population, 100) + 1))
            low, high = max(0, drawn + marked - population), min(drawn, marked)
            cases.append((population, marked, drawn, int(rng.integers(low, high + 1))))
    cases.append((10_000_000, 100, 100, 100))
    got = np.array(log_tail(cases))
    want = np.array([exact_log_tail(*case) for case in cases])
    assert want.min() < -1000  # far beyond what a double can hold as a probability
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_tail_equals_scipy(log_tail, data):
    population = data.draw(st.integers(1, 3000))
    marked = data.draw(st.integers(0, population))
    drawn = data.draw(st.integers(0, population))
    hits = data.draw(st.integers(0, min(marked, drawn)))
    (got,) = log_tail([(population, marked, drawn, hits)])
    want = hypergeom.sf(hits - 1, population, marked, drawn)
    if want > 1e-290:
        assert math.exp(got) == pytest.approx(want, rel=1e-9)


def test_tail_at_its_ends(log_tail):
    assert log_tail([(10, 5, 5, 0), (10, 8, 5, 3), (10, 3, 5, 4), (10, 0, 5, 0)]) == [
        0.0,
        0.0,
        -math.inf,
        0.0,
    ]
