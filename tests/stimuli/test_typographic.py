"""What all versions of an image cost: it is opened once."""

from __future__ import annotations

from PIL import Image

from pipeline.stimuli.fonts import find_fonts
from pipeline.stimuli.typographic import Attack, BaseImage, iter_typographic

FONT = next(font for font in find_fonts(["manimgx_fonts"]) if font.name == "NotoSans")


def test_an_image_is_opened_once_for_all_its_versions():
    opened = []

    def open_image():
        opened.append(1)
        return Image.new("RGB", (96, 96), "red")

    items = list(iter_typographic([BaseImage("a", open_image, "dog")], [Attack("cat")], FONT))
    images = {item.image() for item in items}
    assert len(images) == len(items) == 10
    assert len(opened) == 1


def test_a_text_too_long_for_its_patch_is_refused_not_smeared():
    image = BaseImage("a", lambda: Image.new("RGB", (96, 96), "red"), "dog")
    items = list(iter_typographic([image], [Attack("word " * 300)], FONT))
    results = {}
    for item in items:
        try:
            results[item.stimulus["control"]] = bool(item.image())
        except Exception as error:
            results[item.stimulus["control"]] = getattr(error, "reason", error)
    assert results == {"clean": True, "blank": True, "right_word": True, "attack": "too_small"}
