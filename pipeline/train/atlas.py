"""What nano sees while it learns: every drawing and every written word, drawn once, kept as bytes.

A batch is then cut out of two large tensors (:mod:`pipeline.train.compose`), without a file or a font.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.nano.concepts import NanoConcept
from pipeline.stimuli.drawings import DrawingSet, plain_emoji
from pipeline.stimuli.fonts import Font
from pipeline.stimuli.lettering import fit_size, text_mask

PICTURE_PX = 80
"""Side of a drawing in the atlas."""
WORD_WIDTH_PX, WORD_HEIGHT_PX = 160, 32
"""Size of a word in the atlas; its ink is fitted into it and begins at the left."""
LINE_FACETS = ("line drawing",)


@dataclass(frozen=True)
class PictureAtlas:
    """All drawings of the training sets."""

    pixels: torch.Tensor
    """uint8 ``[N, 4, 80, 80]``, red, green, blue times alpha, then alpha."""
    concept: torch.Tensor
    """int64 ``[N]``, index into the concepts."""
    drawing_set: torch.Tensor
    """int64 ``[N]``, index into ``set_names``."""
    set_names: tuple[str, ...]
    facets: tuple[str, ...]
    """Facet of each set."""


@dataclass(frozen=True)
class WordAtlas:
    """Words in fonts."""

    ink: torch.Tensor
    """uint8 ``[N, 32, 160]``, 255 is full ink."""
    width_px: torch.Tensor
    """float32 ``[N]``: how much of the width the ink takes."""
    height_px: torch.Tensor
    """float32 ``[N]``: how much of the height the ink takes."""
    concept: torch.Tensor
    """int64 ``[N]``."""
    language: torch.Tensor
    """int64 ``[N]``, index into ``languages``."""
    languages: tuple[str, ...]


def draw_pictures(concepts: Sequence[NanoConcept], sets: Sequence[DrawingSet]) -> PictureAtlas:
    """Draw every concept in every set that has it.

    Lines show no colour, so colours and flags are left out of sets of line drawings.
    """
    pixels, owner, style = [], [], []
    for set_index, drawing_set in enumerate(sets):
        for index, concept in enumerate(concepts):
            if concept.category in ("color", "region") and drawing_set.facet in LINE_FACETS:
                continue
            for emoji in concept.emoji:
                draw = drawing_set.drawings.get(plain_emoji(emoji))
                if draw is None:
                    continue
                rgba = np.asarray(draw(PICTURE_PX), dtype=np.float32)
                rgba = np.concatenate([rgba[..., :3] * (rgba[..., 3:] / 255), rgba[..., 3:]], -1)
                if rgba[..., 3].max() < 32:
                    continue
                pixels.append(torch.from_numpy(rgba.round().astype(np.uint8)).permute(2, 0, 1))
                owner.append(index)
                style.append(set_index)
    return PictureAtlas(
        torch.stack(pixels),
        torch.tensor(owner),
        torch.tensor(style),
        tuple(drawing_set.name for drawing_set in sets),
        tuple(drawing_set.facet for drawing_set in sets),
    )


def draw_words(
    concepts: Sequence[NanoConcept],
    languages: Sequence[str],
    fonts: Sequence[Font],
    fonts_per_word: int,
    seed: int,
) -> WordAtlas:
    """Write every concept's word in every language in some of the fonts, and in three letter cases."""
    rng = random.Random(seed)
    ink, widths, heights, owner, spoken = [], [], [], [], []
    for index, concept in enumerate(concepts):
        for language_index, language in enumerate(languages):
            word = concept.words[language]
            able = [font for font in fonts if font.can_draw(word + word.upper())]
            for font in rng.sample(able, min(fonts_per_word, len(able))):
                text = rng.choice((word, word, word.lower(), word.upper(), word.capitalize()))
                size = fit_size(text, font, WORD_WIDTH_PX - 2, WORD_HEIGHT_PX - 2)
                mask = np.asarray(text_mask(text, font, size))[:WORD_HEIGHT_PX, :WORD_WIDTH_PX]
                box = np.zeros((WORD_HEIGHT_PX, WORD_WIDTH_PX), dtype=np.uint8)
                top = (WORD_HEIGHT_PX - mask.shape[0]) // 2
                box[top : top + mask.shape[0], : mask.shape[1]] = mask
                ink.append(torch.from_numpy(box))
                widths.append(float(mask.shape[1]))
                heights.append(float(mask.shape[0]))
                owner.append(index)
                spoken.append(language_index)
    return WordAtlas(
        torch.stack(ink),
        torch.tensor(widths),
        torch.tensor(heights),
        torch.tensor(owner),
        torch.tensor(spoken),
        tuple(languages),
    )
