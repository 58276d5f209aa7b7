"""Places of peaks: from cells of a grid to the image that a person sees."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
import torch
from PIL import Image
from sql_world import SqlWorld

from pipeline.base.settings import MAX_PIXELS
from pipeline.clip.image_spec import ImageSpec
from pipeline.extract.decode import decode_exact
from pipeline.sources.header import read_header

INPUT = (60, 60)


@pytest.fixture(scope="module")
def world() -> SqlWorld:
    return SqlWorld(["peaks"])


def ask(
    world: SqlWorld, data: bytes, spec: ImageSpec, row: int, column: int, grid: tuple[int, int]
) -> tuple[float | None, float | None]:
    """What the view says of a peak in a cell of a grid, of an image."""
    header = read_header(data)
    seen = ((column + 0.5) / grid[1], (row + 0.5) / grid[0])
    world.empty()
    names = "unit example_id peak_row peak_column seen_x_frac seen_y_frac"
    world.add("top_examples", names, (0, 1, row, column, *seen))
    world.add(
        "stg_runs", "image_height_px image_width_px resize_mode", (*spec.size_px, spec.resize_mode)
    )
    world.add(
        "stg_examples",
        "example_id width_px height_px is_turned",
        (1, header.width_px, header.height_px, header.is_turned),
    )
    ((x, y),) = world.rows("select image_x_frac, image_y_frac from peaks")
    return x, y


def spot(width: int, height: int, x: int, y: int, orientation: int) -> bytes:
    """A white disc on black, at a place of the picture as it is to be seen."""
    across, down = np.arange(width) - x, np.arange(height) - y
    is_near = across**2 + down[:, None] ** 2 <= (min(width, height) / 12) ** 2
    picture = Image.fromarray((is_near * 255).astype(np.uint8)).convert("RGB")
    back = {1: None, 6: Image.Transpose.ROTATE_90, 3: Image.Transpose.ROTATE_180}[orientation]
    stored = picture if back is None else picture.transpose(back)
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    stored.save(file, "JPEG", exif=exif, quality=95)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["shortest", "squash", "longest"])
@pytest.mark.parametrize("size_px", [INPUT, (48, 72)])
def test_what_the_model_saw_is_found_again_in_the_picture(
    world: SqlWorld, mode: str, size_px: tuple[int, int]
) -> None:
    """A disc is drawn, decoded as the model gets it, and looked for there; the view leads back to it."""
    spec = ImageSpec(size_px, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), resize_mode=mode)
    rng, found = random.Random(0), 0
    for _ in range(25):
        width, height = rng.randint(60, 400), rng.randint(60, 400)
        x, y = rng.randrange(width), rng.randrange(height)
        data = spot(width, height, x, y, rng.choice([1, 3, 6]))
        seen = decode_exact(data, spec, MAX_PIXELS).mean(0)
        inner = seen[3:-3, 3:-3] > 0.5
        if int(inner.sum()) < 12 or bool((seen > 0.5).sum() > inner.sum()):
            continue  # it was cropped away, in part at least
        centre = (seen > 0.5).nonzero().float().mean(0)
        row, column = (int(v) for v in torch.round(centre))
        got_x, got_y = ask(world, data, spec, row, column, size_px)
        assert got_x is not None and got_y is not None
        scale = max(width / spec.resized(height, width)[1], height / spec.resized(height, width)[0])
        assert abs(got_x * width - 0.5 - x) <= 1.5 * scale
        assert abs(got_y * height - 0.5 - y) <= 1.5 * scale
        found += 1
    assert found >= 8


def test_padding_is_nowhere_in_the_picture(world: SqlWorld) -> None:
    spec = ImageSpec(INPUT, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), resize_mode="longest")
    data = spot(300, 100, 5, 5, 1)
    assert ask(world, data, spec, 0, 2, (6, 6)) == (pytest.approx(2.5 / 6), None)
    x, y = ask(world, data, spec, 2, 2, (6, 6))
    assert x == pytest.approx(2.5 / 6) and y == pytest.approx((25 - 20) / 20)


def test_a_token_before_the_patches_is_nowhere() -> None:
    world = SqlWorld(["top_examples"])
    world.add("stg_runs", "top_k", (5,))
    world.add("stg_layers", "grid_rows grid_columns token_count prefix_tokens", (2, 3, 8, 2))
    world.add("neuron_stats", "unit sd mean", (0, 1.0, 0.0))
    rows = [(0, n, 10.0 - n, peak) for n, peak in enumerate((1, 2, 7, None))]
    world.add("raw_shard_top", "unit example_id activation peak", *rows, polarity="positive")
    names = "peak_token, peak_row, peak_column, seen_x_frac, seen_y_frac"
    assert world.rows(f"select {names} from top_examples order by example_rank") == [
        (1, None, None, None, None),
        (2, 0, 0, pytest.approx(1 / 6), 0.25),
        (7, 1, 2, pytest.approx(5 / 6), 0.75),
        (None, None, None, None, None),
    ]
