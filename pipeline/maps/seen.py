"""One image file as a model takes it in: its pixels, and what of the image they are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image

from pipeline.base.errors import ConfigError, ExampleError
from pipeline.base.pixels import open_upright, put_on_paper
from pipeline.base.settings import MAX_PIXELS
from pipeline.clip.image_spec import ImageSpec
from pipeline.extract.decode import decode_exact, decode_fast, normalise, stack

SEEN_PX = 448
"""Side of an image as it is kept for pictures; smaller ones are made larger."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, as shares."""


@dataclass(frozen=True)
class SeenImage:
    """What a model takes in of an image file."""

    pixels: torch.Tensor
    """Normalised, float32 ``[1, 3, H, W]``."""
    image: Image.Image
    """The same part of the image in the image's own resolution, RGB, upright, on white."""
    box: Box
    """Where that part is in the whole image; beyond 0..1 is padding."""
    size_px: tuple[int, int]
    """Width and height of the whole image, upright."""


def see_image(data: bytes, name: str, spec: ImageSpec, is_exact: bool) -> SeenImage:
    """Decode an image file as a run did.

    Args:
        data: The file.
        name: What it is called in a message.
        spec: Of the run's model.
        is_exact: Whether the run decodes by the exact path (``preprocess`` of its identity).

    Raises:
        ConfigError: It is no image, or one that no run can use.
    """
    try:
        decode = decode_exact if is_exact else decode_fast
        pixels = normalise(stack([decode(data, spec, MAX_PIXELS)]), spec)
        upright = open_upright(data)
    except ExampleError as error:
        raise ConfigError(f"{name} cannot be used: {error}", "Give another image.") from error
    box = spec.seen_box(upright.height, upright.width)
    shares = (
        box[0] / upright.width,
        box[1] / upright.height,
        box[2] / upright.width,
        box[3] / upright.height,
    )
    height, width = spec.size_px
    enlarged = SEEN_PX / max(height, width)
    size = (round(width * enlarged), round(height * enlarged))
    whole = put_on_paper(upright, upright.size)
    image = whole.transform(size, Image.Transform.EXTENT, box, Image.Resampling.BICUBIC)
    return SeenImage(pixels, image, shares, upright.size)
