"""Pictures in every format, and how far apart two ways to decode them may be."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.base.errors import ExampleError
from pipeline.base.pixels import UPRIGHT, load_rgb, read_orientation
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
    pixels = upright(data).transpose(1, 2, 0)
    height, width = spec.resized(*pixels.shape[:2])
    kind = "bicubic" if spec.resizes_bicubic else "bilinear"
    down, along = weights(len(pixels), height, kind), weights(pixels.shape[1], width, kind)
    e = max(255 * (np.abs(w) > 0).sum(1).max() * np.abs(w).max() / 2**15 for w in (down, along))
    firsts = np.einsum("yh,hwc->ywc", down, pixels), np.einsum("xw,hwc->hxc", along, pixels)
    wrongs = []
    for first, second in zip(firsts, (along, down), strict=True):
        overshoot = max(0.0, first.max() - 255, -first.min())
        wrongs.append(np.abs(second).sum(1).max() * (0.5 + e + overshoot) + 0.5 + e)
    return int(2 * max(wrongs))


def upright(data: bytes) -> np.ndarray:
    """Levels ``[3, H, W]`` of a file, float64."""
    image = open_header(data, 10**9)
    rgb = load_rgb(image, data)
    step = UPRIGHT.get(read_orientation(image))
    return np.asarray(rgb if step is None else rgb.transpose(step), np.float64).transpose(2, 0, 1)


def is_within(
    result: torch.Tensor,
    pixels: np.ndarray,
    spec: ImageSpec,
    padded: int = 0,
    bits_16: bool = False,
    down_first: bool = False,
) -> bool:
    """Whether every level is one that rounding allows, of two passes, along and then down.

    The exact sum of a pass, and how far a computed one may be from it, leave one level or, close to a
    half, two; from those of the first pass the second goes on.

    Args:
        result: Whole levels ``[3, height, width]``, after crop or padding.
        pixels: Levels ``[3, H, W]``, before.
        spec: What was asked for.
        padded: Pixels of an axis with zeros behind it, of images that are resized together.
        bits_16: Weights may be of 16 bits, as torch's on the CPU; else they are float32.
        down_first: The other way round.
    """
    kind = "bicubic" if spec.resizes_bicubic else "bilinear"
    axes = list(zip(pixels.shape[1:], spec.resized(*pixels.shape[1:]), strict=True))
    low = high = pixels if down_first else pixels.swapaxes(1, 2)
    for before, after in axes if down_first else axes[::-1]:  # of each pass, the axis in the middle
        kernel = kernel_of(before, after, kind)
        matrix = kernel / kernel.sum(1, keepdims=True)
        wrong = _wrong_sum(kernel, max(padded, before), bits_16)[:, None]
        positive, negative = np.maximum(matrix, 0), np.minimum(matrix, 0)
        low, high = (
            positive @ low + negative @ high - wrong,
            positive @ high + negative @ low + wrong,
        )
        low, high = (np.floor(level + 0.5).clip(0, 255).swapaxes(1, 2) for level in (low, high))
    if not down_first:
        low, high = low.swapaxes(1, 2), high.swapaxes(1, 2)
    least, most = (_crop_or_pad(torch.tensor(x, dtype=torch.uint8), spec) for x in (low, high))
    return bool(((least <= result) & (result <= most)).all())


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
    """As close to exact arithmetic, and to each other, as two ways to resize can be shown to be."""
    assert one.shape == other.shape
    mean, sd = (torch.tensor(each)[:, None, None] for each in (MEAN, STD))
    levels = [((way * sd + mean) * 255).round() for way in (one, other)]
    assert (levels[0] - levels[1]).abs().max() <= levels_apart(data, spec)
    for way in (
        levels
    ):  # Pillow goes first along what is cheaper, and ours resizes an image as it is stored
        assert any(
            is_within(way, upright(data), spec, bits_16=True, down_first=d) for d in (False, True)
        )


def reason(way: Any, data: bytes, max_pixels: int = MAX_PIXELS, spec: ImageSpec = SPEC) -> str:
    with pytest.raises(ExampleError) as caught:
        way(data, spec, max_pixels)
    assert caught.value.detail
    return caught.value.reason
