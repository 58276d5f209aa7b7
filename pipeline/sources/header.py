"""What an image is, from its first bytes: type, width and height, without decoding a pixel."""

from __future__ import annotations

import warnings
from typing import NamedTuple

from pipeline.base.errors import ExampleError
from pipeline.base.pixels import open_image, read_orientation


class ImageHeader(NamedTuple):
    """What an image's header states."""

    width_px: int
    height_px: int
    mime_type: str
    is_turned: bool = False
    """Its EXIF turns it on its side: upright, width and height change places."""


def sniff_extension(data: bytes) -> str:
    """The extension that suits an image's first bytes; ``jpg`` if they are not known."""
    begins = {
        b"\x89PNG": "png",
        b"GIF8": "gif",
        b"BM": "bmp",
        b"II*\0": "tif",
        b"MM\0*": "tif",
        b"\xff\x4f\xff\x51": "j2k",
        b"\0\0\0\x0cjP  ": "jp2",
        **{b"P%d" % n: "ppm" for n in range(1, 7)},
    }
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:12] == b"ftypavif":
        return "avif"
    return next((name for start, name in begins.items() if data.startswith(start)), "jpg")


def read_header(data: bytes) -> ImageHeader:
    """Read type and size of an image from its bytes; the name plays no part.

    However large it is: its size is a fact to record here, and extraction has its own limit.

    Raises:
        ExampleError: ``empty_file``, ``not_an_image`` if no supported format knows the bytes, or
            ``too_many_pixels`` for a format that states its size behind Pillow's own limit.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_image(data) as image:
                width_px, height_px = image.size
                name = image.format or ""
                is_turned = read_orientation(image) >= 5
    except ExampleError as error:
        if error.reason in ("empty_file", "too_many_pixels"):
            raise
        raise ExampleError("not_an_image", error.detail) from error
    if width_px < 1 or height_px < 1:
        raise ExampleError("not_an_image", f"its {name} header says {width_px} x {height_px} px")
    mime_type = _MIME_TYPES.get(name, f"image/{name.lower()}")
    return ImageHeader(width_px, height_px, mime_type, is_turned)


_MIME_TYPES = {"JPEG2000": "image/jp2", "PPM": "image/x-portable-anymap"}
