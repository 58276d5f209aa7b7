"""The size that a word's stimulus states is the size that it is drawn at."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from pipeline.base.errors import ConfigError, ExampleError
from pipeline.base.stimulus_settings import WordOptions
from pipeline.stimuli.fonts import find_fonts
from pipeline.stimuli.lettering import text_mask
from pipeline.stimuli.words import SPOTS, Word, iter_words

NOTO = {font.name: font for font in find_fonts(["manimgx_fonts"])}


def ink_box(item) -> tuple[int, int]:
    """Width and height of what is not paper, in pixels."""
    with Image.open(io.BytesIO(item.image())) as image:
        rows, columns = np.nonzero(np.asarray(image.convert("L")) < 255)
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


@settings(max_examples=25)
@given(st.text("abcdefgh ", min_size=1, max_size=30).filter(str.strip), st.integers(0, 5))
def test_an_upright_word_is_as_large_as_its_stimulus_says(text, seed):
    options = WordOptions(font_names=("NotoSans",), placement="anywhere", seed=seed)
    (item,) = iter_words([Word(text)], options)
    mask = text_mask(text, NOTO["NotoSans"], item.stimulus["font_size_px"])
    assert ink_box(item) == mask.size


@settings(max_examples=25)
@given(st.text("abcdefgh", min_size=1, max_size=30), st.integers(0, 5))
def test_a_turned_word_lies_inside_its_card_at_its_stated_size(text, seed):
    options = WordOptions(font_names=("NotoSans",), rotation_deg=180, size_px=96, seed=seed)
    (item,) = iter_words([Word(text)], options)
    mask = text_mask(text, NOTO["NotoSans"], item.stimulus["font_size_px"])
    diagonal = np.hypot(*mask.size)
    assert max(ink_box(item)) <= min(96, diagonal + 2)
    assert max(ink_box(item)) >= max(mask.size) * 0.7 - 2


def test_copies_are_in_different_fonts():
    options = WordOptions(font_names=("NotoSans", "NotoSans-Italic"), fonts_per_word=2)
    items = list(iter_words([Word("dog")], options))
    assert {item.stimulus["font"] for item in items} == {"NotoSans", "NotoSans-Italic"}
    assert len({item.image() for item in items}) == 2


@pytest.mark.parametrize("text", ["كلب", "कुत्ता"])
def test_letters_that_join_are_drawn_or_refused_as_an_example(text):
    (item,) = iter_words([Word(text)])
    if features.check("raqm"):
        assert ink_box(item) > (1, 1)
    else:
        with pytest.raises(ExampleError, match="no_shaping"):
            item.image()


def test_a_text_too_long_for_its_card_is_refused():
    (item,) = iter_words([Word("word " * 200)], WordOptions(font_names=("NotoSans",)))
    with pytest.raises(ExampleError, match="too_small"):
        item.image()


@pytest.mark.parametrize("placement", sorted(SPOTS))
def test_a_placement_is_where_the_word_is(placement):
    options = WordOptions(
        font_names=("NotoSans",), size_px=90, placement=placement, size_frac=(0.4, 0.4)
    )
    (item,) = iter_words([Word("dog", "en")], options)
    with Image.open(io.BytesIO(item.image())) as image:
        ink = np.argwhere(np.asarray(image.convert("L")) < 128)
    top, left = ink.min(0)
    bottom, right = 89 - ink.max(0)
    across, down = SPOTS[placement]
    assert (
        left <= right + 2
        if across < 0.5
        else right <= left + 2
        if across > 0.5
        else abs(left - right) < 3
    )
    assert (
        top <= bottom + 2
        if down < 0.5
        else bottom <= top + 2
        if down > 0.5
        else abs(top - bottom) < 3
    )
    assert item.stimulus["placement"] == placement


def test_sizes_lie_in_the_range_that_was_asked_for():
    options = WordOptions(
        font_names=("NotoSans",), size_px=100, placement="anywhere", size_frac=(0.3, 0.8)
    )
    widths = []
    for item in iter_words([Word("ab" * 3 + chr(97 + n), "en") for n in range(20)], options):
        with Image.open(io.BytesIO(item.image())) as image:
            columns = np.argwhere(np.asarray(image.convert("L")) < 200)[:, 1]
        widths.append(np.ptp(columns) + 1)
    assert 26 <= min(widths) < 45 and 60 < max(widths) <= 80
    with pytest.raises(ConfigError, match=r"size_frac is 0\.9 to 0\.2"):
        next(iter_words([Word("a")], WordOptions(size_frac=(0.9, 0.2))))
