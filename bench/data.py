"""What the benchmarks run on: seeded photographs in shards, and warehouses of synthetic activations."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from pipeline.base.settings import IngestConfig, IngestStep, digest
from pipeline.base.storage import Store, partition
from pipeline.clip.hooks import Layer, LayerSpec
from pipeline.extract.open import describe_layer
from pipeline.extract.results import LayerOutput, Results
from pipeline.extract.write import ShardWriter
from pipeline.sources.ingest import ingest
from pipeline.tables.datasets import (
    Dataset,
    Shard,
    dataset_folder,
    write_dataset,
)
from pipeline.tables.manifest_files import (
    shard_file,
    write_manifest,
)
from pipeline.tables.manifests import FileEntry, make_entry
from pipeline.tables.schema import TABLES

PHOTO_SIZES = ((300, 400), (640, 480), (1024, 683), (1280, 960), (2000, 1500))
SMALL_SIZES = ((160, 120), (256, 192), (320, 240))
BASE_COUNT = 48
"""Different pictures; beyond them a picture comes again, told apart by a comment in its file."""


@dataclass(frozen=True)
class Shards:
    """A set of shards, made once and kept in the temporary folder."""

    shard_count: int
    shard_size: int
    """Images in each."""
    sizes: tuple[tuple[int, int], ...] = PHOTO_SIZES
    """Width and height in pixels, taken in turn."""
    seed: int = 0

    @property
    def count(self) -> int:
        """Images in all shards."""
        return self.shard_count * self.shard_size


def cache_folder() -> Path:
    """Where shards are kept between runs."""
    return Path(tempfile.gettempdir()) / "multimodal-neurons-bench"


def synthesise_photo(width: int, height: int, seed: int) -> bytes:
    """A JPEG with structure at every scale (about 1/f, like photographs) and a little noise."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), 128.0, np.float32)
    for cells in (3, 6, 12, 24, 48, 96, 192):
        for channel in range(3):
            coarse = rng.standard_normal((cells, cells), np.float32)
            layer = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
            pixels[..., channel] += np.asarray(layer) * 90 / cells**0.6
    pixels += rng.standard_normal(pixels.shape, np.float32) * 3
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def with_comment(jpeg: bytes, text: str) -> bytes:
    """The same picture as another file: a comment segment right after the start marker."""
    comment = text.encode()
    return jpeg[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + jpeg[2:]


def photos(shards: Shards) -> Iterator[bytes]:
    """The images of all shards, in order; no two files alike."""
    base = [
        synthesise_photo(*shards.sizes[i % len(shards.sizes)], seed=shards.seed + i)
        for i in range(min(BASE_COUNT, shards.count))
    ]
    for number in range(shards.count):
        yield with_comment(base[number % len(base)], f"image {number}")


def make_shards(shards: Shards) -> list[str]:
    """Paths of the tars; written if they are not there yet."""
    folder = cache_folder() / digest(asdict(shards))
    paths = [folder / f"{number:05d}.tar" for number in range(shards.shard_count)]
    if not all(path.exists() for path in paths):
        folder.mkdir(parents=True, exist_ok=True)
        source = photos(shards)
        for path in paths:
            _write_tar(path, [next(source) for _ in range(shards.shard_size)])
    return [str(path) for path in paths]


def _write_tar(path: Path, images: Sequence[bytes]) -> None:
    temporary = path.with_suffix(".tmp")
    with tarfile.open(temporary, "w") as tar:
        for number, image in enumerate(images):
            record = json.dumps({"caption": f"picture {number} of {path.stem}"}).encode()
            for suffix, data in (("jpg", image), ("json", record)):
                info = tarfile.TarInfo(f"{path.stem}{number:05d}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    temporary.rename(path)


def ingest_shards(warehouse: str, shards: Shards, dataset: str = "bench") -> list[str]:
    """Index the shards into a warehouse. Returns their paths."""
    paths = make_shards(shards)
    # told apart by their comments: all of them count, as if each showed something else
    config = IngestConfig(warehouse, dataset, duplicates="exact")
    ingest(config, IngestStep("webdataset", tuple(paths)))
    return paths


def synthesise_activations(
    example_count: int, unit_count: int, positive_frac: float, seed: int = 0
) -> torch.Tensor:
    """float16 ``[N, U]`` like pre-ReLU spatial maxima: skewed, units of unequal scale and offset.

    ``positive_frac`` of all values are above zero, about; the share differs between units, as it
    does in trained networks.
    """
    generator = torch.Generator().manual_seed(seed)
    scale = torch.empty(unit_count).log_normal_(-1.0, 0.4, generator=generator)
    shift = torch.empty(unit_count).normal_(0.0, 0.6, generator=generator)
    values = torch.empty(example_count, unit_count)
    for start in range(0, example_count, 4096):
        block = values[start : start + 4096]
        block.exponential_(1.0, generator=generator)
        block.log_().neg_()  # Gumbel: the law of a maximum over positions
    values += shift
    some = values[:1024].flatten()[: 1 << 23]  # quantile takes no more than 2^24
    offset = some.quantile(1 - positive_frac) if values.numel() else 0.0
    return ((values - offset) * scale).half()


def synthetic_output(unit_count: int) -> LayerOutput:
    """A layer of no model, stored like a rectified one."""
    layer = Layer(
        LayerSpec("synthetic"), "visual", "ReLU", "channels_first", unit_count, True, grid=(9, 9)
    )
    return LayerOutput(layer, "positive", torch.float16)


def synthesise_peaks(example_ids: torch.Tensor, unit_count: int) -> torch.Tensor:
    """uint8 ``[N, U]``: peaks in a grid of 9 x 9, each told by whose it is, and none rarer than others."""
    hashes = example_ids[:, None] * 2654435761 + torch.arange(unit_count) * 40503
    return ((hashes >> 7) % 81).to(torch.uint8)


def make_warehouse(
    folder: str,
    shard_count: int,
    shard_size: int,
    unit_count: int,
    positive_frac: float = 0.25,
    concept_count: int = 0,
    tars: Sequence[str] = (),
) -> torch.Tensor:
    """A warehouse of synthetic activations, one run; its images are those of ``tars``, or there are none.

    With ``concept_count``, example ``i`` shows concept ``i % concept_count`` by construction.

    Returns:
        All activations, float16 ``[N, U]``; row ``i`` is example ``i % shard_size`` of shard
        ``i // shard_size``.
    """
    values = synthesise_activations(shard_count * shard_size, unit_count, positive_frac)
    write_run(folder, values, shard_size, synthetic_output(unit_count), concept_count, tars=tars)
    return values


def write_run(
    folder: str,
    values: torch.Tensor,
    shard_size: int,
    output: LayerOutput,
    concept_count: int = 0,
    merge_width: int = 0,
    top_k: int = 100,
    repeated: torch.Tensor | None = None,
    tars: Sequence[str] = (),
    has_peaks: bool = True,
) -> None:
    """A warehouse with these activations (``[N, U]``) as the run ``bench`` of ``synthetic``.

    With ``concept_count``, example ``i`` shows concept ``i % concept_count`` by construction. Statistics are
    merged as ``merge_width`` of `settings.ExtractConfig` says; examples that are ``repeated`` (int64, sorted
    ids) are left out of top images and samples. The images are those of ``tars`` (`make_shards`), one for each
    shard; without them there are none.
    """
    store, name = Store(folder), "synthetic"
    run_folder = f"{dataset_folder(name)}/{partition(run_id='bench')}"
    blocks = values.split(shard_size)
    places = tars or [f"shard{n:05d}.tar" for n in range(len(blocks))]
    shards = tuple(Shard(n, f"shard{n:05d}", place, 0) for n, place in enumerate(places))
    write_dataset(store, Dataset(name, "webdataset", shards))
    store.write_record(f"{run_folder}/run.json", _run_record(output, merge_width, top_k))
    generator = torch.Generator().manual_seed(1)
    repeated = torch.zeros(0, dtype=torch.int64) if repeated is None else repeated
    for shard, block in zip(shards, blocks, strict=True):
        ids = torch.arange(len(block)) + shard.example_id(0)
        is_finite = torch.ones(len(block), dtype=torch.bool)
        vectors = torch.randn(len(block), 64, generator=generator).half()
        writer = ShardWriter(store, run_folder, shard, (output,), repeated, top_k, 1 << 30)
        peaks = {output.layer.name: synthesise_peaks(ids, block.shape[1])} if has_peaks else {}
        writer.add(Results(ids, {output.layer.name: block}, vectors, is_finite, peaks))
        files = writer.finish()
        images = list_images(shard.url) if tars else {}
        index = _write_index(store, name, shard, ids.numpy(), concept_count, images)
        for place, written in ((dataset_folder(name), index), (run_folder, files)):
            write_manifest(store, place, _manifest(shard, len(block), written))


def list_images(tar: str) -> dict[str, list[Any]]:
    """Columns of ``examples`` that say where the images of a tar of `make_shards` lie, and what they are."""
    with tarfile.open(tar) as opened:
        members = [member for member in opened if member.name.endswith(".jpg")]
    columns: dict[str, list[Any]] = {
        "image_offset": [member.offset_data for member in members],
        "image_bytes": [member.size for member in members],
        "image_sha256": [],
        "width_px": [],
        "height_px": [],
        "mime_type": ["image/jpeg"] * len(members),
    }
    with Path(tar).open("rb") as file:
        for member in members:
            file.seek(member.offset_data)
            data = file.read(member.size)
            with Image.open(io.BytesIO(data)) as image:
                width, height = image.size
            columns["image_sha256"].append(hashlib.sha256(data).hexdigest())
            columns["width_px"].append(width)
            columns["height_px"].append(height)
    return columns


def _write_index(
    store: Store,
    dataset: str,
    shard: Shard,
    ids: np.ndarray[Any, Any],
    concept_count: int,
    images: Mapping[str, list[Any]],
) -> list[FileEntry]:
    """Rows of ``examples`` and, if there are concepts, ``stimuli``; what does not matter is null."""
    rows: dict[str, dict[str, list[Any]]] = {
        "examples": {
            "example_id": ids.tolist(),
            "shard_ordinal": [shard.ordinal] * len(ids),
            "shard_key": [f"{n:06d}" for n in range(len(ids))],
            "image_sha256": [hashlib.sha256(str(i).encode()).hexdigest() for i in ids.tolist()],
            **images,
        }
    }
    if concept_count:
        numbers = [(shard.ordinal * len(ids) + n) % concept_count for n in range(len(ids))]
        rows["stimuli"] = {
            "example_id": ids.tolist(),
            "concept": [f"concept {n}" for n in numbers],
            "category": ["object"] * len(ids),
        }
    rows["duplicates"] = {}
    files = []
    for table, columns in rows.items():
        schema = TABLES[table].arrow_schema()
        count = len(columns.get("example_id", ()))
        arrays = [pa.array(columns.get(c.name, [None] * count), c.type) for c in schema]
        rel = shard_file(dataset_folder(dataset), table, shard.ordinal)
        written = store.write_parquet(rel, pa.Table.from_arrays(arrays, schema=schema))
        files.append(make_entry(table, rel, count, written))
    return files


def _run_record(output: LayerOutput, merge_width: int, top_k: int) -> dict[str, Any]:
    layer = output.layer
    model = {"model_id": "synthetic:random", "weights_sha256": "0" * 64}
    return {
        "run_id": "bench",
        "identity": {
            **model,
            "layers": [layer.name],
            "preprocess": "fast",
            "precision": "float32",
            "activation_dtype": "float16",
            "top_k": top_k,
        },
        "model": {**model, "is_random": True},
        "layers": [describe_layer(output)],
        "config": {"model": model["model_id"], "merge_width": merge_width},
        "versions": {},
        "created_at": "2026-01-01T00:00:00+00:00",
    }


def _manifest(shard: Shard, count: int, files: list[FileEntry]) -> dict[str, Any]:
    return {
        "ordinal": shard.ordinal,
        "shard": shard.name,
        "run_id": "bench",
        "status": "done",
        "error": None,
        "read_count": count,
        "written_count": count,
        "rejected_count": 0,
        "canonical_count": count,
        "reject_reasons": {},
        "files": files,
        "seconds": {},
        "written_at": "2026-01-01T00:00:00+00:00",
    }
