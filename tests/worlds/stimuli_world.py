"""A font, words and pictures to make stimuli of."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from pipeline.base.stimulus_settings import (
    WordOptions,
)
from pipeline.stimuli.fonts import find_fonts
from pipeline.stimuli.typographic import BaseImage

FONT = next(font for font in find_fonts(["manimgx_fonts"]) if font.name == "NotoSans")
NOTO = WordOptions(font_names=("NotoSans",))


def pixels(item):
    with Image.open(io.BytesIO(item.image())) as image:
        return np.asarray(image.convert("RGB"), np.int16)


def noise_image(seed: int, size=(96, 64)) -> BaseImage:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return BaseImage(f"n{seed}", lambda: Image.fromarray(values), "dog", "animal")
