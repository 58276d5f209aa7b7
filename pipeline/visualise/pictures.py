"""A picture as a file, and what the run's model answers to that file as to any other image."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, PngImagePlugin

from pipeline.base.errors import WarehouseError
from pipeline.clip.hooks import Layer, capture_layers
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.model import Clip
from pipeline.extract.decode import normalise
from pipeline.extract.stream import Decoder
from pipeline.visualise.optimise import Drawn


@dataclass(frozen=True)
class Answers:
    """What the model answers to pictures."""

    activations: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    """Pooled as the run pools them: ``[N, unit_count]``."""
    means: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None
    """Of a lower layer, each channel's mean over positions: ``[N, channels]``; None if it was not asked for."""


def write_png(drawn: Drawn, said: str) -> bytes:
    """A PNG file, RGB, or RGBA if it has an opacity; the same bytes for the same picture.

    Args:
        drawn: The picture.
        said: What drew it, for whoever finds the file alone: it stands in the file.
    """
    image = Image.fromarray(drawn.pixels)
    if drawn.opacity is not None:
        image.putalpha(Image.fromarray(drawn.opacity))
    info = PngImagePlugin.PngInfo()
    info.add_text("Description", said)
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=info)
    return file.getvalue()


def make_opaque(data: bytes) -> bytes:
    """The same picture as a PNG file without its opacity: as it was climbed."""
    with Image.open(io.BytesIO(data)) as image:
        if image.mode == "RGB":
            return data
        pixels = np.asarray(image)[..., :3]
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
    return file.getvalue()


@torch.inference_mode()
def ask_model(
    clip: Clip, decoder: Decoder, layer: Layer, lower: Layer | None, files: Sequence[bytes]
) -> Answers:
    """What the model answers to image files, prepared as the run prepares images; opacity is left out.

    Args:
        clip: The run's model.
        decoder: Of `decoder_of_run`.
        layer: Probed.
        lower: A lower one, pooled by mean; or None.
        files: Whole image files.

    Raises:
        WarehouseError: One cannot be decoded.
    """
    pixels, errors = decoder.assemble([decoder.decode(make_opaque(one)) for one in files])
    if error := next(filter(None, errors), None):
        raise WarehouseError(
            f"A picture cannot be decoded: {error}.",
            "Draw it anew: delete the file and repeat the command.",
        )
    spec = ImageSpec.from_model(clip.model)
    with capture_layers(clip, (layer, lower) if lower else (layer,)) as capture:
        clip.model.encode_image(normalise(pixels.to(clip.device), spec))
        found = capture.pooled[layer.name].float().cpu().numpy()
        means = capture.pooled[lower.name].float().cpu().numpy() if lower else None
    return Answers(found, means)
