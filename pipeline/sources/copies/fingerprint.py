"""What an image looks like, in 1.2 KB: a thumbnail, and a hash that copies of it share in part.

The hash is a random-hyperplane hash (Charikar 2002, doi:10.1145/509907.509965) of the 33 lowest
frequencies of the brightness: two images agree in a bit with probability 1 - angle / pi, whatever
their size, file type, contrast and brightness. Resized, re-encoded and grey copies differ by an
angle of 0.05, copies cropped by 5 % by 0.2 to 0.5, different photographs by 0.8 and more. It only
proposes pairs; the thumbnails decide (``likeness``). ``python -m bench near`` measures both.
"""

from __future__ import annotations

import hashlib
import warnings
from functools import cache
from typing import Any, NamedTuple, cast

import numpy as np
from PIL import Image

from pipeline.base.pixels import UPRIGHT, load_rgb, open_image, read_orientation

THUMB_PX = 32
"""Width and height of the thumbnail's brightness, whatever the image's shape."""
CHROMA_PX = 8
"""Width and height of each of its two planes of colour."""
THUMB_BYTES = THUMB_PX**2 + 2 * CHROMA_PX**2
KEY_BITS = 24
"""Bits of a key; images that share one of the keys are compared."""
KEY_COUNT = 10
HASH_COLUMNS = tuple(f"hash_{n + 1}" for n in range(KEY_COUNT // 2))
"""Columns of the hash: 48 bits, two keys, in each."""
MAX_PIXELS = 64_000_000
"""A larger image has no fingerprint: decoding it would take seconds and a gigabyte."""

_FREQUENCIES = 7
Floats = np.ndarray[Any, np.dtype[np.float32]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Fingerprint(NamedTuple):
    """A row of the table ``fingerprints``, without its example_id."""

    width_px: int
    height_px: int
    """Of the image as it is shown, upright."""
    hashes: tuple[int, ...]
    """One value for each of ``HASH_COLUMNS``."""
    thumb: bytes
    """uint8: brightness ``[32, 32]``, then blue and red difference ``[8, 8]`` each, 128 being grey."""


def take_fingerprint(data: bytes) -> Fingerprint | None:
    """Decode an image as it would be shown, and describe it.

    A JPEG is decoded at down to an eighth of its size, as long as four times the thumbnail is left.

    Args:
        data: The image file.

    Returns:
        None if it cannot be decoded (extraction says why) or has more than ``MAX_PIXELS``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _describe(data)
    except Exception:  # whatever a plugin throws at damaged bytes
        return None


def _describe(data: bytes) -> Fingerprint | None:
    with open_image(data) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            return None
        if image.format == "JPEG":
            image.draft(None, (4 * THUMB_PX, 4 * THUMB_PX))
        small = load_rgb(image, data).resize(
            (THUMB_PX, THUMB_PX), Image.Resampling.BILINEAR, reducing_gap=4.0
        )
        orientation = read_orientation(image)
    if orientation in UPRIGHT:
        small = small.transpose(UPRIGHT[orientation])
    if orientation >= 5:
        width, height = height, width
    thumb = make_thumb(np.asarray(small, np.float32))
    return Fingerprint(width, height, hash_thumb(thumb), thumb.tobytes())


def make_thumb(rgb: Floats) -> Bytes:
    """uint8 ``[1152]`` from ``[32, 32, 3]`` in 0..255: brightness and two colour differences (BT.601)."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    step = THUMB_PX // CHROMA_PX
    parts = [luma.ravel()]
    for scaled in ((blue - luma) * 0.564, (red - luma) * 0.713):
        pooled = scaled.reshape(CHROMA_PX, step, CHROMA_PX, step).mean((1, 3))
        parts.append(pooled.ravel() + 128)
    return cast(Bytes, np.rint(np.concatenate(parts)).clip(0, 255).astype(np.uint8))


def hash_thumb(thumb: Bytes) -> tuple[int, ...]:
    """The 240 bits of a thumbnail, 48 in each number, none negative."""
    luma = thumb[: THUMB_PX**2].reshape(THUMB_PX, THUMB_PX).astype(np.float32)
    basis, weights, directions = _projection()
    low = (basis @ luma @ basis.T) * weights
    bits = low[weights > 0] @ directions > 0
    packed = np.packbits(bits).tobytes()
    return tuple(int.from_bytes(packed[at : at + 6], "big") for at in range(0, len(packed), 6))


@cache
def _projection() -> tuple[Floats, Floats, Floats]:
    """DCT-II basis ``[7, 32]``; weight of each frequency ``[7, 7]``, 0 if left out; directions ``[33, 240]``.

    Weights grow with the frequency, since pictures' amplitudes fall with it. Directions are of
    +1 and -1, from SHA-256: the same everywhere and for ever.
    """
    n, x = np.arange(_FREQUENCIES)[:, None], np.arange(THUMB_PX)[None]
    basis = np.cos(np.pi * n * (2 * x + 1) / (2 * THUMB_PX)) * np.where(n == 0, np.sqrt(0.5), 1)
    order = np.arange(_FREQUENCIES)[:, None] + np.arange(_FREQUENCIES)[None]
    weights = np.where(order <= _FREQUENCIES, order, 0)
    count, bits = int((weights > 0).sum()), KEY_BITS * KEY_COUNT
    drawn = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(count * bits // 256 + 1))
    signs = np.unpackbits(np.frombuffer(drawn, np.uint8))[: count * bits].reshape(count, bits)
    return (
        basis.astype(np.float32),
        weights.astype(np.float32),
        2 * signs.astype(np.float32) - 1,
    )
