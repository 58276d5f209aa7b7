"""A small warehouse of colourful textures: repeated images, three layers, two towers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from making import make_record, write_tar
from PIL import Image

from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest

LAYERS = ("goh2021", "visual.layer3.0", "transformer.resblocks.1.mlp.gelu:cls")
WORDS = ("cat", "dog", "Japan", "red", "guitar")
PER_SHARD = 40
POST = "transformer.resblocks.1.mlp.gelu:output:cls"
"""Signed: everything is stored."""
PRE = "visual.layer4.0.act3:input:max"
"""Rectified: only what is above zero is stored."""


def make_texture(seed: int, size: tuple[int, int] = (96, 80)) -> bytes:
    """A colourful JPEG: neurons of a random model answer differently to each."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def write_textures(folder: Path, shard_count: int = 3, per_shard: int = PER_SHARD) -> Path:
    """Tars of textures with captions; every tenth image repeats one of the first shard."""
    for shard in range(shard_count):
        samples = []
        for place in range(per_shard):
            number = shard * per_shard + place
            seed = place % 4 if place % 10 == 9 else number
            caption = f"A {WORDS[seed % len(WORDS)]}, seen from number {number}"
            samples.append(
                {
                    "__key__": f"{number:06d}",
                    "jpg": make_texture(seed),
                    "json": make_record(caption, url=f"https://example.org/{number}.jpg"),
                }
            )
        write_tar(folder / f"{shard:05d}.tar", samples)
    return folder


def make_warehouse(folder: Path, layers: tuple[str, ...] = LAYERS, **settings: object) -> Path:
    """Ingest and extract the textures; ``folder/warehouse`` is the result."""
    tars = write_textures(folder / "tars")
    place = str(folder / "warehouse")
    ingest(IngestConfig(place, "textures"), IngestStep("webdataset", (str(tars),)))
    config = ExtractConfig(
        place, "textures", "RN-demo:random", layers, device="cpu", top_k=10, **settings
    )
    extract(config)
    return folder / "warehouse"


def read_matrix(connection, layer):
    """Stored activations as a dense matrix [U, N] with zeros, and the example_ids."""
    ids = [i for (i,) in connection.execute(
        "select example_id from image_embeddings order by example_id"
    ).fetchall()]  # fmt: skip
    place = {example_id: n for n, example_id in enumerate(ids)}
    (units,) = connection.execute(
        "select unit_count from layers where layer = $layer", {"layer": layer}
    ).fetchall()[0]
    dense = np.zeros((units, len(ids)))
    for unit, example_id, value in connection.execute(
        "select unit, example_id, activation from activations where layer = $layer",
        {"layer": layer},
    ).fetchall():
        dense[unit, place[example_id]] = value
    return dense, np.array(ids)
