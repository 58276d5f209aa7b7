from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from flow_making import artifacts, task_runs
from probing import COLOURS, TEXTS, attack_samples, ingest_stimuli, probe_config, stroop_samples

import pipeline
from pipeline.base.effect_settings import AblationConfig, EffectConfig
from pipeline.base.errors import WarehouseError
from pipeline.base.settings import ClassChoice
from pipeline.base.visualise_settings import VisualiseConfig

pytestmark = pytest.mark.flows


def test_attack_and_stroop_flows_and_a_second_run(server: str, tmp_path: Path) -> None:
    from flows.stroop import stroop_flow
    from flows.typographic import attack_flow

    warehouse = ingest_stimuli(tmp_path, a=attack_samples(3), c=stroop_samples())
    config = probe_config(warehouse)
    state = attack_flow(config, return_state=True)
    assert state.is_completed(), state.message
    run_id = state.state_details.flow_run_id
    assert {"shards 0-1"} <= task_runs(run_id).keys()
    assert any(name.startswith("classify run") for name in task_runs(run_id))
    table = json.loads(artifacts(run_id)["d-r-attack-1"].data)
    assert sorted(row["text"] for row in table) == sorted(TEXTS)
    assert "RANDOM" in artifacts(run_id)["d-r-attack-1"].description

    choice = ClassChoice(templates=("{}",), class_set="colours")
    assert stroop_flow(config, choice) == "colours"
    with pipeline.connect(warehouse) as connection:
        cells = connection.execute("select ink_name, word_name, class_set from stroop_cells")
        found = cells.fetchall()
    assert len(found) == len(COLOURS) * (len(COLOURS) + 1)
    assert {row[2] for row in found} == {"colours"}

    files = {f: f.stat().st_mtime_ns for f in Path(warehouse).rglob("*.parquet")}
    again = attack_flow(config, return_state=True)
    assert again.result() == state.result()
    assert {f: f.stat().st_mtime_ns for f in Path(warehouse).rglob("*.parquet")} == files


def test_effects_ablations_and_pictures_are_flows_too(server: str, tmp_path: Path) -> None:
    from flows.effects import ablate_flow, effect_flow
    from flows.typographic import attack_flow
    from flows.visualise import visualise_flow

    warehouse = ingest_stimuli(tmp_path, a=attack_samples(8))
    extract = replace(probe_config(warehouse), model="nano")
    attack_flow(extract, ClassChoice(class_set="attack"))
    where = {"warehouse": warehouse, "dataset": "d", "run": "r", "device": "cpu"}
    ablate = AblationConfig(**where, counts=(1,), draws=1, images=2)
    state = ablate_flow(ablate, return_state=True)
    (task,) = task_runs(state.state_details.flow_run_id)
    assert task.startswith("ablate neurons")
    (line,) = state.result()
    assert "class set attack" in line and "1 of them tried now" in line
    assert ", 0 of them tried now" in ablate_flow(ablate)[0]
    effect = EffectConfig(**where, neurons="all", hidden=1, shown=1, levels=(0.0, 2.0))
    state = effect_flow(effect, return_state=True)
    (task,) = task_runs(state.state_details.flow_run_id)
    assert task.startswith("measure effects")
    assert "neurons on" in state.result()[0]
    pictures = VisualiseConfig(**where, units=(29,), steps=2)
    state = visualise_flow(pictures, return_state=True)
    (task,) = task_runs(state.state_details.flow_run_id)
    assert task.startswith("draw pictures")
    assert "1 pictures, 1 of them drawn now" in state.result()[0]
    assert ", 0 of them drawn now" in visualise_flow(pictures)[0]


def test_a_dataset_without_stimuli_fails_before_any_task(
    server: str, tars: Path, tmp_path: Path
) -> None:
    from flow_making import make_config, make_warehouse

    from flows.stroop import stroop_flow

    config = make_config(make_warehouse(tmp_path, [tars / "00000.tar"]))
    state = stroop_flow(config, return_state=True)
    assert state.is_failed()
    assert task_runs(state.state_details.flow_run_id) == {}
    with pytest.raises(WarehouseError, match="no stroop stimuli"):
        state.result()
