"""Sizes out of an image's header alone: every format, damaged ones, bombs."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from making import (
    make_image,
)
from PIL import Image

from pipeline.base.errors import ExampleError
from pipeline.sources.header import read_header


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_headers(form: str) -> None:
    header = read_header(make_image(form=form, size=(30, 20)))
    assert header == (30, 20, f"image/{form.lower()}", False)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_that_lies_on_its_side_is_said_to(orientation: int) -> None:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (30, 20)).save(file, "JPEG", exif=exif)
    assert read_header(file.getvalue()) == (30, 20, "image/jpeg", orientation >= 5)


def test_a_bomb_is_indexed_by_its_header_alone() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    head = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    assert read_header(png) == (20_000, 20_000, "image/png", False)


def test_headers_of_broken_images() -> None:
    for data in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"%!PS-Adobe-3.0 EPSF-3.0"):
        with pytest.raises(ExampleError, match="not_an_image"):
            read_header(data)
    truncated = make_image(size=(640, 480))[:-20]
    assert read_header(truncated).mime_type == "image/jpeg"
    with pytest.raises(ExampleError, match="empty_file"):
        read_header(b"")


def test_mpo_counts_as_jpeg() -> None:
    file = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(file, "MPO", save_all=True, append_images=frames[1:])
    assert read_header(file.getvalue()).mime_type == "image/jpeg"
