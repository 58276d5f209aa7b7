"""Pictures in every format, and how far apart two ways to decode them may be."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.base.errors import ExampleError
from pipeline.base.pixels import load_rgb, read_orientation
from pipeline.base.settings import MAX_PIXELS
from pipeline.clip.image_spec import ImageSpec
from pipeline.extract.decode import (
    _crop_or_pad,
    decode_exact,
    decode_fast,
    normalise,
)
from pipeline.extract.image_file import open_header

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
SPEC = ImageSpec((64, 64), MEAN, STD)
GREY_LEVEL = 1 / 255 / np.array(STD)  # in normalised units, of each channel: about 0.015
WAYS = [decode_fast, decode_exact]


def natural(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth and sharp structure at many scales, like a photograph."""
    rng = np.random.default_rng(seed)
    total = np.full((height, width, 3), 128.0)
    for cells in (3, 9, 27, 81):
        coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        layer = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        total += (np.asarray(layer) - 127.5) * 1.2 / cells**0.4
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def fast(data: bytes, spec: ImageSpec = SPEC) -> torch.Tensor:
    """The fast way, on to normalised units."""
    pixels = decode_fast(data, spec, MAX_PIXELS)
    assert pixels.dtype == torch.uint8
    return normalise(pixels[None], spec)[0]


def exact(data: bytes, spec: ImageSpec = SPEC) -> torch.Tensor:
    return decode_exact(data, spec, MAX_PIXELS)


def reference(image: Image.Image, spec: ImageSpec = SPEC) -> torch.Tensor:
    """open_clip's transform of an image that is opened as it should be."""
    return spec.transform(image.convert("RGB"))


def kernel_of(before: int, after: int, interpolation: str) -> np.ndarray:
    """float64 [after, before]: the filter of an antialiased resize of one axis, at its pixels."""
    scale = before / after
    places = (np.arange(before) + 0.5 - (np.arange(after)[:, None] + 0.5) * scale) / max(scale, 1)
    x = np.abs(places)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    cubic = np.where(x < 1, near, np.where(x < 2, far, 0))
    return np.maximum(1 - x, 0) if interpolation == "bilinear" else cubic


def weights(before: int, after: int, interpolation: str) -> np.ndarray:
    """float64 [after, before]: an antialiased resize of one axis, as Pillow and torch define it."""
    kernel = kernel_of(before, after, interpolation)
    return kernel / kernel.sum(1, keepdims=True)


def levels_apart(data: bytes, spec: ImageSpec) -> int:
    """How many grey levels may lie between two ways that resize the same pixels in two passes.

    Each pass rounds to whole levels (an error of 1/2, and e for weights of 16 bits) and cuts at 0 and 255
    what the negative lobes of a cubic overshoot (o). The second pass multiplies what the first did wrong
    by at most the sum of its absolute weights (L): so each way is within L (1/2 + e + o) + 1/2 + e of
    the exact value, whichever axis comes first, and two ways are within twice that. Without overshoot
    that is 2.4 at most, two whole levels.
    """
    image = open_header(data, 10**9)
    pixels = np.asarray(load_rgb(image, data), np.float64)
    if read_orientation(image) >= 5:
        pixels = pixels.transpose(1, 0, 2)
    height, width = spec.resized(*pixels.shape[:2])
    cubic = spec.resize_mode == "shortest" and spec.size_px[0] != spec.size_px[1]
    kind = "bicubic" if cubic else spec.interpolation
    down, along = weights(len(pixels), height, kind), weights(pixels.shape[1], width, kind)
    e = max(255 * (np.abs(w) > 0).sum(1).max() * np.abs(w).max() / 2**15 for w in (down, along))
    firsts = np.einsum("yh,hwc->ywc", down, pixels), np.einsum("xw,hwc->hxc", along, pixels)
    wrongs = []
    for first, second in zip(firsts, (along, down), strict=True):
        overshoot = max(0.0, first.max() - 255, -first.min())
        wrongs.append(np.abs(second).sum(1).max() * (0.5 + e + overshoot) + 0.5 + e)
    return int(2 * max(wrongs))


def assert_within(
    result: torch.Tensor, pixels: torch.Tensor, spec: ImageSpec, padded: int, bits_16: bool = False
) -> None:
    """Every level is one that rounding allows, of two passes with one rounding each, along and then down.

    What the exact sum of a pass is, and how far a computed one may be from it, leaves one level or, close
    to a half, two; from those of the first pass the second goes on.

    Args:
        result: uint8 ``[3, height, width]``, after crop or padding.
        pixels: uint8 ``[3, H, W]``, before.
        spec: What was asked for.
        padded: Pixels of an axis with zeros behind it, of images that are resized together.
        bits_16: Weights may be of 16 bits, as torch's on the CPU; else they are float32.
    """
    height, width = pixels.shape[1:]
    new_height, new_width = spec.resized(height, width)
    kind = "bicubic" if spec.resizes_bicubic else "bilinear"
    low = high = pixels.numpy().astype(np.float64)
    for before, after in ((width, new_width), (height, new_height)):
        kernel = kernel_of(before, after, kind)
        matrix = kernel / kernel.sum(1, keepdims=True)
        wrong = _wrong_sum(kernel, max(padded, before), bits_16)
        positive, negative = np.maximum(matrix, 0).T, np.minimum(matrix, 0).T
        low, high = (
            low @ positive + high @ negative - wrong,
            high @ positive + low @ negative + wrong,
        )
        low, high = (np.floor(level + 0.5).clip(0, 255).swapaxes(1, 2) for level in (low, high))
    assert (high - low).max() < 255
    least, most = (
        _crop_or_pad(torch.from_numpy(level).to(torch.uint8), spec) for level in (low, high)
    )
    assert ((least <= result) & (result <= most)).all()


def _wrong_sum(kernel: np.ndarray, padded: int, bits_16: bool) -> np.ndarray:
    """How far a computed sum of weighted levels may be from the exact one: of each place, ``[after]``.

    In float32 with roundoff u: how far a pixel is from a place is wrong by 3 roundings of at most the size
    of the image, divided by how much the filter is widened, and 4 of itself; the kernel is at most 1.39
    as steep (a cubic at 5/9), and its polynomial, whose terms are 4 at most and are multiplied by 2 at
    most twice, adds 100 u. Two of it that should be zero may not be. Their sum, which all are divided
    by, is wrong by what they are, and by the adding; then weighted levels are added.
    16 bits hold a weight to half of a step: the largest weight takes at least 2^15 - 1/2 of them.
    """
    u = 2.0**-24
    after, before = kernel.shape
    taps, total, size = (kernel != 0).sum(1) + 2, kernel.sum(1), np.abs(kernel).sum(1)
    each = 1.39 * (3 * u * before / max(before / after, 1) + 4 * u) + 100 * u
    lengths = size / total
    wrong = (taps * each * (1 + lengths) + padded * u * size * lengths) / total + 2 * u * lengths
    wrong = 1.01 * 255 * (wrong + padded * u * lengths) + 256 * u
    if bits_16:
        largest = np.abs(kernel / total[:, None]).max()
        wrong = wrong + 255 * taps * max(largest / (2**15 - 0.5), 2.0**-23)
    return wrong


def assert_close(
    one: torch.Tensor, other: torch.Tensor, data: bytes, spec: ImageSpec = SPEC
) -> None:
    """As close as two ways to resize can be shown to be."""
    assert one.shape == other.shape
    levels = (one - other).abs().numpy() / GREY_LEVEL[:, None, None]
    apart = levels_apart(data, spec)
    assert levels.max() <= apart + 0.01
    if apart == 2 and levels.size > 1000:
        # four roundings, each wrong by 1 / 12 in the mean square: E |d| <= sqrt(4 / 12)
        assert levels.mean() <= 0.58


def reason(way: Any, data: bytes, max_pixels: int = MAX_PIXELS, spec: ImageSpec = SPEC) -> str:
    with pytest.raises(ExampleError) as caught:
        way(data, spec, max_pixels)
    assert caught.value.detail
    return caught.value.reason
