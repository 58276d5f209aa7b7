"""Charts show the numbers that they are given; fonts never leave a box."""

from __future__ import annotations

import itertools
import re
import unicodedata
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from report_world import EVIL, make_card

from pipeline.report.card import HistogramBin
from pipeline.report.figures import (
    BLUE,
    GREEN,
    ORANGE,
    draw_bars,
    draw_histogram,
    draw_probabilities,
    draw_samples,
    draw_strata,
    merge_bins,
    sample_stride,
    sd_range,
    shorten,
    style,
)
from pipeline.report.fonts import FAMILY, make_drawable
from pipeline.report.svg import draw_svg


@pytest.fixture
def axes():
    with style():
        figure = Figure(figsize=(8, 4), dpi=100)
        FigureCanvasAgg(figure)
        yield figure.add_axes((0.1, 0.1, 0.8, 0.8))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            figure.canvas.draw()


def test_bars_of_a_histogram_have_the_area_of_their_images(axes):
    card = make_card()
    limits = sd_range(card)
    draw_histogram(axes, card, limits)
    areas = [bar.get_width() * bar.get_height() for bar in axes.patches]
    assert sum(areas) == pytest.approx(sum(b.example_count for b in card.histogram))
    assert axes.get_yscale() == "log"
    assert "zero: 200 images exactly" in axes.texts[0].get_text()
    assert axes.get_xlim() == limits


def test_zero_and_the_mean_are_marked_on_both_axes(axes):
    """Where the axis begins at the mean, zero may be far: it is told, and does not squeeze the rest."""
    card = make_card()  # mean 0.1, SD 0.5
    draw_histogram(axes, card, sd_range(card))
    assert [line.get_xdata()[0] for line in axes.lines] == [0.0, 0.2]
    assert "from zero" in axes.get_xlabel()
    axes.clear()
    draw_histogram(axes, replace(card, axis="z"), sd_range(replace(card, axis="z")))
    assert [line.get_xdata()[0] for line in axes.lines] == [-0.2, 0.0]
    assert "from its mean" in axes.get_xlabel()
    axes.clear()
    far = replace(card, axis="z", stats=replace(card.stats, mean=2.73, sd=0.051, zero_count=0))
    limits = sd_range(far)
    assert limits == sd_range(replace(card, axis="z"))
    draw_histogram(axes, far, limits)
    assert [line.get_xdata()[0] for line in axes.lines] == [0.0]
    assert axes.texts[0].get_text() == "← zero: at -53.5"


@given(
    st.lists(st.tuples(st.floats(0.001, 2), st.integers(1, 99)), min_size=1, max_size=40),
    st.lists(st.tuples(st.floats(0.001, 2), st.integers(1, 99)), max_size=40),
)
def test_merged_bins_keep_every_image_and_do_not_cross_zero(up, down):
    bins, edge = [], 0.0
    for width, count in up:
        bins.append(HistogramBin(edge, edge + width, count))
        edge += width
    edge = 0.0
    for width, count in down:
        bins.insert(0, HistogramBin(edge - width, edge, count))
        edge -= width
    merged = merge_bins(bins)
    assert sum(b.example_count for b in merged) == sum(b.example_count for b in bins)
    assert merged[0].left_sd == bins[0].left_sd
    assert merged[-1].right_sd == bins[-1].right_sd
    assert all(a.right_sd <= b.left_sd for a, b in itertools.pairwise(merged))
    assert not any(b.left_sd < 0 < b.right_sd for b in merged)


def test_sampled_images_stand_above_their_bins(axes):
    card = make_card()
    limits = sd_range(card)
    draw_samples(axes, card.samples, limits)
    assert len(axes.images) == sum(len(b.pictures) for b in card.samples)
    places = [tuple(image.get_extent()) for image in axes.images]
    owners = [b for b in card.samples for _ in b.pictures]
    for (left, right, bottom, top), owner in zip(places, owners, strict=True):
        assert owner.left_sd <= (left + right) / 2 <= owner.right_sd
        assert 0 <= bottom < top <= axes.get_ylim()[1]
    assert len(set(places)) == len(places)
    assert axes.get_xlim() == limits


def test_bins_too_narrow_for_an_image_are_drawn_every_so_many(axes):
    card = make_card()
    assert sample_stride(card.samples, 600, (-2, 4)) == 1
    assert sample_stride(card.samples, 60, (-2, 4)) == 3
    assert sample_stride((), 60, (-2, 4)) == 1
    draw_samples(axes, card.samples, (-60, 60))
    assert 0 < len(axes.images) < sum(len(b.pictures) for b in card.samples)


def test_forms_are_bars_from_chance_and_untested_ones_are_hatched(axes):
    strata = make_card().halle_berry.strata
    draw_strata(axes, strata)
    bars = {round(p.get_y() + p.get_height() / 2): p for p in axes.patches if p.get_height() < 0.5}
    assert bars[0].get_x() == 0.5
    assert bars[0].get_x() + bars[0].get_width() == pytest.approx(0.96)
    assert to_hex(bars[0].get_facecolor()) == BLUE
    assert to_hex(bars[1].get_facecolor()) == ORANGE  # it fails
    bands = [p for p in axes.patches if p.get_height() == 0.8]
    assert [(p.get_x(), round(p.get_width(), 6)) for p in bands][:2] == [(0.4, 0.2), (0.38, 0.25)]
    assert to_hex(bars[5].get_facecolor()) == "#ffffff"  # one image decides it
    hatched = [round(p.get_y() + p.get_height() / 2) for p in axes.patches if p.get_hatch()]
    assert hatched == [2, 3]
    told = [text.get_text() for text in axes.texts]
    assert "0.960, 12 of it, p 0.01" in told
    assert "0.550, 9 of it, p 0.31, fails" in told
    assert "not tested: 1 of it" in told
    assert "1.000, only 1 of it, p 0.01" in told
    (chance,) = [line for line in axes.lines if list(line.get_xdata()) == [0.5, 0.5]]
    assert chance.get_linestyle() == "--"


def test_probabilities_stand_at_their_bins_with_their_intervals(axes):
    points = make_card().probabilities
    draw_probabilities(axes, points)
    series = axes.containers
    assert len(series) == 3
    heights = np.concatenate([s.lines[0].get_ydata() for s in series])
    assert list(heights) == [p.probability for p in points]
    middle = series[1]  # of three, the one that is not shifted
    assert list(middle.lines[0].get_xdata()) == [-0.5, 0.5, 1.5]
    ends = np.array([segment[:, 1] for s in series for segment in s.lines[2][0].get_segments()])
    expected = [(min(p.low, p.probability), max(p.high, p.probability)) for p in points]
    assert ends == pytest.approx(np.array(expected))
    markers = {s.lines[0].get_marker() for s in series}
    assert len(markers) == 3  # not by colour alone


def test_bars_have_their_lengths(axes):
    draw_bars(axes, ["a", EVIL], [2.0, 5.0], ["2", "five"])
    assert [bar.get_width() for bar in axes.patches] == [2.0, 5.0]
    assert [text.get_text() for text in axes.texts][1] == "2"


def test_an_svg_has_real_text_colours_of_the_page_and_ids_of_its_own():
    bars = [("a <b>", "$x$"), ("a <b>", "$y$")]
    first, second = (
        draw_svg(300, 60, (80, 20, 2, 2), partial(draw_bars, names=n, values=[1.0, 2.0], notes=n))
        for n in bars
    )
    for svg in (first, second):
        assert svg.startswith('<svg aria-hidden="true" ')
        assert "a &lt;b&gt;" in svg
        assert "var(--blue)" in svg
        assert "#0072b2" not in svg
        assert "<metadata" not in svg
        assert not re.search(r'(?:href|src)="http', svg)
    assert "$x$" in first
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    used = set(re.findall(r'href="#([^"]+)"', first)) | set(re.findall(r"url\(#([^)]+)\)", first))
    assert used <= ids[0]


def test_each_character_is_drawn_by_a_font_that_has_it():
    assert make_drawable("Bogotá 1-2") == ("Bogotá 1-2", {"fontfamily": [FAMILY]})
    drawn, fonts = make_drawable("اليابان")
    assert drawn == "اليابان"
    assert fonts["fontfamily"] == [FAMILY, "Noto Sans Arabic"]
    assert make_drawable("a\n b\x00\u200bc")[0] == "a bc"
    assert make_drawable("\U0010fffd")[0] in ("?", "")


@given(st.text(max_size=12))
@example("0\u0abc")  # a mark of one script on a digit that another font draws
def test_no_text_leaves_a_warning(text):
    drawn, fonts = make_drawable(text)
    assert not any(unicodedata.category(c) in ("Cc", "Cn", "Co") for c in drawn)
    with style(), warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = Figure(figsize=(2, 0.5), dpi=50)
        canvas = FigureCanvasAgg(figure)
        figure.text(0, 0.5, drawn, **fonts)
        canvas.draw()


def test_long_names_are_cut():
    assert shorten("a  b\nc", 10) == "a b c"
    assert shorten("abcdefghij", 5) == "abcd…"
    assert to_hex(GREEN) == GREEN
