"""What an extraction says to bad input; what the index says stands in ``tests/sources``."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
import torch
from making import make_record
from PIL import Image
from running import (
    ingest_shards,
    make_config,
    make_picture,
    make_pictures,
    read_run,
    run_extract,
    run_folder,
    run_manifests,
)

from pipeline.base.errors import (
    DeviceError,
    HookError,
    ModelError,
    ShardError,
    StorageError,
    WarehouseError,
)
from pipeline.extract.run import extract


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def make_bomb(side: int) -> bytes:
    """A PNG of a few bytes whose header promises ``side`` x ``side`` pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def save(image: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def damage(data: bytes, keep: int) -> bytes:
    """The same length, with noise behind the first ``keep`` bytes."""
    noise = torch.randint(0, 256, (len(data) - keep,), generator=torch.Generator().manual_seed(0))
    return data[:keep] + bytes(noise.tolist())


BAD = {
    "truncated JPEG": (make_picture(1)[:-150], "image_truncated"),
    "cut after the header": (make_picture(2)[:700], "image_truncated"),
    "400 megapixels": (make_bomb(20_000), "too_many_pixels"),
    "pixels missing": (make_bomb(500), "image_truncated"),
    "a line": (save(Image.new("RGB", (20_000, 1)), "PNG"), "too_elongated"),
    "truncated PNG": (make_picture(3, form="PNG")[:-200], "image_truncated"),
    "damaged PNG": (damage(make_picture(4, form="PNG"), 60), "image_unreadable"),
}


@pytest.mark.parametrize("preprocess", ["fast", "exact"])
def test_each_bad_image_is_a_reject_and_the_others_go_on(tmp_path: Path, preprocess: str) -> None:
    samples = make_pictures(4)
    for n, (data, _) in enumerate(BAD.values()):
        extension = "png" if data.startswith(b"\x89PNG") else "jpg"
        samples.insert(2 * n, {"__key__": f"bad{n}", extension: data, "json": make_record("bad")})
    not_indexed = [{"__key__": "no", "jpg": b"not an image"}, {"__key__": "none", "jpg": b""}]
    ingest_shards(tmp_path, [[*samples, *not_indexed]], max_reject_frac=0.5)
    run_extract(tmp_path, batch_size=2, max_reject_frac=0.8, preprocess=preprocess)
    rows = read_run(tmp_path, "run_rejects").to_pylist()
    assert {row["stage"] for row in rows} == {"decode"}
    found = {row["shard_key"]: row["reason"] for row in rows}
    expected = {f"bad{n}": reason for n, (_, reason) in enumerate(BAD.values())}
    assert {k: v for k, v in found.items() if expected.get(k) != v} == {}
    assert found.keys() == expected.keys()
    assert all(row["detail"] and "\n" not in row["detail"] for row in rows)
    details = {row["shard_key"]: row["detail"] for row in rows}
    assert "20000 x 20000 pixels; the limit is 100000000" in details["bad2"]
    (manifest,) = run_manifests(tmp_path)
    assert (manifest["read_count"], manifest["written_count"]) == (11, 4)
    ids = read_run(tmp_path, "embeddings")["example_id"].to_pylist()
    keys = [sample["__key__"] for sample in samples]
    assert [keys[i] for i in ids] == [f"{n:06d}" for n in range(4)]
    positions = {row["position"] for row in rows}
    assert positions | set(ids) == set(range(11))


def test_pixel_limit_is_what_the_run_says(tmp_path: Path) -> None:
    ingest_shards(tmp_path, [make_pictures(3)])
    with pytest.raises(ShardError, match="too_many_pixels 3"):
        run_extract(tmp_path, max_pixels=48 * 40 - 1)
    run_extract(tmp_path, max_pixels=48 * 40, run="enough")


def test_unknown_model_layer_checkpoint_and_device(dataset: Path, tmp_path: Path) -> None:
    """Nothing of a run that cannot start is visible."""
    file = tmp_path / "vit.pt"
    torch.save({"visual.conv1.weight": torch.zeros(1)}, file)
    with pytest.raises(ModelError, match="no architecture 'RN-dmeo'"):
        run_extract(dataset, model="RN-dmeo:random")
    with pytest.raises(ModelError, match="does not fit RN-demo"):
        run_extract(dataset, model=f"RN-demo:{file}")
    with pytest.raises(HookError, match=r"'visual\.layer5' is not in RN-demo:random") as caught:
        run_extract(dataset, layers=("visual.layer5",))
    assert "Closest: 'visual.layer" in caught.value.hint
    with pytest.raises(HookError, match="Preset 'vit-mlp'"):
        run_extract(dataset, layers=("vit-mlp",))
    with pytest.raises(DeviceError, match="'cuda:99' is not available"):
        run_extract(dataset, device="cuda:99")
    assert not run_folder(dataset).exists()


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="no dataset 'd'") as caught:
        extract(make_config(tmp_path))
    assert "neurons ingest" in caught.value.hint
    assert not (tmp_path / "warehouse").exists()


@pytest.mark.parametrize("table", ["examples", "duplicates"])
def test_an_index_truncated_behind_our_back_fails_its_shard(dataset: Path, table: str) -> None:
    file = dataset / f"warehouse/dataset=d/{table}/00001.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ShardError, match="1 of 4 shards failed") as caught:
        run_extract(dataset)
    assert f"index of shard '00001' cannot be read: {file}" in str(caught.value)
    assert [m["status"] for m in run_manifests(dataset)] == ["done", "failed", "done", "done"]


def test_damaged_manifests_and_run_records_are_named(dataset: Path) -> None:
    run_extract(dataset, [0, 1])
    manifest = run_folder(dataset) / "manifests/00001.json"
    manifest.write_text(manifest.read_text()[:100])
    with pytest.raises(StorageError, match=r"manifests/00001\.json is not valid JSON") as caught:
        run_extract(dataset)
    assert "neurons repair" in caught.value.hint
    manifest.unlink()
    assert run_extract(dataset).skipped_shard_count == 1
    (run_folder(dataset) / "run.json").write_text("")
    with pytest.raises(StorageError, match=r"run\.json is not valid JSON"):
        run_extract(dataset)
