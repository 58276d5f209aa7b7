"""Small real files for tests: images, tars, datasets."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from PIL import Image
from webdataset import TarWriter

from pipeline.base.settings import IngestConfig, IngestStep
from pipeline.sources.ingest import IngestSummary, ingest


def make_image(seed: int = 0, size: tuple[int, int] = (16, 12), form: str = "JPEG") -> bytes:
    """A small image; each seed gives another one."""
    colour = (seed * 37 % 256, seed * 91 % 256, seed // 7 % 256)
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, form)
    return file.getvalue()


def make_record(text: str, language: str = "en", **more: object) -> bytes:
    """The JSON member of our normal form with one caption."""
    entry = {"language": language, "text_kind": "caption", "text": text, "page_title": None}
    return json.dumps({"texts": [entry], **more}).encode()


def make_samples(count: int, first: int = 0) -> list[dict[str, object]]:
    """Samples as TarWriter takes them: key, jpg and json, no two images alike."""
    return [
        {"__key__": f"{n:06d}", "jpg": make_image(n), "json": make_record(f"picture {n}")}
        for n in range(first, first + count)
    ]


def write_tar(path: Path, samples: Sequence[Mapping[str, object]]) -> Path:
    """Write samples with webdataset's own writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file, TarWriter(file, mtime=0, encoder=False) as tar:
        for sample in samples:
            tar.write(dict(sample))
    return path


def write_members(path: Path, members: Sequence[tuple[str, bytes]], **options: int) -> Path:
    """Write a tar member by member, in any order and with any name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def ingest_paths(tmp_path: Path, source: str, *paths: object, **settings: Any) -> IngestSummary:
    """Ingest into ``tmp_path/warehouse`` as dataset ``d``; options and config fields by name."""
    options = settings.pop("options", {})
    config = IngestConfig(str(tmp_path / "warehouse"), "d", **settings)
    return ingest(config, IngestStep(source, tuple(map(str, paths)), options))


def read_rows(tmp_path: Path, table: str) -> list[dict[str, Any]]:
    """All rows of a table of dataset ``d``, in the order of shards."""
    files = sorted((tmp_path / "warehouse/dataset=d" / table).glob("*.parquet"))
    return [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]


def read_manifests(tmp_path: Path) -> list[dict[str, Any]]:
    """All manifests of dataset ``d``."""
    files = sorted((tmp_path / "warehouse/dataset=d/manifests").glob("*.json"))
    return [json.loads(file.read_text()) for file in files]


def snapshot(tmp_path: Path, with_times: bool = True) -> dict[str, object]:
    """Name -> (bytes, time of change) of all files of the warehouse."""
    files = (file for file in (tmp_path / "warehouse").rglob("*") if file.is_file())
    return {
        str(file.relative_to(tmp_path)): (
            file.read_bytes(),
            file.stat().st_mtime_ns if with_times else None,
        )
        for file in files
        if file.suffix != ".lock"
        and (with_times or not file.name.endswith((".json", ".json.copy")))
    }
