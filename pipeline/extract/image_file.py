"""One image file, from bytes to pixels; what cannot be used raises :class:`ExampleError`.

The reasons, which become reject rows:

    empty_file        no bytes
    not_an_image      none of ``names.FORMATS``
    too_many_pixels   the header says more pixels than the limit; nothing was decoded
    too_elongated     a thin line, which would explode when resized (see ``decode``)
    image_truncated   the file ends too early; half an image is never let through
    image_unreadable  damaged, or pixels whose range nobody states (float images)

Known limit: a JPEG that lost its second half and then got a new end marker cannot be told from a
whole one by libjpeg; only when its size is impossible for its pixels is it seen here.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from PIL.ImageFile import ImageFile
from torchvision.transforms.v2.functional import pil_to_tensor

from pipeline.base.errors import ExampleError
from pipeline.base.pixels import load_rgb, open_image

# torchvision has announced that its image operators will go. Without the operator Pillow decodes
# JPEG too: the same pixels, a little slower. Its Python wrapper warns on every call: not used.
_JPEG_OPERATOR: Callable[[torch.Tensor, int, bool], torch.Tensor] | None = getattr(
    torch.ops.image, "decode_jpeg", None
)
_JPEG_AS_RGB = 3  # torchvision.io.ImageReadMode.RGB


def open_header(data: bytes, max_pixels: int) -> ImageFile:
    """Open an image without decoding any pixel; its size and mode are then known.

    Raises:
        ExampleError: For all the reasons above except ``too_elongated``.
    """
    image = open_image(data)
    _check_size(image.format or "", data, image.size, max_pixels)
    return image


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
