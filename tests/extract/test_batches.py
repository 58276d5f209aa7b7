"""Decoded images as batches: threads, memory layout, and what the model says of its input."""

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import open_clip
import pytest
import torch
from decoding import MEAN, SPEC, STD, encode, exact, fast, natural
from PIL import Image

from pipeline.base.settings import MAX_PIXELS
from pipeline.clip.image_spec import ImageSpec
from pipeline.extract.decode import (
    decode_fast,
    normalise,
    stack,
    start_decode_thread,
)


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
