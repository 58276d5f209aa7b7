"""A card as picture and page: every section is drawn, says what it measures, and trusts no name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from report_world import (
    EVIL,
    assert_self_contained,
    make_bare_card,
    make_card,
    make_label,
    make_support,
    make_unlabelled,
)

from pipeline.base.display import show
from pipeline.report import card_png, label_words, support_words, words
from pipeline.report.card_html import render_card
from pipeline.report.card_png import WIDTH_PX, draw_card
from pipeline.report.thumbnails import THUMBNAIL_PX


def _find_strip(pixels: np.ndarray, picture, x: int) -> int | None:
    """The row at which a thumbnail stands, pixel by pixel."""
    wanted = np.asarray(picture.image)[4:-4, 4:-4]  # a thick frame may cover its edge
    size = THUMBNAIL_PX - 8
    column = pixels[:, x + 4 : x + 4 + size]
    first = np.flatnonzero((column == wanted[0]).all(axis=(1, 2)))
    return next((int(y) for y in first if (column[y : y + size] == wanted).all()), None)


@pytest.mark.slow
def test_every_section_is_drawn_and_its_pictures_are_pasted():
    card = make_card()
    picture = draw_card(card)
    assert picture.mode == "RGB"
    assert picture.width == WIDTH_PX
    pixels = np.asarray(picture)
    for strip in (card.top, card.bottom, card.contrasting):
        rows = {
            _find_strip(pixels, p, card_png.MARGIN_PX + 1 + n * card_png.STEP_PX)
            for n, p in enumerate(strip)
        }
        assert len(rows) == 1
        assert None not in rows
    y = 24
    for block in card_png._list_blocks(card):  # each part leaves ink where it should
        part = pixels[y : y + block.height_px]
        assert (part != 255).any(axis=2).mean() > 0.003
        y += block.height_px
    assert y + 24 == picture.height


@pytest.mark.slow
def test_a_picture_changes_with_each_number_that_it_shows():
    card = make_card()
    before = np.asarray(draw_card(card))
    stratum = card.halle_berry.strata[0]
    changes = {
        "label": make_label(score=0.5),
        "support": make_support(purity=0.5),
        "stats": replace(card.stats, zero_count=0),
        "histogram": card.histogram[:-4],
        "halle_berry": replace(
            card.halle_berry, strata=(replace(stratum, auroc=0.7), *card.halle_berry.strata[1:])
        ),
        "probabilities": tuple(replace(p, low=0.0) for p in card.probabilities),
        "samples": tuple(replace(b, pictures=b.pictures[:2]) for b in card.samples),
    }
    for name, value in changes.items():
        after = np.asarray(draw_card(replace(card, **{name: value})))
        assert after.shape == before.shape, name
        assert (after != before).any(), name


@pytest.mark.slow
def test_what_is_not_known_is_said_and_not_drawn():
    bare = make_bare_card()
    picture = draw_card(bare)
    assert picture.height < draw_card(make_card()).height / 2
    page = assert_self_contained(render_card(bare))
    for told in (
        "it has no top example: its activation is never above zero",
        "No concept was chosen on the screening half.",
        "None: its activation is never below zero.",
        "All its activations are equal",
        "No form or language of any image is known here",
        "This run kept no samples by activation",
        "Not computed: neurons build does",
        "not run (neurons similarity)",
    ):
        assert told in page.text
    assert not any(tag in ("svg", "img") for tag, _ in page.tags)
    no_test = replace(
        make_card(), label=make_unlabelled("not significant"), probabilities=()
    )  # fmt: skip
    assert (
        "No label, so there is no category to ask for"
        in assert_self_contained(render_card(no_test)).text
    )


def test_a_page_says_what_the_picture_says_and_trusts_no_name():
    card = make_card()
    html = render_card(card)
    page = assert_self_contained(html)
    assert "<script" not in html
    assert "<i>Kenya" not in html
    assert " ".join(show(EVIL).split()) in page.text
    for told in ("0.987", "8.2", "1.5e-12", "31 of the testing half", "17 of 24, 12.5 times"):
        assert told in page.text
    for name, value in label_words.label_facts(card.label):
        assert " ".join(name.split()) in page.text
        assert " ".join(value.split()) in page.text
    scores = support_words.list_scores(card.support)
    assert [line.name for line in scores] == [
        *("AUC on fresh images", "MAD on fresh images", "Purity", "Detection", "Prediction"),
        *("Faithfulness", "Agreement"),
    ]
    for line in scores:
        told = (line.name, line.value, line.other, line.permuted, line.outcome, line.meaning)
        assert " ".join(told) in page.text
    assert "3 of 5 scores that had no part in choosing the label support it" in page.text
    assert "Faithfulness – – – not measured" in page.text
    assert html.count(">differs<") == 1
    assert html.count(">agrees<") == 2
    for title in words.TITLES.values():
        assert title in page.text
    pictures = [attrs for tag, attrs in page.tags if tag == "img"]
    shown = len(card.top) + len(card.bottom) + len(card.contrasting) + 9 + len(card.drawn)
    assert len(pictures) == shown
    assert sum(attrs.get("class") == "shows" for attrs in pictures) == 6
    sampled = [attrs for tag, attrs in page.tags if tag == "image"]
    assert len(sampled) == sum(len(b.pictures) for b in card.samples)
    assert "not tested: 1 of it" in page.text
    assert len(html) < 1_000_000


def test_a_label_that_no_score_supports_is_marked():
    alone = make_support(supported_count=0, is_purity_supported=False)
    page = assert_self_contained(render_card(make_card(support=alone)))
    assert (
        "0 of 5 scores that had no part in choosing the label support it: NOT SUPPORTED."
        in page.text
    )
    unknown = make_support(supported_count=0, measured_count=0)
    page = assert_self_contained(render_card(make_card(support=unknown)))
    assert (
        "No score was measured: neurons build, neurons support and neurons effect do." in page.text
    )


def test_a_circular_label_is_told_and_is_none():
    card = make_card(label=make_unlabelled("circular"), probabilities=(), tower="text")
    page = assert_self_contained(render_card(card))
    assert "which read the very texts that tell the concept" in page.text
    assert "Its texts cannot say" in page.text
    assert words.card_title(card) == "unlabelled"


@pytest.mark.slow
def test_a_card_says_by_what_it_measures_and_what_its_words_mean():
    for axis, told in (("sd", "deviations from zero"), ("z", "deviations from its mean (z)")):
        page = assert_self_contained(render_card(make_card(axis=axis)))
        assert page.text.count(told) >= 4
    for name, meaning in words.list_glossary(make_card()):
        assert (
            f"{name} {meaning}".split()[0] in assert_self_contained(render_card(make_card())).text
        )
    assert "Hollow: fewer than 3 images decide it, so it is weak evidence (de)" in page.text
    assert "passes (thin)" in page.text
    assert "skewness 1.5, excess kurtosis 3.25, sparsity 0.6" in page.text
