"""Images that were made, shown to a model: what its embedding is, and what some of its neurons answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from pipeline.base.errors import WarehouseError
from pipeline.clip.hooks import capture_layers
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import Clip
from pipeline.extract.decode import normalise
from pipeline.extract.stream import Decoder

Floats = np.ndarray[Any, np.dtype[np.float32]]


class Seen(NamedTuple):
    """What a batch of images is to a model."""

    embeddings: Floats
    """``[N, D]``, L2 norm 1."""
    pooled: tuple[Floats, ...]
    """``[N, U]`` of each layer that was asked for, pooled as its name says."""


@torch.inference_mode()
def show_images(
    clip: Clip,
    decoder: Decoder,
    images: Sequence[bytes],
    batch_size: int,
    layers: tuple[str, ...] = (),
) -> Iterator[Seen]:
    """Batch after batch of image files through the image tower, in their order.

    Args:
        clip: The model.
        decoder: Makes pixels of files, as `again.decoder_of_run` has it.
        images: Files.
        batch_size: How many at once.
        layers: Names of layers whose neurons are asked.

    Raises:
        WarehouseError: An image cannot be decoded so.
    """
    probed = tuple(resolve_layers(clip, layers)) if layers else ()
    spec = ImageSpec.from_model(clip.model)
    for first in range(0, len(images), batch_size):
        batch = images[first : first + batch_size]
        pixels, errors = decoder.assemble([decoder.decode(data) for data in batch])
        if error := next(filter(None, errors), None):
            raise WarehouseError(
                f"An image that was made cannot be decoded: {error}.",
                "Make them larger than the run's least size, and smaller than its --max-pixels: --size-px.",
            )
        with capture_layers(clip, probed) as capture:
            found = clip.model.encode_image(normalise(pixels.to(clip.device), spec), normalize=True)
            yield Seen(
                found.float().cpu().numpy(),
                tuple(capture.pooled[name].float().cpu().numpy() for name in layers),
            )
