"""May a written word have decided? Parts of the image are asked alone, and painted over.

Goh et al. (2021, doi:10.23915/distill.00030) turn an apple into an iPod with a paper note. Here the note is
looked for: a part that, alone, looks like writing to this model and is taken for what the whole image is taken
for, and without which the image is taken for something else. That is a cause and no correlate: the model
reads the changed image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from PIL import Image

from pipeline.clip.hooks import Layer
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.model import Clip
from pipeline.look.answers import Classes
from pipeline.look.read import Reading, read_images
from pipeline.look.readers import Reader, find_readers
from pipeline.look.writing import Writing, learn_writing
from pipeline.maps.seen import Box, SeenImage

if TYPE_CHECKING:
    import duckdb

    from pipeline.look.excited import Statistics
    from pipeline.warehouse.find import FoundRun

EVEN = 0.5
"""From where on a part counts: as likely as not what the image is taken for, and nearer to writing than not."""

_STEPS = 8
_SHAPES = ((2, 8, 8), (3, 8, 8), (3, 6, 2), (4, 4, 2))
"""Height and width of the parts, and the step to the right, in eighths of the image."""

Level = Literal["suspected", "agreed", "none", "unknown"]


@dataclass(frozen=True)
class Region:
    """The part of an image that, alone, reads most as what the image is taken for."""

    box: Box
    """Left, top, right and bottom, as shares of what the model saw."""
    alone: Image.Image
    """The part on paper of its own colour, square, RGB."""
    without: Image.Image
    """The image with the part painted over in its own median colour, RGB."""
    answer: str
    """What the whole image is taken for."""
    before: float
    """Probability of that, of the whole image."""
    after: float
    """And without the part."""
    alone_frac: float
    """And of the part alone."""
    writing_frac: float
    """How near the part alone is to the run's writing: 0 its average picture, 1 its average writing."""
    answer_without: str
    """What the image is taken for without the part."""

    @property
    def score(self) -> float:
        """0..1: the weakest of the three that a typographic attack has."""
        return min(self.alone_frac, self.writing_frac, 1 - self.after)


@dataclass(frozen=True)
class Suspicion:
    """Whether a written word may have decided what an image is taken for."""

    level: Level
    region: Region | None
    """None if it is not known."""
    readers: tuple[Reader, ...] = ()
    """Neurons that answer to the part, and do not without it; most first."""
    why: str = ""
    """Why it is not known."""
    is_guessed: bool = False
    """What writing looks like was learned from what the model itself takes for writing."""


def list_parts() -> tuple[Box, ...]:
    """Parts that are tried: bands and boxes, from top to bottom and left to right."""
    found = []
    for height, width, step in _SHAPES:
        for top in range(_STEPS - height + 1) if height < 4 else range(0, _STEPS - height + 1, 2):
            for left in range(0, _STEPS - width + 1, step):
                right, bottom = left + width, top + height
                found.append((left / _STEPS, top / _STEPS, right / _STEPS, bottom / _STEPS))
    return tuple(found)


def suspect(
    connection: duckdb.DuckDBPyConnection,
    run: FoundRun,
    clip: Clip,
    classes: Classes,
    statistics: Mapping[str, Statistics],
    layers: Sequence[Layer],
    seen: SeenImage,
    reading: Reading,
) -> Suspicion:
    """Look for a word that decides.

    Args:
        connection: Of ``pipeline.connect``.
        run: Whose images tell what writing looks like.
        clip: Its model.
        classes: What is chosen from.
        statistics: Of each layer's neurons, by its name.
        layers: Whose neurons may say so.
        seen: The image.
        reading: Of it.
    """
    writing, why = learn_writing(connection, run)
    if writing is None:
        return Suspicion("unknown", None, why=why)
    region, changed = find_region(clip, classes, writing, seen, reading.embeddings)
    level = judge(region)
    if level == "none":
        return Suspicion(level, region, is_guessed=writing.is_guessed)
    after = read_images(clip, layers, changed)
    readers = find_readers(connection, run, region.answer, statistics, layers, reading, after)
    return Suspicion(level, region, readers, is_guessed=writing.is_guessed)


def find_region(
    clip: Clip, classes: Classes, writing: Writing, seen: SeenImage, embeddings: torch.Tensor
) -> tuple[Region, torch.Tensor]:
    """The part that decides most like a word, and what the image is taken for without it.

    Args:
        clip: The model.
        classes: What is chosen from.
        writing: What writing looks like to it.
        seen: The image.
        embeddings: Its own, ``[1, D]``.

    Returns:
        The part; and pixels ``[2, 3, H, W]`` of the image without it, and of the part alone.
    """
    whole = classes.score(clip, embeddings)[0]
    top = int(whole.argmax())
    parts, spec = list_parts(), ImageSpec.from_model(clip.model)
    cards = [cut_out(seen.image, box) for box in parts]
    pixels = torch.stack([spec.transform(card) for card in cards])
    alone = read_images(clip, (), pixels).embeddings
    taken_for = classes.score(clip, alone)[:, top].double().numpy()
    likeness = writing.share(alone.numpy())
    best = int(np.minimum(taken_for, likeness).argmax())  # of equal ones the first
    changed = torch.cat([paint_over(seen.pixels, parts[best]), pixels[best][None]])
    without = classes.score(clip, read_images(clip, (), changed[:1]).embeddings)[0]
    region = Region(
        parts[best],
        cards[best],
        _paint_image(seen.image, parts[best]),
        classes.names[top],
        float(whole[top]),
        float(without[top]),
        float(taken_for[best]),
        float(likeness[best]),
        classes.names[int(without.argmax())],
    )
    return region, changed


def judge(region: Region) -> Level:
    """Whether a part is a word that is read, and whether the answer hangs on it."""
    if min(region.alone_frac, region.writing_frac) < EVEN:
        return "none"
    return "agreed" if region.answer_without == region.answer else "suspected"


def paint_over(pixels: torch.Tensor, box: Box) -> torch.Tensor:
    """Pixels ``[1, 3, H, W]`` with a part in its own median colour: letters go, their paper stays."""
    left, top, right, bottom = _edges(box, pixels.shape[3], pixels.shape[2])
    painted = pixels.clone()
    part = pixels[:, :, top:bottom, left:right]
    painted[:, :, top:bottom, left:right] = part.flatten(2).median(2).values[..., None, None]
    return painted


def cut_out(image: Image.Image, box: Box) -> Image.Image:
    """A part of an image in the middle of a square of its median colour."""
    part = image.crop(_edges(box, *image.size))
    side = max(part.size)
    card = Image.new("RGB", (side, side), _median(part))
    card.paste(part, ((side - part.width) // 2, (side - part.height) // 2))
    return card


def _paint_image(image: Image.Image, box: Box) -> Image.Image:
    edges = _edges(box, *image.size)
    painted = image.copy()
    painted.paste(_median(image.crop(edges)), edges)
    return painted


def _median(part: Image.Image) -> tuple[int, int, int]:
    red, green, blue = np.median(np.asarray(part).reshape(-1, 3), axis=0)
    return int(red), int(green), int(blue)


def _edges(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    return round(left * width), round(top * height), round(right * width), round(bottom * height)
