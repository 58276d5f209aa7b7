"""Small real files for tests: images, tars, datasets."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image
from webdataset import TarWriter


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
