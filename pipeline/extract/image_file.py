"""One image file, from bytes to pixels; what cannot be used raises :class:`ExampleError`.

The reasons, which become reject rows:

    empty_file        no bytes
    not_an_image      none of ``FORMATS``
    too_many_pixels   the header says more pixels than the limit; nothing was decoded
    too_elongated     a thin line, which would explode when resized (see ``decode``)
    image_truncated   the file ends too early; half an image is never let through
    image_unreadable  damaged, or pixels whose range nobody states (float images)

Known limit: a JPEG that lost its second half and then got a new end marker cannot be told from a
whole one by libjpeg; only when its size is impossible for its pixels is it seen here.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from torchvision.transforms.v2.functional import pil_to_tensor

from pipeline.errors import ExampleError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM")
"""What is opened. A closed list: Pillow's other plugins include some that start programs."""

Image.init()  # once, here: Pillow would otherwise fill its registry from whichever thread is first

_ORIENTATION_TAG = 0x0112

# torchvision has announced that its image operators will go. Without the operator Pillow decodes
# JPEG too: the same pixels, a little slower. Its Python wrapper warns on every call: not used.
_JPEG_OPERATOR: Callable[[torch.Tensor, int, bool], torch.Tensor] | None = getattr(
    torch.ops.image, "decode_jpeg", None
)
_JPEG_AS_RGB = 3  # torchvision.io.ImageReadMode.RGB


def open_header(data: bytes, max_pixels: int) -> ImageFile:
    """Open an image without decoding any pixel; its size and mode are then known.

    Not ``Image.open``: that has a size limit of its own, a global that warns or raises.

    Raises:
        ExampleError: For all the reasons above except ``too_elongated``.
    """
    if not data:
        raise ExampleError("empty_file", "The file has 0 bytes.")
    prefix = data[:16]
    for name in FORMATS:
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is None or accept is None or accept(prefix) is not True:
            continue
        try:
            # JPEG's registered factory looks for several pictures (MPO) and warns: one will do
            image = JpegImageFile(BytesIO(data)) if name == "JPEG" else factory(BytesIO(data), "")
        except Image.DecompressionBombError as error:  # WebP and GIF ask Pillow's limit themselves
            raise ExampleError("too_many_pixels", f"{name}: {error}") from error
        except Exception as error:  # whatever a plugin throws at damaged bytes
            raise _failure(name, error, data) from error
        _check_size(name, data, image.size, max_pixels)
        return image
    raise ExampleError(
        "not_an_image", f"The file starts with {prefix!r}; known formats: {', '.join(FORMATS)}."
    )


def load_tensor(image: ImageFile, data: bytes) -> torch.Tensor:
    """Decode all pixels the fast way.

    Returns:
        uint8 [3, H, W] in 0..255, stored pixel by pixel, as the file has them: not yet upright.

    Raises:
        ExampleError: ``image_truncated`` or ``image_unreadable``.
    """
    if image.format == "JPEG" and image.mode in ("RGB", "L") and _JPEG_OPERATOR is not None:
        try:
            # the copy is for torch, which warns about memory that it may not write to
            buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            return _JPEG_OPERATOR(buffer, _JPEG_AS_RGB, False)
        except RuntimeError:
            pass  # Pillow decides, and says why: so both ways reject the same files
    pixels: torch.Tensor = pil_to_tensor(load_rgb(image, data))
    return pixels


def load_rgb(image: ImageFile, data: bytes) -> Image.Image:
    """Decode all pixels with Pillow: RGB, transparent pixels on white, not yet upright.

    Raises:
        ExampleError: ``image_truncated`` or ``image_unreadable``.
    """
    try:
        image.load()
        if image.mode.startswith("I"):
            return _from_16_bits(image)
        if image.mode == "F":
            raise ValueError("32-bit float pixels have no stated range")
        if image.has_transparency_data:
            rgba = image.convert("RGBA")
            white = Image.new("RGB", image.size, "white")
            white.paste(rgba, mask=rgba)
            return white
        return image.convert("RGB")
    except Exception as error:  # whatever a plugin throws at damaged bytes
        raise _failure(image.format or "image", error, data) from error


def read_orientation(image: ImageFile) -> int:
    """EXIF orientation, 1 (upright) to 8. Call it after loading.

    TIFF turns itself while loading, and PNG may state its EXIF behind the pixels. Damaged EXIF
    says nothing about the pixels: 1.
    """
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # whatever Pillow's parser throws at damaged tags
        return 1


def _check_size(name: str, data: bytes, size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        detail = f"{width} x {height} pixels; the limit is {max_pixels}."
        raise ExampleError("too_many_pixels", detail)
    # libjpeg takes an early end marker for the end and fills the rest with grey. At one bit (the
    # shortest Huffman code) for a block of 8 x 8, this many pixels cannot be in these bytes.
    if name == "JPEG" and width * height > 64 * 8 * len(data):
        detail = f"JPEG: {len(data)} bytes cannot hold {width} x {height} pixels."
        raise ExampleError("image_truncated", detail)


def _from_16_bits(image: ImageFile) -> Image.Image:
    """Scale 16-bit grey to 8 bits by its high byte, as Pillow does for 16-bit colours."""
    wide = np.asarray(image)
    if wide.min() < 0 or wide.max() > 0xFFFF:
        raise ValueError("32-bit integer pixels beyond 0..65535 have no stated range")
    grey = (wide >> 8).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[wide == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _failure(name: str, error: Exception, data: bytes) -> ExampleError:
    is_short = (
        isinstance(error, EOFError)
        or any(word in str(error).lower() for word in ("truncated", "unexpected end", "not enough"))
        or (name == "JPEG" and b"\xff\xd9" not in data)
        or (name == "WEBP" and len(data) < 8 + int.from_bytes(data[4:8], "little"))
    )
    reason = "image_truncated" if is_short else "image_unreadable"
    return ExampleError(reason, f"{name}: {type(error).__name__}: {error}")
