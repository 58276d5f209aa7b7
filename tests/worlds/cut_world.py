"""A dataset whose pictures have the colour that their text names, in runs that keep different things."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from making import ingest_paths, make_record, write_tar
from PIL import Image

from pipeline.base.settings import ExtractConfig
from pipeline.extract.run import extract

COLOURS = {
    "red": (200, 20, 30),
    "green": (20, 170, 40),
    "blue": (30, 40, 210),
    "yellow": (230, 220, 30),
}
STORES = {"whole": "auto", "share": "top:0.1", "bare": "none"}
"""What each run is asked to store, by its name."""
RECTIFIED = "visual.layer4.0.act3:input:max"
SIGNED = "visual.layer3.0.conv3:output:mean"


def make_coloured(number: int, colour: tuple[int, int, int]) -> bytes:
    """A picture of patches around a colour, no two alike."""
    rng = np.random.default_rng(number)
    patches = np.clip(rng.normal(colour, 25, (4, 5, 3)), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(patches).resize((64, 56), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


def make_cut_world(folder: Path, stores: dict[str, str] = STORES, per_shard: int = 67) -> Path:
    """Two shards and one run for each of ``stores``; returns the warehouse."""
    names = list(COLOURS)
    for shard in range(2):
        samples = [
            {
                "__key__": f"{n:06d}",
                "png": make_coloured(n, COLOURS[names[n % 4]]),
                "json": make_record(f"something {names[n % 4]}, number {n}"),
            }
            for n in range(shard * per_shard, (shard + 1) * per_shard)
        ]
        write_tar(folder / f"in/{shard:05d}.tar", samples)
    ingest_paths(folder, "webdataset", folder / "in", duplicates="exact")
    for run, store in stores.items():
        extract(make_cut_config(folder / "warehouse", run=run, store=store))
    return folder / "warehouse"


def make_cut_config(warehouse: Path, **settings: object) -> ExtractConfig:
    """A run over it."""
    given = {"dataset": "d", "run": "bare", "store": "none", "device": "cpu", "top_k": 20}
    given |= {"model": "RN-demo:random", "layers": (RECTIFIED, SIGNED), "workers": 1}
    return ExtractConfig(str(warehouse), **(given | settings))
