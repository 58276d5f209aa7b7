from __future__ import annotations

import contextvars
import json
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from flow_making import (
    ROOT,
    artifacts,
    environment,
    make_config,
    make_warehouse,
    read_activations,
    task_runs,
)
from prefect.states import Failed
from prefect.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner
from waiting import wait_for

from pipeline.base import errors

pytestmark = pytest.mark.flows


@pytest.mark.parametrize(
    "error, again",
    [
        (errors.StorageError("The disk is full."), True),
        (ConnectionError("reset"), True),
        (OSError("stale handle"), True),
        (RuntimeError("CUDA error"), True),
        (errors.ConfigError("x"), False),
        (errors.ConfigMismatchError("x"), False),
        (errors.ModelError("x"), False),
        (errors.HookError("x"), False),
        (errors.DeviceError("x"), False),
        (errors.ActivationError("x"), False),
        (errors.ShardError("x"), False),
        (errors.WarehouseError("x"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: Exception, again: bool) -> None:
    from flows.extract import extract_slice, open_run
    from flows.retries import can_get_better

    state: Any = Failed(data=error)
    run: Any = None
    assert can_get_better(extract_slice, run, state) is again
    assert extract_slice.retry_condition_fn is open_run.retry_condition_fn is can_get_better
    assert extract_slice.retries == 2


def test_a_damaged_shard_fails_its_task_and_no_other(
    server: str, tars: Path, tmp_path: Path
) -> None:
    from flows.extract import extract_flow

    copies = [Path(shutil.copy(tars / f"{n:05d}.tar", tmp_path)) for n in range(3)]
    warehouse = make_warehouse(tmp_path, copies)
    size = copies[1].stat().st_size
    copies[1].write_bytes(b"\0" * size)

    state = extract_flow(make_config(warehouse), shards_per_task=1, return_state=True)
    assert state.is_failed()
    assert "00001" in (state.message or "")
    with pytest.raises(errors.ShardError, match="00001"):
        state.result()
    runs = task_runs(state.state_details.flow_run_id)
    assert {name: runs[f"shard {name}"].state_name for name in "012"} == {
        "0": "Completed",
        "1": "Failed",
        "2": "Completed",
    }
    assert runs["shard 1"].run_count == 1, "a damaged shard is not tried again"
    table = json.loads(artifacts(state.state_details.flow_run_id)["d-r-shards"].data)
    assert [(row["shard"], row["status"]) for row in table] == [
        ("00001", "failed"),
        ("00000", "done"),
        ("00002", "done"),
    ]
    assert table[0]["error"]


def test_a_wrong_layer_fails_before_any_slice(server: str, tars: Path, tmp_path: Path) -> None:
    from flows.extract import extract_flow

    config = make_config(make_warehouse(tmp_path, [tars / "00000.tar"]))
    wrong = type(config)(**{**vars(config), "layers": ("visual.layer9",)})
    state = extract_flow(wrong, return_state=True)
    assert state.is_failed()
    assert "visual.layer9" in (state.message or "")
    runs = task_runs(state.state_details.flow_run_id)
    assert [run.run_count for run in runs.values()] == [1]


def test_a_place_that_comes_back_is_tried_again(server: str, tars: Path, tmp_path: Path) -> None:
    from prefect.client.orchestration import get_client

    from flows.extract import extract_flow

    warehouse = make_warehouse(tmp_path, [tars / "00000.tar"])
    obstacle = Path(warehouse) / "dataset=d/run_id=r/activations"
    obstacle.parent.mkdir()
    obstacle.write_text("a file where a folder should be")

    def clear() -> None:
        with get_client(sync_client=True) as client:
            wait_for(
                lambda: any(run.state_name == "AwaitingRetry" for run in client.read_task_runs())
            )
            obstacle.unlink()

    helper = threading.Thread(target=contextvars.copy_context().run, args=(clear,))
    helper.start()
    state = extract_flow(make_config(warehouse), return_state=True)
    helper.join()
    assert state.is_completed(), state.message
    assert task_runs(state.state_details.flow_run_id)["shard 0"].run_count == 2


@pytest.mark.parametrize(
    "runner",
    [ThreadPoolTaskRunner[Any](max_workers=4), ProcessPoolTaskRunner(max_workers=1)],
    ids=["threads", "processes"],
)
def test_any_task_runner_gives_the_same(
    server: str, tars: Path, tmp_path: Path, expected: dict[str, Any], runner: Any
) -> None:
    """Four threads share one model and its hooks: without their lock they would mix activations. Of several
    processes at once, `test_flow_runners.py` tells."""
    from flows.extract import extract_flow

    warehouse = make_warehouse(tmp_path, [tars])
    parallel = extract_flow.with_options(task_runner=runner)
    assert parallel(make_config(warehouse), shards_per_task=1) == "r"
    assert_same(read_activations(warehouse), expected)


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    different = [path for path, table in expected.items() if not found[path].equals(table)]
    assert not different


# Killed as soon as the record of its first shard has its name.
CHILD = """
import json, os, signal, sys
replace = os.replace

def replace_and_die(source, target):
    replace(source, target)
    if "/manifests/" in str(target) and "run_id=" in str(target):
        os.kill(os.getpid(), signal.SIGKILL)

os.replace = replace_and_die
from flows.extract import extract_flow
from pipeline.base.settings import ExtractConfig
fields = json.loads(sys.argv[1])
extract_flow(ExtractConfig(**{**fields, "layers": tuple(fields["layers"])}), shards_per_task=2)
"""


def test_killed_in_the_middle_and_run_again(
    server: str, tars: Path, tmp_path: Path, expected: dict[str, Any]
) -> None:
    from flows.extract import extract_flow

    warehouse = make_warehouse(tmp_path, [tars])
    config = make_config(warehouse)
    manifests = Path(warehouse) / "dataset=d/run_id=r/manifests"
    child = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(vars(config))],
        cwd=ROOT,
        env=environment(server),
        capture_output=True,
        text=True,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    done = {file.name: file.stat().st_mtime_ns for file in manifests.glob("*.json")}
    assert 1 <= len(done) < 6, "it was not killed in the middle"

    state = extract_flow(config, shards_per_task=2, return_state=True)
    assert state.is_completed(), state.message
    after = {file.name: file.stat().st_mtime_ns for file in manifests.glob("*.json")}
    assert len(after) == 6
    assert {name: after[name] for name in done} == done, "a shard was done twice"
    assert_same(read_activations(warehouse), expected)
    table = json.loads(artifacts(state.state_details.flow_run_id)["d-r-shards"].data)
    assert sum(row["written"] for row in table) == 72


def test_limits_are_named_after_host_and_device() -> None:
    from flows.extract import device_limits

    assert device_limits("cpu") == []
    with pytest.raises(errors.DeviceError):
        device_limits("cuda:99")
