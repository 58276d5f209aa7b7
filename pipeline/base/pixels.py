"""One image file, from bytes to Pillow's pixels: the one way in, for the index, extraction and pictures.

Not ``Image.open``: that tries formats that nobody asked for, and has a size limit of its own, a global that
warns or raises.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any, cast

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from pipeline.base.errors import ExampleError
from pipeline.base.names import FORMATS

Image.init()  # once, here: Pillow would otherwise fill its registry from whichever thread is first

_ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image upright, by its EXIF orientation; 1 is upright."""

_PNG = b"\x89PNG\r\n\x1a\n"
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_OF_PIXELS = (b"tRNS", b"eXIf", *_ANIMATION)
"""Ancillary chunks of PNG that say how the pixels are shown."""


def open_image(data: bytes) -> ImageFile:
    """Open an image without decoding any pixel; its size and mode are then known.

    Raises:
        ExampleError: ``empty_file``, ``not_an_image``, ``too_many_pixels``, ``image_truncated`` or
            ``image_unreadable``.
    """
    if not data:
        raise ExampleError("empty_file", "The file has 0 bytes.")
    prefix = data[:16]
    for name in FORMATS:
        factory, accept = Image.OPEN.get(name, (None, None))
        # accept gives a text instead of True when a format is known but not built in
        if factory is None or accept is None or accept(prefix) is not True:
            continue
        try:
            if name == "JPEG":  # its registered factory looks for several pictures (MPO) and warns
                return JpegImageFile(BytesIO(data))
            return _open_png(data) if name == "PNG" else factory(BytesIO(data), "")
        except Image.DecompressionBombError as error:  # WebP and GIF ask Pillow's limit themselves
            raise ExampleError("too_many_pixels", f"{name}: {error}") from error
        except Exception as error:  # whatever a plugin throws at damaged bytes
            raise explain_failure(name, error, data) from error
    raise ExampleError(
        "not_an_image", f"The file begins with {prefix!r}; known formats: {', '.join(FORMATS)}."
    )


def load_rgb(image: ImageFile, data: bytes) -> Image.Image:
    """Decode all pixels with Pillow: RGB, transparent pixels on white, not yet upright.

    Raises:
        ExampleError: ``image_truncated`` or ``image_unreadable``.
    """
    try:
        image.load()
        if image.mode.startswith("I"):
            return _from_wide_grey(image)
        if image.mode == "F":
            raise ValueError("32-bit float pixels have no stated range")
        if image.has_transparency_data:
            rgba = image.convert("RGBA")
            white = Image.new("RGB", image.size, "white")
            white.paste(rgba, mask=rgba)
            return white
        return image.convert("RGB")
    except Exception as error:  # whatever a plugin throws at damaged bytes
        raise explain_failure(image.format or "image", error, data) from error


def open_upright(data: bytes) -> Image.Image:
    """An image file as it is to be looked at: turned as its EXIF says, RGBA.

    Raises:
        ExampleError: It cannot be decoded.
    """
    with open_image(data) as image:
        shown = load_rgb(image, data)
        if image.has_transparency_data and not image.mode.startswith("I"):
            shown = image.convert("RGBA")
        step = UPRIGHT.get(read_orientation(image))
    return (shown if step is None else shown.transpose(step)).convert("RGBA")


def put_on_paper(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """An RGBA image in the middle of white paper of a size, RGB."""
    card = Image.new("RGB", size, "#ffffff")
    card.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2), image)
    return card


def read_orientation(image: ImageFile) -> int:
    """EXIF orientation, 1 (upright) to 8. Call it after loading.

    TIFF turns itself while loading, and PNG may state its EXIF behind the pixels. Damaged EXIF
    says nothing about the pixels: 1.
    """
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # whatever Pillow's parser throws at damaged tags
        return 1


def explain_failure(name: str, error: Exception, data: bytes) -> ExampleError:
    """What an error of Pillow means: the file was cut, or it is damaged in another way."""
    is_short = (
        isinstance(error, EOFError)
        or any(word in str(error).lower() for word in ("truncated", "unexpected end", "not enough"))
        or (name == "JPEG" and b"\xff\xd9" not in data)
        or (name == "WEBP" and len(data) < 8 + int.from_bytes(data[4:8], "little"))
    )
    reason = "image_truncated" if is_short else "image_unreadable"
    return ExampleError(reason, f"{name}: {type(error).__name__}: {error}")


def _from_wide_grey(image: ImageFile) -> Image.Image:
    """Scale grey of 16 bits to 8 by its high byte, as Pillow does for 16-bit colours.

    TIFF may keep values of 8 bits in 32: where none is above 255 they are taken as they are.
    """
    wide = np.asarray(image)
    low, high = int(wide.min()), int(wide.max())
    if low < 0 or high > 0xFFFF:
        raise ValueError("32-bit integer pixels beyond 0..65535 have no stated range")
    is_narrow = image.format == "TIFF" and image.mode == "I" and high <= 0xFF
    grey = (wide if is_narrow else wide >> 8).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[wide == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _open_png(data: bytes) -> ImageFile:
    """A PNG whatever its texts and other notes are worth: they say nothing about its pixels.

    As in libpng, an ancillary chunk with a wrong checksum is left out; so is every one that does not
    concern the pixels where it stands behind them, or where Pillow refuses the file for one.
    """
    mended = _keep_chunks(data, _is_right)
    try:
        return cast(ImageFile, cast(Any, PngImageFile)(BytesIO(mended)))
    except Exception:
        bare = _keep_chunks(mended, lambda kind, _, __: kind in _OF_PIXELS)
        if bare == mended:
            raise
        return cast(ImageFile, cast(Any, PngImageFile)(BytesIO(bare)))


def _is_right(kind: bytes, chunk: memoryview, is_behind: bool) -> bool:
    if is_behind and kind not in _OF_PIXELS:
        return False
    stated = struct.unpack(">I", chunk[-4:])[0]
    return bool(zlib.crc32(chunk[4:-4]) == stated)


def _keep_chunks(data: bytes, keep: Any) -> bytes:
    """The file with those ancillary chunks that ``keep(kind, chunk, is_behind)``; critical ones all."""
    chunks = list(_iter_chunks(data))
    dropped = set()
    is_behind = False
    for kind, start, end in chunks:
        is_behind = is_behind or kind == b"IDAT"
        if kind[0] & 0x20 and not keep(kind, memoryview(data)[start:end], is_behind):
            dropped.add((kind, start, end))
    if any(kind in _ANIMATION for kind, _, _ in dropped):  # its still image is left
        dropped |= {chunk for chunk in chunks if chunk[0] in _ANIMATION}
    if not dropped:
        return data
    kept = [data[start:end] for kind, start, end in chunks if (kind, start, end) not in dropped]
    tail = chunks[-1][2]
    return b"".join([_PNG, *kept, data[tail:]])


def _iter_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end) of each whole chunk of a PNG."""
    at = len(_PNG)
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if at + 12 + length > len(data):
            return
        yield kind, at, at + 12 + length
        at += 12 + length
