"""What cannot be read or computed fails one shard alone, or the run, and says what to do."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from running import (
    LAYER,
    MODEL,
    ingest_shards,
    make_config,
    make_pictures,
    read_run,
    run_bytes,
    run_extract,
    run_manifests,
)

from pipeline.base.errors import (
    ActivationError,
    ShardError,
)
from pipeline.clip.model import load_clip
from pipeline.extract.estimate import estimate


def test_too_many_rejects_fail_one_shard_alone(tmp_path: Path) -> None:
    cut = [s | {"jpg": s["jpg"][:-200]} for s in make_pictures(4, first=10)]
    ingest_shards(
        tmp_path, [make_pictures(5), [*cut, *make_pictures(6, first=50)], make_pictures(3, 70)]
    )
    with pytest.raises(ShardError) as caught:
        run_extract(tmp_path, batch_size=2)
    text = str(caught.value)
    assert text.startswith("1 of 3 shards failed; the others are done.")
    assert "Shard '00001': 4 of 10 examples were rejected (image_truncated 4)" in text
    assert "more than the share 0.25 that is allowed" in text
    first, second, third = run_manifests(tmp_path)
    assert first["status"] == third["status"] == "done"
    assert (second["status"], second["read_count"], second["written_count"]) == ("failed", 10, 0)
    assert second["error"] in text
    assert second["reject_reasons"] == {"image_truncated": 4}
    assert [entry["table"] for entry in second["files"]] == ["run_rejects"]
    rejects = read_run(tmp_path, "run_rejects").to_pylist()
    assert [row["reason"] for row in rejects] == ["image_truncated"] * 4 + ["shard_failed"]
    assert rejects[-1]["detail"] == second["error"]
    assert rejects[-1]["shard_key"] is None
    assert {i >> 20 for i in read_run(tmp_path, "embeddings")["example_id"].to_pylist()} == {0, 2}

    summary = run_extract(tmp_path, batch_size=2, max_reject_frac=0.4)
    assert (summary.skipped_shard_count, summary.written_count) == (2, 6)
    assert run_manifests(tmp_path)[1]["status"] == "done"
    run_bytes(tmp_path)


def test_a_tar_changed_behind_our_back_fails_its_shard(tmp_path: Path) -> None:
    ingest_shards(tmp_path, [make_pictures(n + 3, first=10 * n) for n in range(4)])
    changed, gone = tmp_path / "in/00001.tar", tmp_path / "in/00002.tar"
    original = changed.read_bytes()
    data = bytearray(original)
    data[data.rindex(b"\xff\xd8\xff") + 100] ^= 0xFF
    changed.write_bytes(bytes(data))
    gone.rename(tmp_path / "elsewhere")
    with pytest.raises(ShardError, match=r"2 of 4 shards failed") as caught:
        run_extract(tmp_path)
    text = str(caught.value)
    assert "00001.tar has changed since it was indexed: the bytes of '000013' are not" in text
    assert "00002.tar cannot be read" in text
    assert [m["status"] for m in run_manifests(tmp_path)] == ["done", "failed", "failed", "done"]
    changed.write_bytes(original)
    (tmp_path / "elsewhere").rename(gone)
    assert run_extract(tmp_path).skipped_shard_count == 2
    assert [m["status"] for m in run_manifests(tmp_path)] == ["done"] * 4
    run_bytes(tmp_path)


def test_a_shard_whose_ingest_failed_fails_alone(tmp_path: Path) -> None:
    bad = [{"__key__": str(n), "jpg": b"no image"} for n in range(3)]
    with pytest.raises(ShardError):
        ingest_shards(tmp_path, [bad, make_pictures(3)])
    with pytest.raises(
        ShardError, match=r"1 of 2 shards failed.*\n.*'00000' of 'd' is not indexed"
    ):
        run_extract(tmp_path)
    assert [m["status"] for m in run_manifests(tmp_path)] == ["failed", "done"]


def test_shards_without_a_single_example(tmp_path: Path) -> None:
    bad = [{"__key__": str(n), "jpg": b"no image"} for n in range(3)]
    ingest_shards(tmp_path, [bad, make_pictures(3)], max_reject_frac=1.0)
    summary = run_extract(tmp_path)
    assert (summary.read_count, summary.written_count) == (3, 3)
    run_bytes(tmp_path)
    assert estimate(make_config(tmp_path, run="new")).example_count == 3


def test_weights_that_overflow(dataset: Path, tmp_path: Path) -> None:
    state = load_clip(MODEL).model.state_dict()
    state["visual.conv2.weight"].fill_(3e38)  # finite, and no sum of them is
    torch.save(state, tmp_path / "huge.pt")
    with pytest.raises(ShardError, match="4 of 4 shards failed") as caught:
        run_extract(dataset, model=f"RN-demo:{tmp_path / 'huge.pt'}")
    assert "Shard '00000': 23 of 23 examples were rejected (not_finite 23)" in str(caught.value)
    assert "not_finite 5, image_truncated 1" in str(caught.value)
    rows = read_run(dataset, "run_rejects").to_pylist()
    assert Counter((row["stage"], row["reason"]) for row in rows) == {
        ("forward", "not_finite"): 69,
        ("decode", "image_truncated"): 1,
        ("shard", "shard_failed"): 4,
    }
    assert {m["status"] for m in run_manifests(dataset)} == {"failed"}
    assert all(m["read_count"] == m["rejected_count"] for m in run_manifests(dataset))
    with pytest.raises(ActivationError, match="NaN or infinity"):
        estimate(make_config(dataset, model=f"RN-demo:{tmp_path / 'huge.pt'}", run="new"))


def test_beyond_float16_stops_the_run_and_float32_does_it(dataset: Path, tmp_path: Path) -> None:
    state = load_clip(MODEL).model.state_dict()
    state["visual.layer2.0.bn3.bias"][0] = 1e5
    torch.save(state, tmp_path / "huge.pt")
    model = f"RN-demo:{tmp_path / 'huge.pt'}"
    with pytest.raises(ActivationError, match=f"{LAYER}' has activations beyond float16") as caught:
        run_extract(dataset, model=model)
    assert "--activation-dtype float32" in caught.value.hint
    assert run_manifests(dataset) == []
    run_extract(dataset, model=model, activation_dtype="float32", run="wide")
    assert read_run(dataset, "activations", "wide")["activation"].to_numpy().max() > 9e4
    assert [m["status"] for m in run_manifests(dataset, "wide")] == ["done"] * 4
