"""The embedded drawings: which ones, how they look, what they are called."""

import io
import itertools
from dataclasses import replace

import pytest
from PIL import Image

from pipeline.base.errors import ConfigError
from pipeline.sources.layouts.openmoji import (
    OpenMojiOptions,
    iter_openmoji,
    load_emoji_names,
    render_jpeg,
)

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">{}</svg>'


def draw(example):
    return replace(example, image=example.image())


def take(count, **options):
    found = itertools.islice(iter_openmoji(OpenMojiOptions(**options)), count)
    return [draw(example) for example in found]


def texts_of(examples, key):
    (example,) = [example for example in examples if example.key == key]
    return [(text["language"], text["text"]) for text in example.texts]


@pytest.fixture(scope="module")
def every():
    return [draw(example) for example in iter_openmoji(OpenMojiOptions(size_px=16))]


@pytest.mark.slow
def test_default_set_is_large_and_unique(every):
    assert 1500 <= len(every) <= 2200
    assert len({example.key for example in every}) == len(every)
    assert len({example.image for example in every}) > 0.95 * len(every)


@pytest.mark.slow
def test_no_skin_tones_by_default(every):
    tones = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"}
    assert not [example.key for example in every if tones & set(example.key.split("-"))]


def test_every_example_is_captioned_in_at_least_four_languages(every):
    for example in every:
        assert len({text["language"] for text in example.texts}) >= 4, example.key
        assert all(text["text"].strip() and text["text"][0] != ":" for text in example.texts)
        assert all("_" not in text["text"] for text in example.texts)
        assert {text["text_kind"] for text in example.texts} == {"caption"}


def test_names(every):
    cat = texts_of(every, "1f408")
    assert ("en", "cat") in cat
    assert ("es", "gato") in cat
    assert ("de", "katze") in cat
    assert ("zh", "猫") in cat
    flag = texts_of(every, "1f1ef-1f1f5")
    assert ("en", "Japan") in flag
    assert ("fr", "drapeau japon") in flag
    assert ("fr", "Japon") in flag
    (example,) = [example for example in every if example.key == "1f1ef-1f1f5"]
    assert example.url == "openmoji:1F1EF-1F1F5"
    assert {text["page_title"] for text in example.texts} == {"Japan"}


def test_same_bytes_twice_and_limit_is_a_prefix():
    assert take(6, size_px=48) == take(6, size_px=48, limit=6)
    assert len(take(100, size_px=16, limit=7)) == 7


def test_image_is_a_square_rgb_jpeg_on_white():
    with Image.open(io.BytesIO(take(1, size_px=96)[0].image)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (96, 96))
        assert min(image.getpixel((0, 0))) > 245


def test_render_draws_what_the_svg_says():
    jpeg = render_jpeg(SVG.format('<rect width="5" height="10" fill="#ff0000"/>'), 64)
    with Image.open(io.BytesIO(jpeg)) as image:
        red, white = image.getpixel((8, 32)), image.getpixel((56, 32))
    assert red[0] > 240
    assert max(red[1:]) < 15
    assert min(white) > 240


def test_skin_tones_on_request():
    with_tones = take(None, size_px=16, has_skin_tones=True, limit=200)
    assert any("1f3f" in example.key for example in with_tones)


def test_names_cover_flags_of_regions():
    assert load_emoji_names()["🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"][
        "en"
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"languages": ("en", "xx")}, "'xx'"),
        ({"languages": ()}, "no language"),
        ({"size_px": 4}, "size_px is 4"),
        ({"limit": 0}, "limit is 0"),
    ],
)
def test_bad_options_say_what_to_do(options, said):
    with pytest.raises(ConfigError, match=said):
        take(1, **options)
