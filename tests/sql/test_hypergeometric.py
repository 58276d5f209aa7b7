"""The tail of the hypergeometric distribution: SQL equal to exact arithmetic."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import hypergeometric_log_tail
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
    want = [hypergeometric_log_tail(*case) for case in cases]
    assert log_tail(cases) == want
    assert (
        min(tail.exact for tail in want) < -1000
    )  # beyond what a double can hold as a probability


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_tail_equals_exact_arithmetic(log_tail, data):
    population = data.draw(st.integers(1, 3000))
    marked = data.draw(st.integers(0, population))
    drawn = data.draw(st.integers(0, population))
    hits = data.draw(st.integers(0, min(marked, drawn)))
    case = (population, marked, drawn, hits)
    assert log_tail([case]) == [hypergeometric_log_tail(*case)]


def test_tail_at_its_ends(log_tail):
    assert log_tail([(10, 5, 5, 0), (10, 8, 5, 3), (10, 3, 5, 4), (10, 0, 5, 0)]) == [
        0.0,
        0.0,
        -math.inf,
        0.0,
    ]
