"""Detailed scenes and what becomes of them: resized, cropped, written to tars, grouped."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from making import make_record, write_tar
from PIL import Image, ImageDraw

from pipeline.warehouse.connect import connect


def encode(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **({"quality": 90} | options))
    return file.getvalue()


def make_scene(seed: int, size: int = 192) -> Image.Image:
    """Overlapping shapes: as many details as a photograph has."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (size, size), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for radius in np.sort(rng.uniform(4, 70, 60))[::-1]:
        x, y = rng.random(2) * size
        colour = tuple(rng.integers(0, 256, 3).tolist())
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
    return image


def resize(times: float) -> Callable[[Image.Image], bytes]:
    def copy(image: Image.Image) -> bytes:
        size = (round(image.width * times), round(image.height * times))
        return encode(image.resize(size, Image.Resampling.LANCZOS))

    return copy


COPIES: dict[str, tuple[Callable[[Image.Image], bytes], str]] = {
    "half": (resize(0.5), "resized"),
    "third": (resize(0.35), "resized"),
    "double": (resize(2), "resized"),
    "poor": (lambda image: encode(image, quality=30), "resized"),
    "webp": (lambda image: encode(image, "WEBP", quality=60), "resized"),
    "png": (lambda image: encode(image, "PNG"), "resized"),
    "grey": (lambda image: encode(image.convert("L")), "grey"),
}


def write_images(path: Path, images: Sequence[bytes], first: int = 0, **more: object) -> None:
    """A tar of images, keyed by number."""
    write_tar(
        path,
        [
            {"__key__": f"{n:04d}", "img.jpg": data, "json": make_record(f"picture {n}", **more)}
            for n, data in enumerate(images, first)
        ],
    )


def read_groups(place: Path) -> dict[int, tuple[int, str]]:
    """example_id -> (group_id, copy_kind), after the checks of the marks found nothing."""
    with connect(place / "warehouse") as con:
        assert con.execute("from check_duplicates").fetchall() == []
        rows = con.execute(
            "select example_id, group_id, copy_kind, half, group_size, member_rank "
            "from image_groups order by example_id"
        ).fetchall()
        halves = con.execute(
            "select count(*) from image_groups group by group_id having count(distinct half) > 1"
        ).fetchall()
    assert halves == []
    for _, group, _, _, size, _ in rows:
        members = sorted(rank for _, other, _, _, _, rank in rows if other == group)
        assert members == list(range(1, size + 1))
    return {row[0]: (row[1], row[2]) for row in rows}
