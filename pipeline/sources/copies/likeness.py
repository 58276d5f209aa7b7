"""Whether two fingerprints are of one picture: the decision about a pair that the hash proposes.

A false pair hides an image and a missed one only leaves a repeat, so every limit is below what tells
different drawings, flags and words apart (``python -m bench near`` states what it costs). Two pictures
are one if their thumbnails agree everywhere: in brightness, in colour (unless one of them has none)
and in shape; a square may be the other pressed into one, as models are fed. Or if one of them is a
window of the other: then the best small shift and scale explains most of the difference, and the
window that it states lies inside. Words or a patch over an image make another image: that is what
attacks are made of.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from pipeline.sources.copies.fingerprint import CHROMA_PX, THUMB_BYTES, THUMB_PX

KINDS = ("", "resized", "grey", "cropped")
"""What `compare` answers, by number; 0 is two pictures."""

MIN_PX = 24
"""An image whose shorter side is less says too little; only an identical file is its copy."""

_MAX_ASPECT, _MAX_CROP_ASPECT = 0.03, 0.12  # |ln| of the ratio of width to height, beside rounding
_LEAST_SPREAD = 12  # of a square and what is not: two plain areas agree in any shape
_CROP_STEPS = 3
_MAX_SHIFT = 0.09

Floats = np.ndarray[Any, np.dtype[np.float32]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


def compare(one: bytes, other: bytes, one_px: Ints, other_px: Ints) -> Ints:
    """The kind of copy that each pair is.

    Args:
        one: Thumbnails of P images, one after the other.
        other: Those that they are compared with.
        one_px: ``[P, 2]``: width and height.
        other_px: ``[P, 2]``.

    Returns:
        int64 ``[P]``: places in ``KINDS``. The order of two images does not matter.
    """
    a_luma, a_chroma = _unpack(one)
    b_luma, b_chroma = _unpack(other)
    shorter = np.minimum(one_px.min(1), other_px.min(1)).astype(np.float32)
    shorter = np.maximum(shorter, 1)
    spread = np.minimum(a_luma.std((1, 2)), b_luma.std((1, 2)))  # of the flatter one
    log_aspect = np.log(one_px[:, 0] / one_px[:, 1]) - np.log(other_px[:, 0] / other_px[:, 1])
    aspect = np.abs(log_aspect) - 2 / shorter
    difference = np.abs(a_luma - b_luma).reshape(len(a_luma), -1)
    rms = np.sqrt((difference**2).mean(1))
    colour = np.abs(a_chroma - b_chroma).max(1, initial=0)
    # Resampling blurs by about a pixel of the smaller image: small ones may differ more.
    most = 8 + 1600 / shorter
    most_rms = np.minimum(1.5 + 300 / shorter, (0.1 + 2.5 / shorter) * spread)
    most_colour = 5 + 350 / shorter
    peak = difference.max(1, initial=0)
    is_pressed = (one_px[:, 0] == one_px[:, 1]) != (other_px[:, 0] == other_px[:, 1])
    is_pressed &= (aspect > _MAX_CROP_ASPECT) & (spread >= _LEAST_SPREAD)
    agrees = (peak <= most) & (rms <= most_rms) & ((aspect <= _MAX_ASPECT) | is_pressed)
    # Without colours brightness has to tell all: pictures that differ in colour alone are many.
    has_grey = (np.abs(a_chroma).max(1) <= 3) != (np.abs(b_chroma).max(1) <= 3)
    is_grey = agrees & has_grey & (peak <= most / 2) & (rms <= most_rms / 2)
    kinds = np.zeros(len(a_luma), np.int64)
    kinds[is_grey] = KINDS.index("grey")
    kinds[agrees & (colour <= most_colour)] = KINDS.index("resized")
    may_be_cropped = (kinds == 0) & (aspect <= _MAX_CROP_ASPECT) & (colour <= 30)
    may_be_cropped &= (rms > 0.1 * spread) & (rms < spread) & (spread > 8)
    at = np.flatnonzero(may_be_cropped)
    kinds[at[_are_windows(a_luma[at], b_luma[at], spread[at])]] = KINDS.index("cropped")
    kinds[shorter < MIN_PX] = 0
    return kinds


def _unpack(thumbs: bytes) -> tuple[Floats, Floats]:
    """Brightness ``[P, 32, 32]`` and colour differences ``[P, 128]``, 0 being grey."""
    values = np.frombuffer(thumbs, np.uint8).reshape(-1, THUMB_BYTES).astype(np.float32)
    luma, chroma = values[:, : THUMB_PX**2], values[:, -2 * CHROMA_PX**2 :]
    return luma.reshape(-1, THUMB_PX, THUMB_PX), chroma - 128


def _are_windows(one: Floats, other: Floats, spread: Floats) -> Bools:
    """Whether one of each pair shows what lies in a window of the other, a little smaller than it.

    A first fit, at half the size, tells most pairs apart, and of the others which way round.
    """
    size = THUMB_PX // 2
    small = [image.reshape(-1, size, 2, size, 2).mean((2, 4)) for image in (one, other)]
    fit, rest = _fit((small[0] + small[1]) / 2, small[1] - small[0])
    before = np.sqrt(((small[1] - small[0]) ** 2).sum((1, 2)))
    narrowing = fit[:, 0] + fit[:, 2]
    answer: Bools = (rest < 0.8 * before) & (np.abs(narrowing) > 0.02)
    for is_first_whole, whole, part in ((True, one, other), (False, other, one)):
        at = np.flatnonzero(answer & ((narrowing < 0) == is_first_whole))
        if len(at):
            answer[at] = _is_window(whole[at], part[at], spread[at])
    return answer


def _is_window(whole: Floats, part: Floats, spread: Floats) -> Bools:
    """Whether ``part`` shows a window of ``whole``: the best one explains it, and lies inside.

    The border of two pixels, where a shift has nothing to read, does not count.
    """
    place = _places(THUMB_PX)
    fit, warped = np.zeros((len(whole), 4), np.float32), cast(Any, whole)
    for _ in range(_CROP_STEPS):
        step, _ = _fit(warped, part - warped)
        fit = np.clip(fit + step, -_MAX_SHIFT, _MAX_SHIFT).astype(np.float32)
        columns = _resampling(place * (1 + fit[:, 0:1]) + fit[:, 1:2])
        rows = _resampling(place * (1 + fit[:, 2:3]) + fit[:, 3:4])
        warped = rows @ whole @ columns.transpose(0, 2, 1)
    before, after = (np.abs(image - part)[:, 2:-2, 2:-2] for image in (whole, warped))
    rms_before, rms = (np.sqrt((d**2).mean((1, 2))) for d in (before, after))
    scale, shift = fit[:, 0::2], fit[:, 1::2]
    is_inside = (scale < 0.01).all(1) & (scale > -0.08).all(1) & (-scale.min(1) > 0.02)
    is_inside &= (np.abs(shift) <= 0.012 - scale / 2).all(1)
    explains = (rms < 0.25 * spread) & (after.max((1, 2)) < 1.5 * spread) & (rms < 0.6 * rms_before)
    answer: Bools = is_inside & explains
    return answer


def _fit(image: Floats, difference: Floats) -> tuple[Floats, Floats]:
    """The small scale and shift of each axis that explain a difference best (Gauss and Newton).

    Args:
        image: ``[P, n, n]``, which is to become ``image(x (1 + scale) + shift)``, x from -0.5 to 0.5.
        difference: ``[P, n, n]``: what that is to add to it.

    Returns:
        ``[P, 4]``: scale and shift along x, then along y; and ``[P]``: the length of what is left.
    """
    count, size, _ = image.shape
    place = _places(size)
    along_x, along_y = np.gradient(image, axis=2) * size, np.gradient(image, axis=1) * size
    slopes = np.stack([along_x * place, along_x, along_y * place[:, None], along_y], 1)
    slopes = slopes.reshape(count, 4, size * size)
    normal = slopes @ slopes.transpose(0, 2, 1)
    trace = np.trace(normal, axis1=1, axis2=2)[:, None, None]
    normal = normal + np.eye(4, dtype=np.float32) * (2.5e-4 * trace + 1e-6)
    wanted = difference.reshape(count, size * size, 1)
    step = np.linalg.solve(normal, slopes @ wanted)
    rest = wanted - slopes.transpose(0, 2, 1) @ step
    return step[..., 0].astype(np.float32), np.sqrt((rest**2).sum((1, 2))).astype(np.float32)


def _places(size: int) -> Floats:
    """Centres of the pixels of a line, -0.5 to 0.5."""
    return ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32)


def _resampling(places: Floats) -> Floats:
    """``[P, 32, 32]``: rows that read a line at ``places`` ``[P, 32]``, linearly, held at its ends."""
    size = places.shape[1]
    at = np.clip((places + 0.5) * size - 0.5, 0, size - 1)
    reach: Floats = 1 - np.abs(at[..., None] - np.arange(size, dtype=np.float32))
    return np.maximum(reach, 0)
