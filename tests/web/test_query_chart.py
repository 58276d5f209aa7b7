"""Charts of what a query answers: any numbers and names make one that can be seen."""

from __future__ import annotations

import math
import re
from typing import get_args
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.console import SqlAnswer
from pipeline.web.query_chart import MAX_BARS, ChartKind, draw_answer

NUMBERS = st.integers(-(10**18), 10**18) | st.floats(-1e299, 1e299)


def draw(rows, kind, names=("a", "b")):
    columns = tuple((name, "any") for name in names)
    answer = SqlAnswer(columns, tuple(rows), False, 0, {}, 0.0)
    svg = ElementTree.fromstring(draw_answer(answer, kind, *names))
    _, _, width, height = map(float, svg.get("viewBox").split())
    return svg, width, height


@given(
    st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=8),
    st.sampled_from(get_args(ChartKind)),
)
def test_all_that_is_drawn_is_on_the_chart(rows, kind):
    svg, width, height = draw(rows, kind)
    for path in svg.iter("path"):
        numbers = [
            float(number) for number in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", path.get("d"))
        ]
        assert all(
            math.isfinite(number) and -10 <= number <= max(width, height) for number in numbers
        )
    for box in svg.iter("rect"):
        left, wide = float(box.get("x")), float(box.get("width"))
        assert left >= 0 and wide >= 0 and left + wide <= width
    assert not any("nan" in text or "inf" in text for text in svg.itertext())
    if kind == "bar":
        assert len(list(svg.iter("rect"))) == len(rows)


def test_names_are_shown_and_never_markup():
    svg, *_ = draw([("<b>\u202e&", 1)] * (MAX_BARS + 5), "bar", ("<i>", "\u202ey"))
    texts = list(svg.itertext())
    assert texts.count("<b>\\u202e&") == MAX_BARS and "\\u202ey" in texts
    assert not list(svg.iter("b"))


def test_a_longer_bar_is_a_larger_number_to_the_left_below_zero():
    svg, *_ = draw([("x", 2), ("y", 4), ("z", -4)], "bar")
    x, y, z = ((float(b.get("x")), float(b.get("width"))) for b in svg.iter("rect"))
    assert abs(2 * x[1] - y[1]) < 0.2 and abs(y[1] - z[1]) < 0.2
    assert x[0] == y[0] and abs(z[0] + z[1] - x[0]) < 0.2
