"""The estimate before a run: what is left, how long, how large; nothing is written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cut_world import make_cut_config, make_cut_world
from running import (
    LAYER,
    make_config,
    run_extract,
)

from pipeline.base.display import show_bytes
from pipeline.base.errors import (
    ConfigMismatchError,
    WarehouseError,
)
from pipeline.base.settings import digest
from pipeline.base.storage import Store
from pipeline.clip.model import load_clip
from pipeline.extract.estimate import Estimate, estimate
from pipeline.extract.run import extract
from pipeline.extract.sizes import Sizes


def test_estimate_is_plausible_and_writes_nothing(dataset: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (dataset / "warehouse").rglob("*")}
    found = estimate(make_config(dataset, run=""))
    assert {p: p.stat().st_mtime_ns for p in (dataset / "warehouse").rglob("*")} == before
    assert (found.shard_count, found.example_count, found.sampled_count) == (4, 70, 23)
    assert 0 < found.images_per_s < 1e5
    text = str(found)
    assert f"run {found.run_id}: 4 shards, 70 images to do" in text
    assert "estimate for --store auto: " in text and "are free" in text and "MORE" not in text

    summary = run_extract(dataset, run="")
    assert summary.run_id == found.run_id
    assert 0.5 < found.total_bytes / summary.bytes_written < 2
    with pytest.raises(WarehouseError, match="nothing left to do"):
        estimate(make_config(dataset, run=""))


def test_estimate_is_of_the_run_that_would_go_on(dataset: Path) -> None:
    """A run of format 1, which does not say how its model was set up, goes on under its old id; and one of
    another configuration is refused here as there."""
    new = estimate(make_config(dataset, run="")).run_id
    store = Store(dataset / "warehouse")
    extract(make_config(dataset, run=""))
    record = store.read_json(f"dataset=d/run_id={new}/run.json")
    setup = load_clip(record["config"]["model"], "cpu").setup_fields()
    identity = {k: v for k, v in record["identity"].items() if k not in setup}
    assert len(identity) == len(record["identity"]) - len(setup)
    old = digest(identity)
    record |= {"run_id": old, "identity": identity}
    store.write_json(f"dataset=d/run_id={old}/run.json", record)
    assert estimate(make_config(dataset, run="")).run_id == old
    assert extract(make_config(dataset, run="")).run_id == old
    with pytest.raises(WarehouseError, match=f"Run {old} of 'd' has nothing left to do"):
        estimate(make_config(dataset, run=""))
    with pytest.raises(ConfigMismatchError, match="top_k"):
        estimate(make_config(dataset, run=old, top_k=7))


def test_estimate_counts_what_is_left(dataset: Path) -> None:
    run_extract(dataset, [0, 1])
    layers = (LAYER, "ln_final:cls")
    assert estimate(make_config(dataset)).example_count == 7
    assert estimate(make_config(dataset, layers=layers, run="new")).example_count == 70


@pytest.mark.slow
@pytest.mark.parametrize("store", ["auto", "all", "top:0.2", "none"])
def test_bytes_of_each_table_are_those_that_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    """From 48 of 192 images of a shard, within a third of every table, and all of them within a seventh."""
    monkeypatch.setattr("pipeline.extract.estimate.SAMPLE_EXAMPLES", 48)
    make_cut_world(tmp_path, {}, per_shard=192)
    config = make_cut_config(tmp_path / "warehouse", run="", store=store, batch_size=24)
    found = estimate(config)
    assert (found.sampled_count, found.shard_sizes) == (48, (192, 192))
    written: Counter[str] = Counter()
    for manifest in extract(config).manifests:
        for file in manifest["files"]:
            written[file["table"]] += file["bytes"]
    del written["run_rejects"]
    expected = found.bytes_of(store)
    assert set(expected) == set(written)
    for table, size in expected.items():
        assert 0.75 < size / written[table] < 1.34, (table, size, written[table])
    assert 0.87 < sum(expected.values()) / written.total() < 1.15
    for other in ("auto", "all", "top:0.01", "none"):
        assert ("activations" in found.bytes_of(other)) == (other != "none")
    lines = str(found).splitlines()
    (head,) = (line.split() for line in lines if line.startswith("--store"))
    assert head[1:] == list(dict.fromkeys([store, "auto", "all", "top:0.01", "none"]))
    (all_,) = (line.split() for line in lines if line.startswith("all "))
    assert f"{show_bytes(round(sum(expected.values())))} of disk" in str(found)
    assert " ".join(all_[1:3]) == show_bytes(round(sum(expected.values())))


def make_estimate(**changes: Any) -> Estimate:
    """A million images of 36,864 signed neurons, in shards of 1,000, as measured with random values."""
    partials = {"shard_stats": 2.3e6, "shard_histograms": 0.9e6, "shard_top": 18e6}
    partials |= {"shard_samples": 5.1e6}
    kept = {"auto": 60e6, "all": 60e6, "top:0.01": 1.2e6}
    by_store = {s: {"activations": size, "embeddings": 1e6, **partials} for s, size in kept.items()}
    by_store["none"] = {"embeddings": 1e6, **partials}
    halves = {
        store: {
            table: size * (0.5 if table in ("activations", "embeddings") else 0.95)
            for table, size in tables.items()
        }
        for store, tables in by_store.items()
    }
    sizes = Sizes(1000, by_store, 500, halves, 100)
    given = {"run_id": "r", "model": "m", "shard_sizes": (1000,) * 1000, "sampled_count": 1000}
    given |= {"images_per_s": 100.0, "store": "auto", "sizes": sizes, "free_bytes": 10**13}
    return Estimate(**given | changes)


def test_advice_is_about_what_is_large() -> None:
    dense, partials = make_estimate().advice()[0], make_estimate(store="none").advice()
    assert dense.startswith("69% of it are activations.") and "--store top:0.01 or none" in dense
    assert partials == [
        "26.3 GB of it are partials, which every shard has, of whatever size: in shards of 5000 images "
        "they would take 5.9 GB (neurons ingest --shard-size)."
    ]
    assert make_estimate(store="none", shard_sizes=(1000,) * 3).advice() == []
    assert make_estimate(store="none", shard_sizes=(10_000,) * 100).advice() == []
    full = make_estimate(free_bytes=int(3e10)).advice()[0]
    assert full == "That is MORE than is free. --store top:0.01 would fit."
    none_fits = make_estimate(free_bytes=1).advice()[0]
    assert none_fits == "That is MORE than is free. Nothing of the above would fit."
