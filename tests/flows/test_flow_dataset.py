from __future__ import annotations

import json
from pathlib import Path

import pytest
from flow_making import artifacts, task_runs

from pipeline.tables.checked import MEMORY

pytestmark = pytest.mark.flows


def write_job(folder: Path, tars: Path) -> str:
    job = folder / "job.toml"
    job.write_text(
        f"""
        warehouse = "{folder}/warehouse"
        dataset = "d"

        [ingest]
        source = "webdataset"
        paths = ["{tars}"]

        [extract]
        model = "RN-demo:random"
        layers = ["goh2021"]
        run = "r"
        device = "cpu"
        """
    )
    return str(job)


def times(warehouse: Path) -> dict[str, int]:
    """Of all files but locks and what a check remembers."""
    files = (file for file in warehouse.rglob("*") if file.is_file() and file.suffix != ".lock")
    return {str(file): file.stat().st_mtime_ns for file in files if file.name != MEMORY}


def test_the_whole_job_and_a_second_run_that_does_nothing(
    server: str, tars: Path, tmp_path: Path
) -> None:
    from flows.dataset import dataset_flow

    job, warehouse = write_job(tmp_path, tars), tmp_path / "warehouse"
    state = dataset_flow(job, shards_per_task=4, return_state=True)
    assert state.is_completed(), state.message
    assert state.result() == ["summaries/d-r.md"]

    run_id = state.state_details.flow_run_id
    assert {"shards 0-3", "shards 4-5"} <= task_runs(run_id).keys()
    shown = artifacts(run_id)
    assert shown.keys() == {"d-r-shards", "d-r-progress", "d-r-summary", "checks"}
    table = json.loads(shown["d-r-shards"].data)
    assert [row["shard"] for row in table] == [f"{n:05d}" for n in range(6)]
    for row in table:
        assert (row["status"], row["read"], row["written"], row["rejected"]) == ("done", 12, 12, 0)
        assert float(row["images/s"]) > 0
        assert row["seconds"] > 0
    assert float(shown["d-r-progress"].data) == 100
    page = shown["d-r-summary"].data
    assert "72 read, 72 written, 0 rejected" in page
    assert f"({warehouse.as_uri()}/dataset=d/run_id=r/run.json)" in page
    checks = {row["check"]: row["violations"] for row in json.loads(shown["checks"].data)}
    assert checks["check_files"] == checks["check_counts"] == 0

    summary = json.loads((warehouse / "summaries/d-r.json").read_text())
    assert (summary["run_id"], summary["shard_count"], summary["written_count"]) == ("r", 6, 72)
    for line in (warehouse / "summaries/d-r.md").read_text().splitlines():
        if line.startswith("Links: "):
            targets = [part.split(")")[0] for part in line.split("](")[1:]]
            assert targets
            assert all((warehouse / "summaries" / target).exists() for target in targets)

    before = times(warehouse)
    again = dataset_flow(job, return_state=True)
    assert again.is_completed(), again.message
    assert times(warehouse) == before
    table = json.loads(artifacts(again.state_details.flow_run_id)["d-r-shards"].data)
    assert {(row["status"], row["images/s"]) for row in table} == {("done", "")}


def test_build_flow_fails_on_violations(server: str, tars: Path, tmp_path: Path) -> None:
    from flow_making import make_warehouse

    from flows.build import build_flow
    from pipeline.base.errors import WarehouseError

    warehouse = make_warehouse(tmp_path, [tars])
    build_flow(warehouse)
    examples = sorted(Path(warehouse).glob("dataset=d/examples/*.parquet"))
    examples[-1].unlink()  # of a dataset whose first file is gone nothing is read at all
    with pytest.raises(WarehouseError, match="check_files"):
        build_flow(warehouse)
