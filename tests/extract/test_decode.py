import io
import struct
import time
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.base.errors import ExampleError
from pipeline.base.pixels import load_rgb, read_orientation
from pipeline.base.settings import MAX_PIXELS
from pipeline.clip.image_spec import ImageSpec
from pipeline.extract.decode import (
    decode_exact,
    decode_fast,
    normalise,
    stack,
    start_decode_thread,
)
from pipeline.extract.image_file import open_header

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
SPEC = ImageSpec((64, 64), MEAN, STD)
GREY_LEVEL = 1 / 255 / np.array(STD)  # in normalised units, of each channel: about 0.015
WAYS = [decode_fast, decode_exact]


def natural(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth and sharp structure at many scales, like a photograph."""
    rng = np.random.default_rng(seed)
    total = np.full((height, width, 3), 128.0)
    for cells in (3, 9, 27, 81):
        coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        layer = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        total += (np.asarray(layer) - 127.5) * 1.2 / cells**0.4
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def fast(data: bytes, spec: ImageSpec = SPEC) -> torch.Tensor:
    """The fast way, on to normalised units."""
    pixels = decode_fast(data, spec, MAX_PIXELS)
    assert pixels.dtype == torch.uint8
    return normalise(pixels[None], spec)[0]


def exact(data: bytes, spec: ImageSpec = SPEC) -> torch.Tensor:
    return decode_exact(data, spec, MAX_PIXELS)


def reference(image: Image.Image, spec: ImageSpec = SPEC) -> torch.Tensor:
    """open_clip's transform of an image that is opened as it should be."""
    return spec.transform(image.convert("RGB"))


def weights(before: int, after: int, interpolation: str) -> np.ndarray:
    """float64 [after, before]: an antialiased resize of one axis, as Pillow and torch define it."""
    scale = before / after
    places = (np.arange(before) + 0.5 - (np.arange(after)[:, None] + 0.5) * scale) / max(scale, 1)
    x = np.abs(places)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    cubic = np.where(x < 1, near, np.where(x < 2, far, 0))
    kernel = np.maximum(1 - x, 0) if interpolation == "bilinear" else cubic
    return kernel / kernel.sum(1, keepdims=True)


def levels_apart(data: bytes, spec: ImageSpec) -> int:
    """How many grey levels may lie between two ways that resize the same pixels in two passes.

    Each pass rounds to whole levels (an error of 1/2, and e for weights of 16 bits) and cuts at 0 and 255
    what the negative lobes of a cubic overshoot (o). The second pass multiplies what the first did wrong
    by at most the sum of its absolute weights (L): so each way is within L (1/2 + e + o) + 1/2 + e of
    the exact value, whichever axis comes first, and two ways are within twice that. Without overshoot
    that is 2.4 at most, two whole levels.
    """
    image = open_header(data, 10**9)
    pixels = np.asarray(load_rgb(image, data), np.float64)
    if read_orientation(image) >= 5:
        pixels = pixels.transpose(1, 0, 2)
    height, width = spec.resized(*pixels.shape[:2])
    cubic = spec.resize_mode == "shortest" and spec.size_px[0] != spec.size_px[1]
    kind = "bicubic" if cubic else spec.interpolation
    down, along = weights(len(pixels), height, kind), weights(pixels.shape[1], width, kind)
    e = max(255 * (np.abs(w) > 0).sum(1).max() * np.abs(w).max() / 2**15 for w in (down, along))
    firsts = np.einsum("yh,hwc->ywc", down, pixels), np.einsum("xw,hwc->hxc", along, pixels)
    wrongs = []
    for first, second in zip(firsts, (along, down), strict=True):
        overshoot = max(0.0, first.max() - 255, -first.min())
        wrongs.append(np.abs(second).sum(1).max() * (0.5 + e + overshoot) + 0.5 + e)
    return int(2 * max(wrongs))


def assert_close(
    one: torch.Tensor, other: torch.Tensor, data: bytes, spec: ImageSpec = SPEC
) -> None:
    """As close as two ways to resize can be shown to be."""
    assert one.shape == other.shape
    levels = (one - other).abs().numpy() / GREY_LEVEL[:, None, None]
    apart = levels_apart(data, spec)
    assert levels.max() <= apart + 0.01
    if apart == 2 and levels.size > 1000:
        # four roundings, each wrong by 1 / 12 in the mean square: E |d| <= sqrt(4 / 12)
        assert levels.mean() <= 0.58


def reason(way: Any, data: bytes, max_pixels: int = MAX_PIXELS, spec: ImageSpec = SPEC) -> str:
    with pytest.raises(ExampleError) as caught:
        way(data, spec, max_pixels)
    assert caught.value.detail
    return caught.value.reason


# --- fast and exact agree ------------------------------------------------------------------------


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


@settings(max_examples=60, deadline=None)
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


# --- an image is shown as a person would see it --------------------------------------------------


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


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("way", WAYS)
def test_damaged_exif_is_no_reason_to_reject(way: Any) -> None:
    data = encode(natural(80, 60), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\1\x12")
    plain = encode(natural(80, 60), "JPEG")
    assert torch.equal(way(data, SPEC, MAX_PIXELS), way(plain, SPEC, MAX_PIXELS))


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


# --- what cannot be used -------------------------------------------------------------------------


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


# --- bombs ---------------------------------------------------------------------------------------


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
    assert seconds < 0.5  # decoding takes more than 2 s; the header less than 1 ms
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


# --- threads, layout, specs ----------------------------------------------------------------------


def test_threads_decode_the_same() -> None:
    files = [
        encode(natural(100 + 7 * seed, 90, seed), form)
        for seed in range(6)
        for form in ("JPEG", "PNG", "WEBP")
    ]
    expected = [fast(data) for data in files]
    cores = torch.get_num_threads()
    with ThreadPoolExecutor(8, initializer=start_decode_thread) as pool:
        found = list(pool.map(fast, files * 8))
        counts = list(pool.map(lambda _: torch.get_num_threads(), range(32)))
    assert all(torch.equal(one, other) for one, other in zip(found, expected * 8, strict=True))
    assert set(counts) == {1}
    assert torch.get_num_threads() == cores
    torch.set_num_threads(cores)  # later threads take the last value set anywhere


def test_batches_are_channels_last() -> None:
    files = [encode(natural(*size), "JPEG") for size in [(100, 80), (64, 64), (70, 90)]]
    images = [decode_fast(data, SPEC, MAX_PIXELS) for data in files]
    batch = stack(images)
    assert torch.equal(batch, torch.stack(images))
    floats = normalise(batch, SPEC)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert floats.is_contiguous(memory_format=torch.channels_last)
    assert floats.dtype == torch.float32
    expected = (batch / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(floats, expected, rtol=0, atol=1e-5)
    assert normalise(floats, SPEC) is floats
    reused = torch.full_like(floats, torch.nan)
    assert normalise(batch.contiguous(), SPEC, out=reused) is reused
    assert torch.equal(reused, floats)


def test_normalise_in_and_out_of_inference_mode() -> None:
    spec = ImageSpec((2, 2), (0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    batch = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    with torch.inference_mode():
        inside = normalise(batch, spec)
    weight = torch.ones(1, requires_grad=True)
    (normalise(batch, spec) * weight).sum().backward()  # an inference tensor would raise
    assert torch.equal(inside, normalise(batch, spec))
    assert weight.grad is not None


@pytest.mark.parametrize("size", [32, (32, 48)])
def test_spec_from_model(size: Any) -> None:
    model = open_clip.CLIP(
        embed_dim=8,
        vision_cfg={"layers": 1, "width": 64, "patch_size": 16, "image_size": size},
        text_cfg={"context_length": 8, "vocab_size": 16, "width": 64, "heads": 1, "layers": 1},
    )
    height, width = (size, size) if isinstance(size, int) else size
    assert ImageSpec.from_model(model).size_px == (height, width)
    cfg = {
        "size": size,
        "mode": "RGB",
        "mean": [0.5, 0.5, 0.5],
        "std": 0.5,
        "interpolation": "bilinear",
        "resize_mode": "squash",
        "fill_color": 7,
    }
    open_clip.set_model_preprocess_cfg(model, cfg)
    half = (0.5, 0.5, 0.5)
    expected = ImageSpec((height, width), half, half, "bilinear", "squash", 7)
    assert ImageSpec.from_model(model) == expected
    theirs = open_clip.image_transform(
        size, False, half, half, resize_mode="squash", interpolation="bilinear"
    )
    data = encode(natural(70, 60), "JPEG")
    assert torch.equal(exact(data, expected), theirs(Image.open(io.BytesIO(data))))
