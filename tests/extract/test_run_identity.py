"""Two configurations never mix in one run, and settings out of range begin none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from running import (
    MODEL,
    run_extract,
    run_folder,
)

from pipeline.base.errors import (
    ConfigError,
    ConfigMismatchError,
    HookError,
    WarehouseError,
)
from pipeline.base.settings import digest
from pipeline.base.storage import Store
from pipeline.clip.model import load_clip
from pipeline.evidence.classify import refuse_another_model
from pipeline.warehouse.connect import connect


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"layers": ("visual.layer1",)}, "layers: there ['visual.layer2.0.act3:input:max'], now"),
        ({"preprocess": "exact"}, "preprocess: there 'fast', now 'exact'"),
        ({"top_k": 6}, "top_k: there 5, now 6"),
        ({"store": "all"}, "store: there ['positive'], now ['all']"),
        ({"activation_dtype": "float32"}, "activation_dtype: there 'float16', now 'float32'"),
        ({"max_pixels": 10_000_000}, "max_pixels: there 100000000, now 10000000"),
        ({"model": "RN-small:random"}, "weights_sha256: there"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_two_configurations_never_mix(dataset: Path, change: dict[str, Any], field: str) -> None:
    run_extract(dataset, [3])
    before = {p: p.stat().st_mtime_ns for p in run_folder(dataset).rglob("*.*")}
    with pytest.raises(ConfigMismatchError) as caught:
        run_extract(dataset, **change)
    text = str(caught.value)
    assert "Run 'r' of 'd' was made with another configuration" in text
    assert field in text and "another --run name" in text
    assert {p: p.stat().st_mtime_ns for p in run_folder(dataset).rglob("*.*")} == before
    new = run_extract(dataset, [3], run="", **change)  # without a name they find their own place
    old = run_extract(dataset, [3], run="")
    assert new.run_id != old.run_id


def test_a_run_keeps_the_width_of_its_merges(dataset: Path) -> None:
    run_extract(dataset, [3], merge_width=3)
    run_extract(dataset, [2])
    with pytest.raises(ConfigMismatchError, match="merged 3 shards at a time, not 64"):
        run_extract(dataset, [1], merge_width=64)


def test_a_model_that_is_set_up_in_another_way_never_mixes(dataset: Path, tmp_path: Path) -> None:
    """The same weights, once plain and once as the configuration says that is put beside them."""
    torch.save(load_clip("ViT-small:random").model.state_dict(), tmp_path / "w.pt")
    model = f"ViT-small:{tmp_path / 'w.pt'}"
    change = {"model": model, "layers": ("vit-mlp",)}
    run_extract(dataset, [3], **change)
    config = open_clip.get_model_config("ViT-small") | {"quick_gelu": True}
    images = {"mean": [0.5] * 3, "resize_mode": "squash"}
    sidecar = {"model_cfg": config, "preprocess_cfg": images}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(sidecar))
    with pytest.raises(ConfigMismatchError) as caught:
        run_extract(dataset, **change)
    for words in (
        "image_activation: there 'GELU', now 'QuickGELU'",
        "text_activation: there 'GELU', now 'QuickGELU'",
        "image_mean: there [0.48145466, 0.4578275, 0.40821073], now [0.5, 0.5, 0.5]",
        "resize_mode: there 'shortest', now 'squash'",
    ):
        assert words in str(caught.value)
    run_extract(dataset, [3], **change, run="new")
    with connect(str(dataset / "warehouse")) as connection:
        rows = connection.execute(
            "select run_id, image_activation, text_activation, image_height_px, image_width_px, "
            "image_mean[1], image_std[1], interpolation, resize_mode from runs order by run_id"
        ).fetchall()
    assert rows == [
        ("new", "QuickGELU", "QuickGELU", 48, 48, 0.5, 0.26862954, "bicubic", "squash"),
        ("r", "GELU", "GELU", 48, 48, 0.48145466, 0.26862954, "bicubic", "shortest"),
    ]
    store = Store(dataset / "warehouse")
    identity = store.read_json("dataset=d/run_id=r/run.json")["identity"]
    with pytest.raises(ConfigMismatchError, match="text_activation: the run's 'GELU'"):
        refuse_another_model(load_clip(model), identity)


@pytest.mark.slow
def test_runs_of_the_first_format_go_on_where_they_ran_what_is_run_now(
    dataset: Path, tmp_path: Path
) -> None:
    """Their records do not say how the model was set up: it was open_clip's way without a word."""
    store = Store(dataset / "warehouse")

    def forget(run: str) -> str:
        path = f"dataset=d/run_id={run}/run.json"
        record = store.read_json(path)
        fields = load_clip(MODEL).setup_fields()
        record["identity"] = {k: v for k, v in record["identity"].items() if k not in fields}
        store.write_json(path, record)
        return digest(record["identity"])

    run_extract(dataset, [3])
    forget("r")
    assert run_extract(dataset).skipped_shard_count == 1
    old = forget(run_extract(dataset, [3], run="").run_id)
    shutil.rmtree(run_folder(dataset, run_extract(dataset, [3], run="").run_id))
    run_extract(dataset, [3], run=old)
    forget(old)
    assert run_extract(dataset, [3], run="").run_id == old
    with connect(str(dataset / "warehouse")) as connection:
        found = connection.execute("select image_activation, image_height_px from runs").fetchall()
    assert found == [(None, None)] * 2

    torch.save(load_clip("ViT-small:random").model.state_dict(), tmp_path / "w.pt")
    change = {"model": f"ViT-small:{tmp_path / 'w.pt'}", "layers": ("vit-mlp",), "run": "vit"}
    config = open_clip.get_model_config("ViT-small") | {"quick_gelu": True}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    run_extract(dataset, [3], **change)
    forget("vit")
    with pytest.raises(ConfigMismatchError, match="image_activation: there None, now 'QuickGELU'"):
        run_extract(dataset, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"workers": -1}, "workers is -1"),
        ({"top_k": 0}, "top_k is 0"),
        ({"merge_width": 257}, "merge_width is 257"),
        ({"merge_width": 1}, "Of 1 shard no merge can be made"),
        ({"memory_budget_mb": 0}, "memory_budget_mb is 0"),
        ({"max_pixels": 0}, "max_pixels is 0"),
        ({"max_reject_frac": 1.01}, "max_reject_frac is 1.01"),
        ({"max_reject_frac": float("nan")}, "max_reject_frac is nan"),
        ({"preprocess": "slow"}, "preprocess is 'slow'"),
        ({"store": "some"}, "store is 'some'"),
        ({"store": "top:1.5"}, "store is 'top:1.5'"),
        ({"activation_dtype": "int8"}, "activation_dtype is 'int8'"),
        ({"precision": "int8"}, "precision is 'int8'"),
        ({"precision": "bfloat16"}, "Precision 'bfloat16' on a CPU"),
        ({"run": "../escape"}, "'../escape' cannot name a run"),
        ({"dataset": "no/folder"}, "'no/folder' cannot name a dataset"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_values_out_of_range(dataset: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        run_extract(dataset, **change)
    assert message in str(caught.value) and caught.value.hint
    assert not run_folder(dataset).exists() or change.get("precision") == "bfloat16"


def test_unknown_dataset_and_layer(dataset: Path) -> None:
    with pytest.raises(WarehouseError, match="no dataset 'e'") as caught:
        run_extract(dataset, dataset="e")
    assert "Datasets there: d" in str(caught.value)
    with pytest.raises(HookError, match=r"layer 'visual\.layer9' is not in RN-demo:random"):
        run_extract(dataset, layers=("visual.layer9",))
    assert not run_folder(dataset).exists()
