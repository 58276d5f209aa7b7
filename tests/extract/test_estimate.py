"""The estimate before a run: what is left, how long, how large; nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import (
    LAYER,
    make_config,
    run_extract,
)

from pipeline.base.errors import (
    ConfigMismatchError,
    WarehouseError,
)
from pipeline.base.settings import digest
from pipeline.base.storage import Store
from pipeline.clip.model import load_clip
from pipeline.extract.estimate import estimate
from pipeline.extract.run import extract


def test_estimate_is_plausible_and_writes_nothing(dataset: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (dataset / "warehouse").rglob("*")}
    found = estimate(make_config(dataset, run=""))
    assert {p: p.stat().st_mtime_ns for p in (dataset / "warehouse").rglob("*")} == before
    assert (found.shard_count, found.example_count, found.sampled_count) == (4, 70, 23)
    assert 0 < found.images_per_s < 1e5
    text = str(found)
    assert f"run {found.run_id}: 4 shards, 70 images to do" in text
    assert "estimate: " in text and "GB are free" in text and "MORE" not in text

    summary = run_extract(dataset, run="")
    assert summary.run_id == found.run_id
    assert 0.3 < found.total_bytes / summary.bytes_written < 3
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
