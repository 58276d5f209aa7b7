"""What an image is, from its first bytes: type, width and height, without decoding a pixel."""

from __future__ import annotations

import io
import warnings
from typing import Any, NamedTuple, cast

from PIL import Image

from pipeline.errors import ExampleError
from pipeline.names import FORMATS


class ImageHeader(NamedTuple):
    """What an image's header states."""

    width_px: int
    height_px: int
    mime_type: str


def sniff_extension(data: bytes) -> str:
    """The extension that suits an image's first bytes; ``jpg`` if they are not known."""
    begins = {
        b"\x89PNG": "png",
        b"GIF8": "gif",
        b"BM": "bmp",
        b"II*\0": "tif",
        b"MM\0*": "tif",
    }
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:12] == b"ftypavif":
        return "avif"
    return next((name for start, name in begins.items() if data.startswith(start)), "jpg")


def read_header(data: bytes) -> ImageHeader:
    """Read type and size of an image from its bytes; the name plays no part.

    PIL's plugins are asked one by one, since ``Image.open`` warns of, and above 179 megapixels
    refuses, large images: their size is a fact to record here, and extraction has its own limit.

    Raises:
        ExampleError: ``empty_file``, or ``not_an_image`` if no supported format knows the bytes.
    """
    if not data:
        raise ExampleError("empty_file", "the image has 0 bytes")
    Image.init()
    problem = f"begins with {data[:8]!r}, which is no {', '.join(FORMATS)} header"
    for name in FORMATS:
        if name not in Image.OPEN:
            continue
        opener, accept = Image.OPEN[name]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # accept gives a text instead of True when a format is known but not built in
                if accept is not None and accept(data[:16]) is not True:
                    continue
                with cast(Any, opener)(io.BytesIO(data), "") as image:
                    width_px, height_px = image.size
        except Exception as error:  # plugins raise a dozen types on broken headers
            problem = f"its {name} header cannot be read ({type(error).__name__}: {error})"
            continue
        if width_px > 0 and height_px > 0:
            return ImageHeader(width_px, height_px, f"image/{name.lower()}")
        problem = f"its {name} header says {width_px} x {height_px} px"
    raise ExampleError("not_an_image", problem)
