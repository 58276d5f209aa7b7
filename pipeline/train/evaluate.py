"""What nano can do, each figure beside chance and an untrained model of the same shape.

Nothing here was trained on: the drawings are of sets that training never opened, the words in fonts that
it never saw. ``dev`` sets served to choose the recipe; ``final`` ones were looked at once, at the end.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from pipeline.nano.concepts import NanoConcept
from pipeline.stimuli.drawings import DrawingSet, plain_emoji
from pipeline.stimuli.fonts import Font, find_fonts
from pipeline.stimuli.lettering import draw_text, fit_size, text_mask
from pipeline.train.objective import BOTH, Planted
from pipeline.train.run import MEAN, STD

TEMPLATES = ("{}", "a picture of {}", "an image of {}", "a drawing of {}")
DEV_FONTS = ("HankenGrotesk-Regular", "SourceSansPro-Semibold")
FINAL_FONTS = ("Caladea-Bold", "Manrope-Medium", "SourceSerifPro-Semibold", "FredokaOne-Regular")
"""Fonts that training never saw, from packages of PyPI."""
FONT_PACKAGES = (
    "font_caladea",
    "font_fredoka_one",
    "font_hanken_grotesk",
    "font_manrope",
    "font_source_sans_pro",
    "font_source_serif_pro",
)
SIZE_PX = 64

Encoder = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Images in 0..1 -> unit embeddings ``[N, D]`` and the last block's maxima before its ReLU ``[N, C]``."""


@dataclass(frozen=True)
class ImageSet:
    """Images of known concepts."""

    images: torch.Tensor
    """float32 ``[N, 3, 64, 64]`` in 0..1."""
    concept: torch.Tensor
    """int64 ``[N]``."""


@cache
def held_out_fonts() -> dict[str, Font]:
    """The fonts of :data:`DEV_FONTS` and :data:`FINAL_FONTS` by name."""
    fonts = {font.name: font for font in find_fonts(FONT_PACKAGES)}
    return {name: fonts[name] for name in (*DEV_FONTS, *FINAL_FONTS)}


def draw_set(
    concepts: Sequence[NanoConcept], drawing_set: DrawingSet, edges: bool = False
) -> ImageSet:
    """Every drawing of a set that shows a concept, on white.

    Of lines, colours and flags are left out, since nothing in them tells one from another.
    """
    images, owner = [], []
    for index, concept in enumerate(concepts):
        if drawing_set.facet == "line drawing" and concept.category in ("color", "region"):
            continue
        for emoji in concept.emoji:
            draw = drawing_set.drawings.get(plain_emoji(emoji))
            if draw is not None:
                images.append(_on_white(draw(SIZE_PX), edges))
                owner.append(index)
    return ImageSet(torch.stack(images), torch.tensor(owner))


def write_set(
    concepts: Sequence[NanoConcept],
    language: str,
    fonts: Sequence[Font],
    anywhere: bool,
    seed: int = 0,
) -> ImageSet:
    """Every concept's word in every font: black on white, across the frame or small anywhere in it."""
    from PIL import Image

    rng = random.Random(seed)
    images, owner = [], []
    for index, concept in enumerate(concepts):
        text = concept.words[language]
        for font in fonts:
            share = rng.uniform(0.55, 0.8) if anywhere else 0.9
            size = fit_size(text, font, share * SIZE_PX, 0.4 * SIZE_PX)
            mask = text_mask(text, font, size)
            card = Image.new("RGB", (SIZE_PX, SIZE_PX), "#ffffff")
            middle = [SIZE_PX / 2, SIZE_PX / 2]
            if anywhere:
                middle = [
                    rng.uniform(side / 2 + 1, SIZE_PX - side / 2 - 1)
                    for side in (mask.width, mask.height)
                ]
            draw_text(card, mask, (middle[0], middle[1]), "#000000")
            images.append(_to_tensor(card))
            owner.append(index)
    return ImageSet(torch.stack(images), torch.tensor(owner))


def strip_attack(
    pictures: ImageSet, concepts: Sequence[NanoConcept], font: Font, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same pictures with a white strip: blank, and with the word of another concept.

    Returns:
        Blank and written images ``[N, 3, 64, 64]``, and the words' concepts ``[N]``.
    """
    from PIL import Image

    rng = random.Random(seed)
    blank, written, target = [], [], []
    for image, owner in zip(pictures.images, pictures.concept.tolist(), strict=True):
        other = rng.choice([i for i in range(len(concepts)) if i != owner])
        text = concepts[other].words["en"]
        array = (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        card = Image.fromarray(array)
        middle = 0.62 * SIZE_PX
        card.paste("#ffffff", (0, round(middle - 9), SIZE_PX, round(middle + 9)))
        blank.append(_to_tensor(card))
        mask = text_mask(text, font, fit_size(text, font, 0.9 * SIZE_PX, 15))
        draw_text(card, mask, (SIZE_PX / 2, middle), "#000000")
        written.append(_to_tensor(card))
        target.append(other)
    return torch.stack(blank), torch.stack(written), torch.tensor(target)


def make_encoder(model: Any, batch_size: int = 256) -> Encoder:
    """An :data:`Encoder` of an open_clip ResNet."""

    def encode(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        peaks: list[torch.Tensor] = []
        hook = model.visual.layer4[-1].act3.register_forward_pre_hook(
            lambda _, inputs: peaks.append(inputs[0].flatten(2).amax(-1))
        )
        try:
            with torch.inference_mode():
                parts = [
                    model.encode_image((part - MEAN) / STD)
                    for part in torch.split(images, batch_size)
                ]
        finally:
            hook.remove()
        return functional.normalize(torch.cat(parts), dim=-1), torch.cat(peaks)

    return encode


def encode_names(
    model: Any, tokenizer: Callable[[list[str]], torch.Tensor], concepts: Sequence[NanoConcept]
) -> torch.Tensor:
    """The classes of a zero-shot classification: averaged prompts, ``[C, D]``, unit length."""
    with torch.inference_mode():
        parts = [
            functional.normalize(
                model.encode_text(tokenizer([t.format(c.words["en"]) for c in concepts])), dim=-1
            )
            for t in TEMPLATES
        ]
    return functional.normalize(torch.stack(parts).mean(0), dim=-1)


def accuracy(embeddings: torch.Tensor, classes: torch.Tensor, concept: torch.Tensor) -> float:
    """Share of images whose most similar class is the right one."""
    return float(((embeddings @ classes.T).argmax(-1) == concept).float().mean())


def neuron_auroc(peaks: torch.Tensor, is_positive: torch.Tensor) -> float:
    """Area under the ROC curve of one neuron's activations ``[N]``, with mid-ranks for ties."""
    positives = int(is_positive.sum())
    area = mid_ranks(peaks)[is_positive].sum() - positives * (positives + 1) / 2
    return float(area / (positives * (len(peaks) - positives)))


def planted_aurocs(
    planted: Sequence[Planted],
    concepts: Sequence[NanoConcept],
    peaks: torch.Tensor,
    concept: torch.Tensor,
) -> dict[int, float]:
    """AUROC by channel of the concept channels planted in every facet, over one set of images."""
    index = {c.concept: i for i, c in enumerate(concepts)}
    found = {}
    for row in planted:
        if row.scope != "concept" or row.facets != BOTH:
            continue
        is_positive = concept == index[row.concept]
        if bool(is_positive.any()):
            found[row.channel] = neuron_auroc(peaks[:, row.channel], is_positive)
    return found


def count_free(
    peaks: tuple[torch.Tensor, torch.Tensor],
    concept: tuple[torch.Tensor, torch.Tensor],
    channels: Sequence[int],
    concept_count: int,
    threshold: float = 0.95,
) -> int:
    """How many channels have a concept above the threshold in both sets (pictures and words)."""
    above = []
    for values, owner in zip(peaks, concept, strict=True):
        members = functional.one_hot(owner, concept_count).double()
        picked = values[:, list(channels)]
        ranks = torch.stack([mid_ranks(column) for column in picked.T])
        positives = members.sum(0)
        area = ranks @ members - positives * (positives + 1) / 2
        auroc = area / (positives * (len(owner) - positives)).clamp(min=1)
        above.append((auroc > threshold) & (positives > 0))
    return int((above[0] & above[1]).any(1).sum())


def mid_ranks(values: torch.Tensor) -> torch.Tensor:
    """Ascending ranks from 1, equal values sharing their mean."""
    _, inverse, counts = torch.unique(values, return_inverse=True, return_counts=True)
    result: torch.Tensor = (counts.cumsum(0).double() - (counts - 1) / 2)[inverse]
    return result


def _on_white(rgba: Any, edges: bool) -> torch.Tensor:
    from PIL import Image, ImageFilter, ImageOps

    card = Image.new("RGB", rgba.size, "#ffffff")
    card.paste(rgba, (0, 0), rgba)
    if edges:
        found = ImageOps.invert(card.convert("L").filter(ImageFilter.FIND_EDGES))
        card = found.convert("RGB")
    return _to_tensor(card)


def _to_tensor(card: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(card)).permute(2, 0, 1).float() / 255
