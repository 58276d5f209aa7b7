"""Fonts and lettering: what can be drawn, what is refused, and where the ink goes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from pipeline.base.errors import ExampleError, SourceError
from pipeline.stimuli.fonts import find_fonts
from pipeline.stimuli.lettering import draw_text, fit_size, needs_shaping, text_mask, write_card

NOTO = {font.name: font for font in find_fonts(["manimgx_fonts"])}
LATIN = NOTO["NotoSans"]


def test_fonts_state_their_licence_and_what_they_draw():
    assert LATIN.licence == "OFL-1.1"
    assert LATIN.can_draw("Äpfel und Öl")
    assert not LATIN.can_draw("犬")
    assert NOTO["NotoSansThai"].can_draw("แมว")


def test_a_character_that_a_font_lacks_is_refused():
    with pytest.raises(ExampleError, match="cannot draw '犬'") as caught:
        text_mask("a犬", LATIN, 20)
    assert caught.value.reason == "missing_glyph"


def test_scripts_that_join_are_shaped_or_refused():
    assert needs_shaping("قطة") and needs_shaping("कुत्ता") and not needs_shaping("собака")
    if features.check("raqm"):
        assert text_mask("قطة", NOTO["NotoSansArabic"], 40).width > 10
    else:
        with pytest.raises(ExampleError, match="libfribidi"):
            text_mask("قطة", NOTO["NotoSansArabic"], 40)


@settings(max_examples=40)
@given(
    st.text("abcdefgh ABCÄß", min_size=1, max_size=14).filter(lambda t: t.strip()),
    st.floats(20, 200),
    st.floats(20, 200),
)
def test_fitted_text_fills_its_box_and_no_more(text, width, height):
    text = text.strip()
    mask = text_mask(text, LATIN, fit_size(text, LATIN, width, height))
    assert mask.width <= width * 1.05 + 3 and mask.height <= height * 1.05 + 3
    assert mask.width >= 0.85 * width - 4 or mask.height >= 0.85 * height - 4


def test_drawing_returns_the_box_of_its_ink():
    card = Image.new("RGB", (80, 60), "#ffffff")
    box = draw_text(card, text_mask("dog", LATIN, 20), (40, 30), "#000000", 12)
    ink = np.argwhere(np.asarray(card).min(-1) < 250)
    assert ink[:, 1].min() >= box[0] and ink[:, 1].max() < box[2]
    assert ink[:, 0].min() >= box[1] and ink[:, 0].max() < box[3]


def test_a_card_is_the_same_every_time_and_in_its_colours():
    one, two = (write_card("red", LATIN, (90, 50), "#aa0000", "#00aa00") for _ in range(2))
    assert one.tobytes() == two.tobytes()
    colours = {colour for _, colour in one.getcolors(10_000)}
    assert (0xAA, 0, 0) in colours and (0, 0xAA, 0) in colours


def test_a_place_without_fonts_is_an_error(tmp_path):
    (tmp_path / "page.ttf").write_text("<!doctype html>")
    with pytest.raises(SourceError, match="holds no font"):
        find_fonts([str(tmp_path)])
    with pytest.raises(SourceError, match="pip install no-such-fonts"):
        find_fonts(["no_such_fonts"])
