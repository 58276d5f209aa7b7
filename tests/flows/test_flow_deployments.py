from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from flow_making import (
    ROOT,
    background,
    environment,
    make_config,
    make_warehouse,
    read_crons,
    run_prefect,
)
from waiting import LIMIT_S, wait_for

pytestmark = pytest.mark.flows


def test_prefect_yaml_deploys_and_a_worker_runs_it(server: str, tars: Path, tmp_path: Path) -> None:
    run_prefect("work-pool", "create", "neurons", "--type", "process", "--overwrite")
    # In a process of its own: it imports our flows anew.
    deploy = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    deployed = subprocess.check_output(deploy, cwd=ROOT, env=environment(server), text=True)
    manual = (
        *("extract", "attack", "stroop", "effect", "ablate", "facet-probes", "visualise"),
        *("build", "dataset"),
    )
    for name in (*(f"{flow}/manual" for flow in manual), "dataset/nightly"):
        assert f"Deployment '{name}' successfully created" in deployed
    assert read_crons("dataset/nightly") == ["0 2 * * *"]

    warehouse = make_warehouse(tmp_path, [tars / "00000.tar"])
    parameters = json.dumps({"config": vars(make_config(warehouse))})
    worker = ("-m", "prefect", "worker", "start", "--pool", "neurons", "--limit", "1")
    with background(server, *worker, log=tmp_path / "worker.log"):
        run = ("deployment", "run", "extract/manual", "--params", parameters)
        run_prefect(*run, "--watch", "--watch-timeout", str(LIMIT_S))
    assert (Path(warehouse) / "dataset=d/run_id=r/manifests/00000.json").exists()


def test_flows_serve_runs_the_nightly_job(server: str, tars: Path, tmp_path: Path) -> None:
    job = tmp_path / "job.toml"
    job.write_text(
        f'warehouse = "{tmp_path}/warehouse"\ndataset = "d"\n'
        f'[ingest]\nsource = "webdataset"\npaths = ["{tars}/00001.tar"]\n'
        '[extract]\nmodel = "RN-demo:random"\nlayers = ["goh2021"]\nrun = "r"\ndevice = "cpu"\n'
    )
    log = tmp_path / "serve.log"
    serving = ("-m", "flows.serve", str(job), "--cron", "30 3 * * *")
    with background(server, *serving, log=log) as process:
        wait_for(lambda: "dataset/nightly" in log.read_text(), process, log.read_text)
        run_prefect(
            "deployment", "run", "dataset/nightly", "--watch", "--watch-timeout", str(LIMIT_S)
        )
        assert read_crons("dataset/nightly") == ["30 3 * * *"]
    assert (tmp_path / "warehouse/summaries/d-r.md").exists()
