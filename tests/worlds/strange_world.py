"""A small warehouse of two runs whose texts, keys and concepts are what people should not write but do."""

from __future__ import annotations

import io
import json
from pathlib import Path

from making import write_tar
from PIL import Image
from textures import make_texture

from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest
from pipeline.upkeep.build import build

DATASET = "strange"
LAYERS = ("visual.layer3.0", "visual.layer4.0")
"""One run each."""

CONCEPTS = (
    ('AC/DC <b>"live"</b> & 100%?#', "mu/sic's"),
    ("يابان", "منطقة"),
    ("<script>alert(1)</script>", "plain"),
    ("a..b; c", "plain"),
)
"""Concept and category, stated of every image in turn."""

TEXTS = (
    ("ar", "صورة من اليابان"),
    ("he", "תמונה <img src=x onerror=alert(1)>"),
    ("ja", "日本の写真"),
    ("en", "turned \u202e around, \x1b[31m red, and Japan"),
    (None, '"quoted" & <b>bold</b> Japan'),
)
_PER_SHARD = 40
_COLOURS = ("#c03030", "#30c030", "#3030c0", "#c0c030")
"""What images of each concept are tinted with, so that neurons tell them apart."""


def make_image(seed: int) -> bytes:
    """A texture, tinted by its concept."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(make_texture(seed))) as texture:
        tint = Image.new("RGB", texture.size, _COLOURS[seed % len(CONCEPTS)])
        Image.blend(texture, tint, 0.7).save(file, "JPEG", quality=90)
    return file.getvalue()


def make_strange_warehouse(folder: Path) -> Path:
    """Ingest, extract twice and build; ``folder/warehouse`` is the result.

    Of each shard the last image repeats its first.
    """
    for shard in range(2):
        samples = []
        for place in range(_PER_SHARD):
            number = shard * _PER_SHARD + place
            seed = shard * _PER_SHARD if place == _PER_SHARD - 1 else number
            texts = [
                {"language": language, "text_kind": "caption", "text": text, "page_title": None}
                for language, text in (TEXTS[number % 5], TEXTS[(number + 1) % 5])
            ]
            concept, category = CONCEPTS[seed % len(CONCEPTS)]
            record = {"texts": texts, "concepts": [{"concept": concept, "category": category}]}
            samples.append(
                {
                    "__key__": f"<i>{number}</i>'",
                    "jpg": make_image(seed),
                    "json": json.dumps(record).encode(),
                }
            )
        write_tar(folder / "tars" / f"{shard:05d}.tar", samples)
    place = str(folder / "warehouse")
    ingest(IngestConfig(place, DATASET), IngestStep("webdataset", (str(folder / "tars"),)))
    for layer in LAYERS:
        extract(ExtractConfig(place, DATASET, "RN-demo:random", (layer,), device="cpu", top_k=8))
    build(place)
    return folder / "warehouse"
