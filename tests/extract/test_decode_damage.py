"""Files that are no images, cut, damaged or too large: rejected with a reason, both ways alike."""

import struct
import time
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
import torch
from decoding import MEAN, SPEC, STD, WAYS, assert_close, encode, fast, natural, reason
from PIL import Image
from waiting import patience

from pipeline.base.errors import ExampleError
from pipeline.base.settings import MAX_PIXELS
from pipeline.clip.image_spec import ImageSpec
from pipeline.extract.decode import (
    decode_exact,
    decode_fast,
)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("way", WAYS)
def test_damaged_exif_is_no_reason_to_reject(way: Any) -> None:
    data = encode(natural(80, 60), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\1\x12")
    plain = encode(natural(80, 60), "JPEG")
    assert torch.equal(way(data, SPEC, MAX_PIXELS), way(plain, SPEC, MAX_PIXELS))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty_file"),
        (b"<html>404 Not Found</html>", "not_an_image"),
        (b"a text that is named photo.jpg", "not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_an_image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not_an_image"),
        (b"\xff", "not_an_image"),
        (b"\xff\xd8\xff\xe0", "image_truncated"),
        (b"\xff\xd8\xff\xe0 no JPEG \xff\xd9", "image_truncated"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "image_unreadable"),
    ],
)
def test_files_that_are_no_images(way: Any, data: bytes, expected: str) -> None:
    assert reason(way, data) == expected


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"exif": b"Exif\0\0" + bytes(3000)}],
    ids=str,
)
def test_truncated_jpeg_raises_wherever_it_was_cut(way: Any, options: dict[str, Any]) -> None:
    data = encode(natural(160, 120), "JPEG", quality=92, **options)
    shares = [len(data) * percent // 100 for percent in (1, 5, 25, 50, 75, 90, 95, 99)]
    cuts = [3, *range(50, len(data), 397), *shares, *range(len(data) - 12, len(data))]
    assert {reason(way, data[:cut]) for cut in cuts} == {"image_truncated"}


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM"])
@pytest.mark.parametrize("way", WAYS)
def test_other_truncated_files_are_whole_or_rejected(way: Any, form: str) -> None:
    data = encode(natural(90, 70), form)
    whole = way(data, SPEC, MAX_PIXELS)
    for cut in [*range(20, len(data), len(data) // 25), *range(len(data) - 12, len(data))]:
        try:
            assert torch.equal(way(data[:cut], SPEC, MAX_PIXELS), whole)
        except ExampleError as error:
            assert error.reason in ("image_truncated", "image_unreadable")
    assert reason(way, data[: len(data) // 2]) == "image_truncated"


@pytest.mark.parametrize("way", WAYS)
def test_float_pixels_have_no_range(way: Any) -> None:
    assert reason(way, encode(natural(9, 9).convert("F"), "TIFF")) == "image_unreadable"


def test_damaged_bytes_get_the_same_decision_both_ways() -> None:
    rng = np.random.default_rng(0)
    for form in ("JPEG", "PNG", "GIF", "WEBP"):
        data = encode(natural(60, 50), form)
        for _ in range(40):
            damaged = bytearray(data)
            for at in rng.integers(2, len(data), 3):
                damaged[at] = rng.integers(256)
            try:
                expected = decode_exact(bytes(damaged), SPEC, 10**6)
            except ExampleError as error:
                assert reason(decode_fast, bytes(damaged), 10**6) == error.reason
            else:
                assert_close(fast(bytes(damaged)), expected, bytes(damaged))


def png_bomb(width: int, height: int) -> bytes:
    chunks = (
        b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
        b"IDAT" + zlib.compress(bytes(100)),
        b"IEND",
    )
    framed = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def jpeg_bomb(width: int, height: int) -> bytes:
    data = bytearray(encode(natural(64, 64), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def webp_bomb(width: int, height: int) -> bytes:
    image = natural(64, 64)
    image.putalpha(128)  # with alpha, the header has a canvas size at a fixed place
    data = bytearray(encode(image, "WEBP"))
    assert data[12:16] == b"VP8X"
    data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "data",
    [
        png_bomb(20_000, 20_000),
        jpeg_bomb(20_000, 20_000),
        webp_bomb(16_000, 16_000),
        "a real one: all its pixels are there",
    ],
    ids=["png", "jpeg", "webp", "real png"],
)
def test_400_megapixels_cost_nothing(way: Any, data: bytes | str) -> None:
    if isinstance(data, str):  # made here, not whenever tests are listed
        data = encode(Image.new("1", (20_000, 20_000)), "PNG")
    tracemalloc.start()
    started = time.process_time()
    assert reason(way, data) == "too_many_pixels"
    seconds, (_, peak_bytes) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < patience(0.5)  # decoding takes more than 2 s; the header less than 1 ms
    assert peak_bytes < 10_000_000  # that is 400 MB at least, were it decoded


@pytest.mark.parametrize("way", WAYS)
def test_limit_is_the_callers_not_pillows(way: Any) -> None:
    data = encode(natural(50, 40), "JPEG")
    assert way(data, SPEC, 2000).shape == (3, 64, 64)
    assert reason(way, data, 1999) == "too_many_pixels"
    # 196 megapixels: beyond both of Pillow's limits, within ours, and not in so few bytes
    assert reason(way, png_bomb(14_000, 14_000), 10**9) == "image_truncated"
    assert reason(way, jpeg_bomb(14_000, 14_000), 10**9) == "image_truncated"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (10, 2001)])
def test_resize_that_would_explode_is_rejected(way: Any, size: tuple[int, int]) -> None:
    data = encode(Image.new("L", size), "PNG")
    assert reason(way, data) == "too_elongated"
    squash = ImageSpec((64, 64), MEAN, STD, resize_mode="squash")
    assert way(data, squash, MAX_PIXELS).shape == (3, 64, 64)
    assert way(encode(Image.new("L", (10, 2000)), "PNG"), SPEC, MAX_PIXELS).shape == (3, 64, 64)


@pytest.mark.parametrize("way", WAYS)
def test_line_that_would_vanish_is_rejected(way: Any) -> None:
    spec = ImageSpec((64, 64), MEAN, STD, resize_mode="longest")
    assert reason(way, encode(Image.new("L", (1, 5000)), "PNG"), spec=spec) == "too_elongated"
