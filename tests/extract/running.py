"""Small real runs for tests: pictures with something in them, an ingested dataset, what a run wrote."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from making import ingest_paths, make_record, write_tar
from PIL import Image

from pipeline.base.settings import ExtractConfig
from pipeline.extract.account import RunSummary
from pipeline.extract.run import extract

MODEL = "RN-demo:random"
LAYER = "visual.layer2.0.act3:input:max"


def make_picture(seed: int, size: tuple[int, int] = (48, 40), form: str = "JPEG") -> bytes:
    """A picture of coloured patches; each seed gives another one."""
    patches = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC).save(file, form)
    return file.getvalue()


def make_pictures(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Samples as TarWriter takes them: key, jpg and json."""
    return [
        {"__key__": f"{n:06d}", "jpg": make_picture(n), "json": make_record(f"picture number {n}")}
        for n in range(first, first + count)
    ]


def ingest_shards(
    tmp_path: Path, shards: Sequence[Sequence[Mapping[str, object]]], **settings: Any
) -> Path:
    """Write each list of samples as a tar and ingest them all as dataset ``d``."""
    for n, samples in enumerate(shards):
        write_tar(tmp_path / f"in/{n:05d}.tar", samples)
    ingest_paths(tmp_path, "webdataset", tmp_path / "in", **settings)
    return tmp_path / "warehouse"


def make_config(tmp_path: Path, **settings: Any) -> ExtractConfig:
    """A run of the small model over dataset ``d`` of ``tmp_path/warehouse``."""
    defaults = {
        "warehouse": str(tmp_path / "warehouse"),
        "dataset": "d",
        "model": MODEL,
        "layers": (LAYER,),
        "run": "r",
        "device": "cpu",
        "batch_size": 16,
        "workers": 2,
        "top_k": 5,
    }
    return ExtractConfig(**(defaults | settings))


def run_extract(
    tmp_path: Path, ordinals: Sequence[int] | None = None, **settings: Any
) -> RunSummary:
    """Extract with :func:`make_config`."""
    return extract(make_config(tmp_path, **settings), ordinals=ordinals)


def run_folder(tmp_path: Path, run: str = "r") -> Path:
    return tmp_path / "warehouse/dataset=d" / f"run_id={run}"


def run_manifests(tmp_path: Path, run: str = "r") -> list[dict[str, Any]]:
    """All manifests of a run; what must hold for each of them is checked here."""
    files = sorted((run_folder(tmp_path, run) / "manifests").glob("*.json"))
    manifests = [json.loads(file.read_text()) for file in files]
    for manifest in manifests:
        assert manifest["read_count"] == manifest["written_count"] + manifest["rejected_count"]
        assert manifest["status"] in ("done", "failed")
        for entry in manifest["files"]:
            file = tmp_path / "warehouse" / entry["path"]
            assert file.stat().st_size == entry["bytes"]
            assert pq.ParquetFile(file).metadata.num_rows == entry["row_count"]
        if manifest["status"] == "done":
            assert sum(manifest["reject_reasons"].values()) == manifest["rejected_count"]
            rows = {e["table"]: e["row_count"] for e in manifest["files"] if not e["layer"]}
            assert rows["run_rejects"] == manifest["rejected_count"]
    return manifests


def run_bytes(tmp_path: Path, run: str = "r") -> dict[str, bytes]:
    """Every Parquet file that a manifest names, byte for byte; no other may lie there."""
    named = {e["path"] for m in run_manifests(tmp_path, run) for e in m["files"]}
    folder, root = run_folder(tmp_path, run), tmp_path / "warehouse"
    assert named == {str(file.relative_to(root)) for file in folder.rglob("*.parquet")}
    return {path: (root / path).read_bytes() for path in named}


def read_run(tmp_path: Path, table: str, run: str = "r", layer: str = "") -> pa.Table:
    """All rows of one table of a run, shard by shard, part by part."""
    entries = [
        entry
        for manifest in run_manifests(tmp_path, run)
        for entry in manifest["files"]
        if entry["table"] == table and (not layer or entry["layer"] == layer)
    ]
    paths = [tmp_path / "warehouse" / entry["path"] for entry in entries]
    return pa.concat_tables([pq.ParquetFile(path).read() for path in paths])


def activation_matrix(tmp_path: Path, run: str = "r", layer: str = "") -> np.ndarray[Any, Any]:
    """Float64 ``[example, unit]`` of a run that stores ``all``."""
    table = read_run(tmp_path, "activations", run, layer)
    units, ids = (table[name].to_numpy() for name in ("unit", "example_id"))
    examples, places = np.unique(ids, return_inverse=True)
    matrix = np.full((len(examples), units.max() + 1), np.nan)
    matrix[places, units] = table["activation"].to_numpy()
    assert len(table) == matrix.size and np.isfinite(matrix).all()
    return matrix
