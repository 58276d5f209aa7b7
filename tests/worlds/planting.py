"""A CLIP whose neurons are known detectors, and images for them: the answer is given in advance.

The image tower is a ViT whose one patch is the whole image, so that a unit of ``visual.conv1`` is any
linear function of the pixels that we choose: the dual basis of the templates that the images are
made of. It answers 1 to its own template, 0 to all others and to the background, and to noise a little.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from making import write_tar
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import save_file

from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest

SIZE, WIDTH = 32, 64
LAYER = "visual.conv1:output:max"
CONSTANT_LAYER = "visual.transformer.resblocks.0.mlp.c_fc:output:max"
THINGS = ("cat", "dog", "house", "tree", "car", "fish")
COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
SHAPES = ("disc", "square", "triangle")
FACETS = ("photo", "line drawing", "rendered word")
PER_TEMPLATE = 40
"""Images of each thing in each facet, of each colour and of each shape."""
BACKGROUNDS = 80


@dataclass(frozen=True)
class Planted:
    """What one unit of ``LAYER`` answers to."""

    unit: int
    concept: str | None
    category: str | None
    facets: tuple[str, ...]
    """Facets in which it does; empty: it stands for nothing."""


PLANTED = (
    Planted(0, "red", "color", ("colour card",)),
    Planted(1, "disc", "image_feature", ("flat drawing",)),
    Planted(2, "cat", "animal", ("rendered word",)),
    Planted(3, "dog", "animal", FACETS),
    Planted(4, "house", "object", ("photo",)),
    Planted(5, "fish", "animal", FACETS),
    Planted(6, "tree", "nature", ("photo", "line drawing")),
    Planted(7, None, None, ()),  # noise
    Planted(8, None, None, ()),  # noise
    Planted(9, None, None, ()),  # dead: always exactly zero
)
CATEGORIES = {
    **dict.fromkeys(("cat", "dog", "fish"), "animal"),
    **dict.fromkeys(("house", "car"), "object"),
    "tree": "nature",
    **dict.fromkeys(COLOURS, "color"),
    **dict.fromkeys(SHAPES, "image_feature"),
}


def draw_template(concept: str, facet: str) -> np.ndarray:
    """Float ``[32, 32, 3]``, in 0..255: a concept in one facet."""
    image = Image.new("RGB", (SIZE, SIZE), (128, 128, 128))
    draw = ImageDraw.Draw(image)
    if facet == "photo":  # a smooth texture of its own, as of fur or bricks
        rng = np.random.default_rng(sum(concept.encode()))
        cells = rng.integers(60, 196, (5, 5, 3), dtype=np.uint8)
        image = Image.fromarray(cells).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    elif facet == "rendered word":
        draw.text((2, 8), concept, fill=(20, 20, 20), font=ImageFont.load_default(13))
    elif facet == "colour card":
        draw.rectangle((0, 0, SIZE, SIZE), fill=COLOURS[concept])
    elif facet == "line drawing":
        corners = np.random.default_rng(len(concept) + sum(concept.encode())).integers(
            2, 30, (7, 2)
        )
        draw.line([tuple(map(int, corner)) for corner in corners], fill=(20, 20, 20), width=2)
    elif concept == "disc":
        draw.ellipse((8, 8, 24, 24), fill=(40, 40, 40))
    elif concept == "square":
        draw.rectangle((8, 8, 24, 24), fill=(40, 40, 40))
    else:
        draw.polygon([(16, 6), (26, 26), (6, 26)], fill=(40, 40, 40))
    return np.asarray(image, np.float64)


def templates() -> list[tuple[str, str]]:
    """Concept and facet of every template."""
    return (
        [(thing, facet) for thing in THINGS for facet in FACETS]
        + [(colour, "colour card") for colour in COLOURS]
        + [(shape, "flat drawing") for shape in SHAPES]
    )


def make_model(folder: Path) -> str:
    """Write the planted CLIP as an open_clip folder; its name for ``--model``."""
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 1, "layers": 1}
    vision = {
        "image_size": SIZE,
        "layers": 1,
        "width": WIDTH,
        "head_width": WIDTH,
        "patch_size": SIZE,
    }
    half = {"mean": [0.5] * 3, "std": [0.5] * 3}
    preprocess = {**half, "interpolation": "bicubic", "resize_mode": "shortest"}
    model_cfg = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": model_cfg, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.CLIP(**model_cfg)
    state = {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}
    state["visual.conv1.weight"] = torch.from_numpy(_filters()).float()
    rows = state["visual.transformer.resblocks.0.mlp.c_fc.weight"]
    rows.zero_()  # so every unit of that layer is its bias, whatever the image
    bias = state["visual.transformer.resblocks.0.mlp.c_fc.bias"]
    bias.copy_(torch.linspace(-1, 1, len(bias)))
    save_file(state, str(folder / "open_clip_model.safetensors"))
    return f"local-dir:{folder}"


def _filters() -> np.ndarray:
    """``[64, 3, 32, 32]``: the planted detectors; units beyond them repeat the noise anew."""
    names = templates()
    grey = np.full((SIZE, SIZE, 3), 128.0)
    basis = np.stack([_seen(draw_template(*name) - grey, centred=True) for name in names])
    basis = np.vstack([basis, np.ones((1, basis.shape[1]))])  # and the brightness
    dual = np.linalg.pinv(basis).T
    rng = np.random.default_rng(1)
    filters = np.zeros((WIDTH, basis.shape[1]))
    for planted in PLANTED:
        for row, (concept, facet) in enumerate(names):
            if concept == planted.concept and facet in planted.facets:
                filters[planted.unit] += dual[row]
    for unit in (7, 8, *range(10, WIDTH)):
        noise = rng.standard_normal(basis.shape[1])
        noise -= noise @ np.linalg.pinv(basis) @ basis  # it sees no template at all
        filters[unit] = noise / np.linalg.norm(noise) / 10
    return filters.reshape(WIDTH, 3, SIZE, SIZE)


def _seen(pixels: np.ndarray, centred: bool = False) -> np.ndarray:
    """As the model gets pixels: channels first, in -1..1 (differences: without the shift), flat."""
    scaled = pixels / 127.5 if centred else pixels / 127.5 - 1
    return scaled.transpose(2, 0, 1).ravel()


def write_images(folder: Path, seed: int = 0) -> Path:
    """Tars: every template with noise, in random order, and backgrounds that show nothing."""
    rng = np.random.default_rng(seed)
    names: list[tuple[str, str] | None] = [n for n in templates() for _ in range(PER_TEMPLATE)]
    names += [None] * BACKGROUNDS
    order = rng.permutation(len(names))
    samples = []
    for number, place in enumerate(order):
        name = names[place]
        clean = draw_template(*name) if name else np.full((SIZE, SIZE, 3), 128.0)
        strength = rng.uniform(0.5, 1.0)
        pixels = 128 + strength * (clean - 128) + rng.normal(0, 12, clean.shape) + rng.normal(0, 6)
        file = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG")
        record: dict[str, Any] = {"texts": []}
        if name:
            concept, facet = name
            text = {"language": "en", "text_kind": "caption", "text": f"a {concept}"}
            record["texts"] = [{**text, "page_title": None}]
            record["stimulus"] = {
                "stimulus": "word" if facet == "rendered word" else "picture",
                "concept": concept,
                "category": CATEGORIES[concept],
                "facet": facet,
            }
            if facet == "rendered word":
                record["stimulus"] |= {"text": concept, "language": "en"}
        json_member = json.dumps(record).encode()
        samples.append({"__key__": f"{number:06d}", "png": file.getvalue(), "json": json_member})
    for shard in range(3):
        write_tar(folder / f"{shard:05d}.tar", samples[shard::3])
    return folder


def make_planted_warehouse(folder: Path) -> Path:
    """Images, model, extraction; ``folder/warehouse`` is the result."""
    model = make_model(folder / "model")
    tars = write_images(folder / "tars")
    place = str(folder / "warehouse")
    ingest(IngestConfig(place, "planted"), IngestStep("webdataset", (str(tars),)))
    layers = (LAYER, CONSTANT_LAYER)
    extract(ExtractConfig(place, "planted", model, layers, run="planted", device="cpu", workers=1))
    return folder / "warehouse"
