"""Charts that pages have show the numbers that they are given, as those of pictures do."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from report_world import EVIL, make_card

from pipeline.base.display import show
from pipeline.report import charts, shapes
from pipeline.report.card import Probability
from pipeline.report.figures import merge_bins, sd_range, shorten


def _texts(svg: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(svg).iter("text")]


def test_bars_of_a_histogram_have_the_area_of_their_images():
    card = make_card()
    limits = sd_range(card)
    chart = charts.histogram(card, limits)
    bars = re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)H([\d.]+)V", chart)
    bins = [b for b in merge_bins(card.histogram) if b.example_count]
    assert len(bars) == len(bins)
    left, right = charts.HISTOGRAM_LEFT_PX, charts.WIDE_PX - charts.HISTOGRAM_RIGHT_PX
    scale = (right - left) / (limits[1] - limits[0])
    heights = [b.example_count / (b.right_sd - b.left_sd) for b in bins]
    first = heights[0], float(bars[0][2])
    last = max((h, float(bar[2])) for h, bar in zip(heights, bars, strict=True))
    per_decade = (first[1] - last[1]) / math.log10(last[0] / first[0])
    for b, height, (x, _, y, end) in zip(bins, heights, bars, strict=True):
        assert float(x) == pytest.approx(left + (b.left_sd - limits[0]) * scale, abs=0.06)
        assert float(end) == pytest.approx(left + (b.right_sd - limits[0]) * scale, abs=0.06)
        assert float(y) == pytest.approx(
            first[1] - per_decade * math.log10(height / first[0]), abs=0.2
        )
    assert "zero: 200 images exactly" in _texts(chart)


def test_a_mark_beyond_the_axis_says_how_far():
    card = make_card()
    far = replace(card, axis="z", stats=replace(card.stats, mean=2.73, sd=0.051, zero_count=0))
    texts = _texts(charts.histogram(far, sd_range(far)))
    assert "← zero: at -53.5" in texts and any("from its mean" in text for text in texts)


def test_forms_say_what_pictures_say():
    chart = charts.strata(make_card().halle_berry.strata)
    texts = _texts(chart)
    for told in ("0.960, 12 of it, p 0.01", "0.550, 9 of it, p 0.31, fails", "not tested: 1 of it",
                 "1.000, only 1 of it, p 0.01"):  # fmt: skip
        assert told in texts
    (first, *_) = ElementTree.fromstring(chart).iter("circle")
    plane = charts.HALF_PX - 175 - 120
    assert float(first.get("cx", "")) == pytest.approx(120 + 0.96 * plane, abs=0.06)


def test_probabilities_have_a_point_for_each_and_a_shape_for_each_series():
    points = make_card().probabilities
    chart = charts.probabilities(points, "sd")
    lines = re.findall(r'<path d="(M[^"]+)" stroke-width="1.3"', chart)
    assert len(lines) == len({point.what for point in points})
    heights = [float(y) for line in lines for y in re.findall(r"[\d.]+ ([\d.]+)", line)]
    assert len(heights) == len(points)
    by_height = sorted(zip(heights, [p.probability for p in points], strict=True))
    shares = [share for _, share in by_height]
    assert shares == sorted(shares, reverse=True)
    shapes = re.findall(r'<path d="M[\d.]+ [\d.]+(m[^M"]+)', chart)
    assert len(set(shapes)) == len(lines)


def test_names_are_shown_and_never_markup():
    card = make_card()
    strata = [replace(card.halle_berry.strata[0], name=EVIL)]
    points = [replace(point, what=EVIL) for point in card.probabilities[:1]]
    for chart in (charts.strata(strata), charts.probabilities(points, "sd")):
        assert all(show(text) == text for text in _texts(chart))
        assert "<script" not in chart and "\u202e" not in chart


@pytest.mark.parametrize("span", [1e-6, 0.3, 1, 7, 33, 1e5])
def test_an_axis_has_some_round_numbers(span):
    step = shapes.round_step(span / 10)
    assert span / 25 <= step <= span / 4
    assert float(f"{step:.1e}") in (step, pytest.approx(step))


def test_distributions_stand_below_that_of_all_images_and_have_their_counts():
    bins = [(-1.0, 0.0, 0.25, 5.0, 0.5), (0.0, 1.0, 0.75, 15.0, 0.25), (2.0, 3.0, 0.0, 0.0, 0.25)]
    points = [
        Probability(EVIL, left, right, 10, 1, 0.1, 0.0, 0.2, False, count, frac, overall)
        for left, right, frac, count, overall in bins
    ]
    chart = charts.densities(points, "sd")
    assert chart is not None
    texts = _texts(chart)
    assert texts[:2] == ["all images", show(f"{shorten(EVIL, 44)}: about 20 images")]
    _all, shown = re.findall(r'<path d="(M[^"]*)" fill="var', chart)
    heights = [float(y) for y in re.findall(r"V([\d.]+)H", shown)]
    start, first, second, gap, last = heights
    assert start == gap == last == max(heights), "between bins and in an empty one there is nothing"
    assert start - first == pytest.approx((start - second) / 3, abs=0.2)


def test_nothing_that_was_seen_has_no_distribution():
    points = [Probability("dog", 0, 1, 10, 0, 0.0, 0.0, 0.3)]
    assert charts.densities(points, "sd") is None
