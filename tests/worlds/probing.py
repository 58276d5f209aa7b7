"""Tiny typographic and Stroop stimuli, ingested, for the tests that run the probes on them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from making import write_tar
from PIL import Image, ImageDraw

from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
from pipeline.sources.ingest import ingest

MODEL = "RN-demo:random"
CONCEPTS = ("cat", "dog", "house")
TEXTS = {"iPod": None, "woof": "dog"}
"""Attack texts and the concepts they name, if that is another word."""
COLOURS = {"red": "#d01010", "green": "#10a010", "blue": "#1010d0"}
PATCH = (8, 24, 56, 40)
SIZE = 64
COVERED = (PATCH[2] - PATCH[0]) * (PATCH[3] - PATCH[1]) / SIZE**2


def sample(key: str, image: Image.Image, **stimulus: Any) -> dict[str, object]:
    """A sample as TarWriter takes it."""
    file = io.BytesIO()
    image.save(file, "PNG")
    record = {"texts": [], "stimulus": stimulus}
    return {"__key__": key, "png": file.getvalue(), "json": json.dumps(record).encode()}


def base_image(seed: int) -> Image.Image:
    patches = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def patched(image: Image.Image, text: str) -> Image.Image:
    """A copy with a white patch and a text on it."""
    copy = image.copy()
    draw = ImageDraw.Draw(copy)
    draw.rectangle((PATCH[0], PATCH[1], PATCH[2] - 1, PATCH[3] - 1), fill="white")
    draw.text((PATCH[0] + 2, PATCH[1] + 2), text, fill="black")
    return copy


def attack_samples(
    count: int,
    first: int = 0,
    concepts: Sequence[str] = CONCEPTS,
    texts: Mapping[str, str | None] = TEXTS,
) -> list[dict[str, object]]:
    """``count`` clean images, each with every attack text and its controls."""
    samples = []
    for n in range(first, first + count):
        concept, image, key = concepts[n % len(concepts)], base_image(n), f"image{n}"
        common = {
            "stimulus": "typographic",
            "facet": "photo",
            "concept": concept,
            "base_key": key,
        }
        samples.append(sample(key, image, **common, control="clean"))
        for text, target in texts.items():
            patch = {**common, "placement": "centre", "covered_frac": COVERED, "attack_text": text}
            if target:
                patch["attack_concept"] = target
            for control, written in (("blank", ""), ("right_word", concept), ("attack", text)):
                image_key = f"{key}-{text}-{control}"
                samples.append(sample(image_key, patched(image, written), **patch, control=control))
    return samples


def stroop_samples() -> list[dict[str, object]]:
    """A card for every ink and word, and a neutral one for every ink."""
    samples = []
    for ink, colour in COLOURS.items():
        for word in (*COLOURS, None):
            image = Image.new("RGB", (SIZE, SIZE), "white")
            ImageDraw.Draw(image).text((4, 20), word or "xxxx", fill=colour, font_size=20)
            card = {"stimulus": "stroop", "facet": "rendered word", "ink_name": ink}
            if word:
                card |= {"word_name": word, "text": word}
            samples.append(sample(f"{ink}-{word}", image, **card))
    return samples


def ingest_stimuli(folder: Path, **shards: list[dict[str, object]]) -> str:
    """Write each list as a tar and ingest all as dataset ``d``. Returns the warehouse."""
    for name, samples in shards.items():
        write_tar(folder / f"tars/{name}.tar", samples)
    warehouse = str(folder / "warehouse")
    ingest(IngestConfig(warehouse, "d"), IngestStep("webdataset", (str(folder / "tars"),)))
    return warehouse


def probe_config(warehouse: str, **more: Any) -> ExtractConfig:
    """A run of the small model."""
    values = {"run": "r", "device": "cpu", "workers": 1, **more}
    return ExtractConfig(warehouse, "d", MODEL, ("goh2021",), **values)
