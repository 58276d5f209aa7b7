"""Decoding: the fast way, the exact way and open_clip's own agree on every size, format and orientation."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from decoding import MEAN, STD, assert_close, encode, exact, fast, natural, reason, reference
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.base.errors import ExampleError
from pipeline.clip.image_spec import ImageSpec
from pipeline.extract.decode import (
    decode_fast,
)


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (64, 64), (31, 47), (1000, 70), (5, 90)])
@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {}),
        ("RGB", {"progressive": True}),
        ("RGB", {"subsampling": 0}),
        ("RGB", {"restart_marker_rows": 1, "quality": 30}),
        ("L", {}),
        ("L", {"progressive": True}),
        ("CMYK", {}),
    ],
    ids=str,
)
def test_jpeg_agrees_with_open_clip(
    size: tuple[int, int], mode: str, options: dict[str, Any]
) -> None:
    data = encode(natural(*size).convert(mode), "JPEG", **options)
    opened = reference(Image.open(io.BytesIO(data)))
    assert torch.equal(exact(data), opened)
    assert_close(fast(data), opened, data)


@pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size_px", [(64, 64), (48, 80), (81, 33)])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "random"])
@pytest.mark.parametrize("size", [(150, 101), (40, 133)])
def test_every_resize_mode_agrees_with_open_clip(
    resize_mode: str, size_px: tuple[int, int], interpolation: str, size: tuple[int, int]
) -> None:
    spec = ImageSpec(size_px, MEAN, STD, interpolation, resize_mode, fill_color=90)
    data = encode(natural(*size), "JPEG")
    assert exact(data, spec).shape == (3, *size_px)
    assert_close(fast(data, spec), exact(data, spec), data, spec)


@settings(max_examples=60)
@given(
    width=st.integers(1, 260),
    height=st.integers(1, 260),
    seed=st.integers(0, 99),
    side=st.integers(1, 70),
    resize_mode=st.sampled_from(["shortest", "squash", "longest"]),
)
def test_any_size_agrees(width: int, height: int, seed: int, side: int, resize_mode: str) -> None:
    spec = ImageSpec((side, side), MEAN, STD, resize_mode=resize_mode)
    data = encode(natural(width, height, seed), "JPEG")
    try:
        expected = exact(data, spec)
    except ExampleError as error:
        assert reason(decode_fast, data, spec=spec) == error.reason == "too_elongated"
    else:
        assert_close(fast(data, spec), expected, data, spec)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(orientation: int, form: str) -> None:
    stored = natural(150, 97)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(stored, form, exif=exif)
    plain = Image.open(io.BytesIO(encode(stored, form))).convert("RGB")
    # EXIF 2.32, tag Orientation: where the stored row 0 and column 0 are to be shown
    grid = np.asarray(plain)
    upright = {
        1: grid,  # top, left
        2: grid[:, ::-1],  # top, right
        3: grid[::-1, ::-1],  # bottom, right
        4: grid[::-1],  # bottom, left
        5: grid.transpose(1, 0, 2),  # left, top
        6: grid.transpose(1, 0, 2)[:, ::-1],  # right, top
        7: grid.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
        8: grid.transpose(1, 0, 2)[::-1],  # left, bottom
    }[orientation]
    expected = reference(Image.fromarray(np.ascontiguousarray(upright)))
    assert torch.equal(exact(data), expected)
    assert_close(fast(data), expected, data)


@pytest.mark.parametrize(("mode", "form"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP")])
def test_transparent_pixels_show_white(mode: str, form: str) -> None:
    image = natural(120, 90).convert(mode)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    colours, alpha = np.asarray(image.convert("RGB"), float), np.asarray(image.getchannel("A"))
    share = alpha[..., None] / 255
    blend = np.rint(colours * share + 255 * (1 - share)).astype(np.uint8)
    data = encode(image, form, **options)
    assert_close(exact(data), reference(Image.fromarray(blend)), data)
    assert_close(fast(data), exact(data), data)


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_transparent_palette_entry_shows_white(form: str) -> None:
    image = Image.new("P", (80, 80), 0)
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.paste(1, (0, 0, 80, 40))
    data = encode(image, form, transparency=0)
    shown = Image.new("RGB", (80, 80), "white")
    shown.paste((0, 0, 200), (0, 0, 80, 40))
    assert torch.equal(exact(data), reference(shown))
    assert_close(fast(data), exact(data), data)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_16_bits_are_scaled_not_clipped(form: str) -> None:
    grey = np.asarray(natural(100, 80).convert("L"))
    data = encode(Image.fromarray(grey.astype(np.uint16) * 257), form)
    assert Image.open(io.BytesIO(data)).mode.startswith("I")
    assert torch.equal(exact(data), reference(Image.fromarray(grey)))
    assert_close(fast(data), exact(data), data)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_animation_shows_its_first_frame(form: str) -> None:
    first, second = natural(90, 90, 1), natural(90, 90, 2)
    options = {"lossless": True} if form == "WEBP" else {}
    data = encode(first, form, save_all=True, append_images=[second], **options)
    alone = encode(first, form, **options)
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 2
    assert torch.equal(exact(data), exact(alone))
    assert torch.equal(fast(data), fast(alone))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF"])
def test_other_formats_agree_with_open_clip(mode: str, form: str) -> None:
    data = encode(natural(111, 90).convert(mode), form)
    expected = reference(Image.open(io.BytesIO(data)))
    assert torch.equal(exact(data), expected)
    assert_close(fast(data), expected, data)
