"""A label must survive copies: pictures in several sizes, whose captions were shuffled among them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from making import make_record, write_tar
from PIL import Image

from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep, LabelSettings
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest
from pipeline.upkeep.build import build
from pipeline.warehouse.connect import connect

PICTURES, SIZES = 120, (64, 80, 96, 112)
WORDS = ("cat", "dog", "Japan", "red", "guitar", "church", "France", "piano", "horse", "blue")


@pytest.fixture(scope="module")
def tar(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Every picture in every size, in any order. What its caption names was drawn by lot."""
    rng = np.random.default_rng(0)
    words = [WORDS[n % len(WORDS)] for n in rng.permutation(PICTURES)]
    samples = []
    for n, word in enumerate(words):
        patches = np.random.default_rng(n).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        picture = Image.fromarray(patches).resize((128, 128), Image.Resampling.BICUBIC)
        for size in SIZES:
            file = io.BytesIO()
            copy = picture.resize((size, size), Image.Resampling.LANCZOS)
            copy.save(file, "JPEG", quality=90)
            key, record = f"{n:03d}-{size}", make_record(f"a {word}")
            samples.append({"__key__": key, "jpg": file.getvalue(), "json": record})
    order = rng.permutation(len(samples))
    folder = tmp_path_factory.mktemp("copies")
    return str(write_tar(folder / "0.tar", [samples[n] for n in order]))


@pytest.mark.parametrize("duplicates", ["near", "exact"])
@pytest.mark.slow
def test_shuffled_captions_label_nothing_if_copies_are_one_image(
    tar: str, tmp_path: Path, duplicates: str
) -> None:
    place, layer = str(tmp_path / "w"), "visual.layer3.0.act3:input:max"
    done = ingest(IngestConfig(place, "d", duplicates=duplicates), IngestStep("webdataset", (tar,)))
    extract(ExtractConfig(place, "d", "RN-demo:random", (layer,), device="cpu"))
    build(place, LabelSettings(label_null_repeats=40))
    with connect(place) as con:
        ((labelled, images),) = con.execute(
            """
            select
                (select count(*) from neuron_labels where is_labelled),
                (select count(*) from stg_run_examples where not is_duplicate),
            """
        ).fetchall()
        found = con.execute("select labelled_count from raw_label_nulls").fetchnumpy()
    counts = found["labelled_count"]
    assert len(counts) == 40
    assert (counts > 0).mean() <= 0.2
    if duplicates == "near":
        assert done.duplicate_count == PICTURES * (len(SIZES) - 1)
        assert images == PICTURES
        assert labelled <= counts.max()
    else:  # the flaw that copies are: only this world's truth tells, its permutations do not
        assert images == PICTURES * len(SIZES)
        assert labelled >= 10 > counts.max()
