"""JPEGs decoded on the device: here with libjpeg in the place of nvJPEG, all else as on a GPU."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
import torch
from decoding import is_within, upright
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.base.errors import DeviceError, ExampleError
from pipeline.base.settings import MAX_PIXELS
from pipeline.clip.image_spec import ImageSpec
from pipeline.extract import decode_device
from pipeline.extract.decode import decode_fast
from pipeline.extract.decode_device import DeviceDecoder, Jpeg, resize_together

CPU = torch.device("cpu")
MEAN, STD = (0.5,) * 3, (0.25,) * 3
SQUARE = ImageSpec((32, 32), MEAN, STD)


def decode_jpegs(files: list[torch.Tensor]) -> list[torch.Tensor]:
    return [torch.ops.image.decode_jpeg(file, 3, False) for file in files]


def make_decoder(spec: ImageSpec = SQUARE) -> DeviceDecoder:
    return DeviceDecoder(spec, MAX_PIXELS, CPU, decode_jpegs)


def make_photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth, with a little noise: a cubic does not overshoot 0 or 255 anywhere."""
    torch.manual_seed(seed)
    coarse = torch.rand(1, 3, 4, 4) * 150 + 50
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]
    pixels = (smooth + torch.rand(3, height, width) * 6).to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())


def save(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **{"format": "JPEG", "quality": 92, **options})
    return buffer.getvalue()


def assemble(files: Sequence[bytes], spec: ImageSpec = SQUARE) -> torch.Tensor:
    decoder = make_decoder(spec)
    images, errors = decoder.assemble([decoder.decode(data) for data in files])
    assert errors == [None] * len(files)
    return images


@pytest.mark.parametrize(
    "spec",
    [
        SQUARE,
        ImageSpec((32, 32), MEAN, STD, "bilinear"),
        ImageSpec((24, 40), MEAN, STD),
        ImageSpec((32, 32), MEAN, STD, "bicubic", "longest", 127),
        ImageSpec((32, 32), MEAN, STD, "bilinear", "longest", 3),
        ImageSpec((32, 32), MEAN, STD, "bicubic", "squash"),
    ],
)
def test_it_is_what_the_fast_way_gives(spec: ImageSpec) -> None:
    """As near as weights of 32 and of 16 bits let two passes be."""
    sizes = [(90, 61), (61, 90), (33, 200), (32, 32), (20, 11), (300, 150), (31, 33)]
    files = [save(make_photo(*size, seed=n)) for n, size in enumerate(sizes)]
    fast = torch.stack([decode_fast(data, spec, MAX_PIXELS) for data in files])
    ours = assemble(files, spec)
    assert ours.dtype == torch.uint8 and ours.shape == (len(files), 3, *spec.size_px)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    for data, one, other in zip(files, ours, fast, strict=True):
        pixels = upright(data)
        assert is_within(one, pixels, spec, padded=300)
        assert is_within(other, pixels, spec, bits_16=True)


@settings(max_examples=40)
@example([(1, 70), (70, 3), (16, 16)], "squash", "bicubic")
@given(
    st.lists(st.tuples(st.integers(1, 70), st.integers(1, 70)), min_size=1, max_size=5),
    st.sampled_from(["shortest", "longest", "squash"]),
    st.sampled_from(["bicubic", "bilinear"]),
)
def test_companions_change_nothing(sizes: list[tuple[int, int]], mode: str, how: str) -> None:
    """An image comes out the same whatever it is resized together with, and however it is padded."""
    spec = ImageSpec((16, 16), MEAN, STD, how, mode)
    assume(
        all(min(spec.resized(*size)) > 0 for size in sizes)
    )  # others are rejected: too elongated
    torch.manual_seed(len(sizes))
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes]
    together = resize_together(images, spec)
    for image, result in zip(images, together, strict=True):
        for each in (result, resize_together([image], spec)[0]):  # but for sums close to a half
            assert is_within(each, image.numpy().astype(float), spec, padded=70)


def test_what_the_device_would_see_differently_is_decoded_by_the_cores() -> None:
    photo = make_photo(60, 40)
    turned = Image.Exif()
    turned[0x0112] = 6
    plain = save(photo)
    others = {
        "turned": save(photo, exif=turned),
        "cmyk": save(photo.convert("CMYK")),
        "rgb": save(photo, keep_rgb=True),
        "tail": plain + b"something behind its end",
        "png": save(photo, format="PNG"),
    }
    decoder = make_decoder()
    assert isinstance(decoder.decode(plain), Jpeg)
    assert isinstance(decoder.decode(save(photo.convert("L"))), Jpeg)
    assert isinstance(decoder.decode(save(photo, progressive=True)), Jpeg)
    for name, data in others.items():
        item = decoder.decode(data)
        assert isinstance(item, torch.Tensor), name
        assert torch.equal(item, decode_fast(data, SQUARE, MAX_PIXELS)), name
    mixed = [plain, *others.values(), save(photo.convert("L"))]
    images = assemble(mixed)
    for image, data in zip(images, mixed, strict=True):
        if isinstance(decoder.decode(data), Jpeg):
            assert is_within(image, upright(data), SQUARE, padded=60)
        else:
            assert torch.equal(image, decode_fast(data, SQUARE, MAX_PIXELS))


def reason(data: bytes) -> str:
    decoder = make_decoder()
    try:
        _, (error,) = decoder.assemble([decoder.decode(data)])
    except ExampleError as refused:
        return refused.reason
    return error.reason if error else "accepted"


def test_the_same_files_are_rejected() -> None:
    good = save(make_photo(80, 50))
    bad = {
        "cut": good[: len(good) // 2],
        "cut, with an end": good[: len(good) // 2] + b"\xff\xd9",
        "no end": good[:-2],
        "no image": b"hello",
        "nothing": b"",
        "a line": save(make_photo(4000, 1)),
        "without Huffman tables": good.replace(b"\xff\xc4", b"\xff\xef"),
        "without quantisation tables": good.replace(b"\xff\xdb", b"\xff\xef"),
    }
    for name, data in bad.items():
        try:
            decode_fast(data, SQUARE, MAX_PIXELS)
            expected = "accepted"
        except ExampleError as error:
            expected = error.reason
        assert reason(data) == expected, name
    assert reason(good) == "accepted"


def test_one_bad_file_spoils_no_other() -> None:
    """The device refuses a whole batch for one file: each is then decoded by itself."""
    good = [save(make_photo(50, 40, seed=n)) for n in range(4)]
    bad = good[0].replace(b"\xff\xdb", b"\xff\xef")
    decoder = make_decoder()
    images, errors = decoder.assemble([decoder.decode(d) for d in (*good[:2], bad, *good[2:])])
    assert [error.reason if error else None for error in errors] == [
        *(None, None, "image_unreadable", None, None)
    ]
    for image, data in zip(images, good, strict=True):
        assert torch.equal(image, decode_fast(data, SQUARE, MAX_PIXELS))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few or many at a time, the result is the same, but for sums close to a half."""
    sizes = [(90, 61), (33, 200), (200, 33), (64, 64), (61, 90)]
    files = [save(make_photo(*size, seed=n)) for n, size in enumerate(sizes)]
    images = [*assemble(files)]
    monkeypatch.setattr(decode_device, "GROUP_BYTES", 1)
    images += assemble(files)
    for image, data in zip(images, 2 * files, strict=True):
        assert is_within(image, upright(data), SQUARE, padded=200)


def test_only_cuda_decodes() -> None:
    with pytest.raises(DeviceError, match=r"(?s)on CUDA devices only.*--preprocess at fast"):
        DeviceDecoder(SQUARE, MAX_PIXELS, CPU)
