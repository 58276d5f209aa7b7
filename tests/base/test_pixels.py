"""What is an image: one list for the index, extraction and pictures; and why a file is none."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from making import ingest_paths
from PIL import Image, PngImagePlugin

from pipeline.base.errors import ExampleError
from pipeline.base.names import FORMATS, is_image_name
from pipeline.base.pixels import load_rgb, open_image, open_upright
from pipeline.sources.copies.fingerprint import take_fingerprint
from pipeline.sources.header import read_header, sniff_extension

GREY = np.add.outer(np.arange(24), 5 * np.arange(40)).astype(np.uint8)


def save(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def show(data: bytes) -> np.ndarray:
    return np.asarray(load_rgb(open_image(data), data))


@pytest.mark.parametrize("form", FORMATS)
def test_what_the_decoder_reads_the_index_accepts(tmp_path: Path, form: str) -> None:
    data = save(Image.fromarray(GREY).convert("RGB"), form)
    header = read_header(data)
    assert header[:2] == (40, 24)
    assert open_image(data).format == form
    assert take_fingerprint(data) is not None
    assert sniff_extension(data) in FORMATS[form]
    (tmp_path / "in").mkdir()
    for extension in FORMATS[form]:
        assert is_image_name(extension)
        (tmp_path / f"in/{extension}.{extension.upper()}").write_bytes(data)
    summary = ingest_paths(tmp_path, "folder", tmp_path / "in")
    assert (summary.written_count, summary.rejected_count) == (len(FORMATS[form]), 0)


def chunk(kind: bytes, data: bytes, error: int = 0) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body) ^ error)


def insert(png: bytes, before: bytes, extra: bytes) -> bytes:
    at = png.index(before) - 4
    return png[:at] + extra + png[at:]


BOMB = b"k\0\0" + zlib.compress(bytes(PngImagePlugin.MAX_TEXT_CHUNK + 1))


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"tEXt", b"k\0v", error=1), chunk(b"gAMA", b"\0\0\0\1", error=7), chunk(b"zTXt", BOMB),
        chunk(b"iTXt", b"k\0\1\0\0\0" + b"not zlib"), chunk(b"pHYs", b"short", error=1),
        chunk(b"tRNS", b"\0\x05", error=1), chunk(b"acTL", bytes(8), error=1), chunk(b"pHYs", b""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
def test_what_a_png_notes_beside_its_pixels_never_costs_it(extra: bytes, before: bytes) -> None:
    png = save(Image.fromarray(GREY), "PNG")
    odd = insert(png, before, extra)
    assert read_header(odd) == read_header(png)
    assert np.array_equal(show(odd), show(png))


def test_what_a_png_needs_stays_strict() -> None:
    png = save(Image.fromarray(GREY).convert("P"), "PNG")
    for kind in (b"IHDR", b"PLTE"):
        at = png.index(kind)
        length = struct.unpack(">I", png[at - 4 : at])[0]
        broken = bytearray(png)
        broken[at + 4 + length] ^= 1
        with pytest.raises(ExampleError):
            show(bytes(broken))
    with pytest.raises(ExampleError, match="image_truncated"):
        show(png[: len(png) - 40])


def test_a_transparent_and_an_animated_png_stay_what_they_are() -> None:
    rgba = Image.fromarray(GREY).convert("RGBA")
    rgba.putalpha(0)
    assert (show(save(rgba, "PNG")) == 255).all()
    assert open_upright(save(rgba, "PNG")).getpixel((0, 0))[3] == 0
    frames = [Image.fromarray(GREY).convert("RGB"), Image.new("RGB", (40, 24), "red")]
    png = save(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert np.array_equal(show(png), np.asarray(frames[0]))
    broken = bytearray(png)
    broken[png.index(b"fdAT") + 8] ^= 1
    assert np.array_equal(show(bytes(broken)), np.asarray(frames[0]))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Image.fromarray(GREY.astype(np.int32)), GREY),
        (lambda: Image.fromarray(GREY.astype(np.int32) * 257), GREY),
        (lambda: Image.fromarray(GREY.astype(np.uint16) * 256), GREY),
        (lambda: Image.fromarray(GREY.astype(np.uint16)), GREY * 0),
    ],
)
def test_grey_of_more_than_eight_bits(
    make: Callable[[], Image.Image], expected: np.ndarray
) -> None:
    data = save(make(), "TIFF")
    assert np.array_equal(show(data)[..., 0], expected)
    assert np.array_equal(np.asarray(open_upright(data))[..., 0], expected)
    dark = save(Image.fromarray(GREY.astype(np.uint16)), "PNG")
    assert show(dark).max() == 0  # PNG states that its 16 bits are 16


def test_every_refusal_has_its_reason() -> None:
    for data, reason in (
        (b"", "empty_file"), (b"P", "not_an_image"), (b"%!PS-Adobe-3.0 EPSF-3.0", "not_an_image"),
        (b"\x89PNG\r\n\x1a\n", "image_"), (b"\xff\xd8\xff", "image_"),
    ):  # fmt: skip
        with pytest.raises(ExampleError, match=reason):
            open_image(data)


def test_pictures_are_upright() -> None:
    image = Image.fromarray(GREY).convert("RGB")
    exif = image.getexif()
    exif[0x0112] = 6
    assert open_upright(save(image, "JPEG", exif=exif)).size == (24, 40)
