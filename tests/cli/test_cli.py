"""The command line as a user meets it: real processes, exit statuses, messages without tracebacks."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys

import pytest
from PIL import Image
from pressing import press_when_it_begins
from textures import write_textures
from typer.testing import CliRunner
from waiting import LIMIT_S

from pipeline.cli.app import app

pytestmark = pytest.mark.slow

NEURONS = [sys.executable, "-m", "pipeline.cli"]


def neurons(
    *arguments: object, code: int = 0, **options: object
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own and check its exit status."""
    run = subprocess.run(
        [*NEURONS, *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT_S, **options
    )
    assert run.returncode == code, run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    return run


@pytest.mark.slow
def test_the_whole_job_from_the_shell(tmp_path, invoke):
    tars = write_textures(tmp_path / "tars", 2, 20)
    place = tmp_path / "warehouse"
    here = ("--warehouse", place)
    out = neurons("ingest", "webdataset", tars, *here, "--dataset", "t").stdout
    assert "2 shards, 40 read = 40 written + 0 rejected" in out
    run = ("extract", *here, "--dataset", "t", "--model", "RN-demo:random", "--device", "cpu")
    run = (*run, "--layer", "goh2021", "--batch-size", 16, "--workers", 2)
    dry, _ = invoke(*run, "--dry-run")
    assert "2 shards, 40 images to do" in dry
    assert "B of disk" in dry
    assert not list(place.glob("dataset=t/run_id=*")), "a dry run writes nothing"
    first = neurons(*run)
    assert "40 read = 40 written + 0 rejected" in first.stdout
    assert first.stderr.count("images/s") == 2, "one line a shard in a log"
    assert "ETA" in first.stderr
    assert "2 of 2 shards were done" in invoke(*run)[0]
    assert "tested_labels: 256 rows" in invoke("build", *here)[0]
    assert "ok    check_counts: 0" in invoke("check", *here)[0]
    assert "1 runs compacted" in invoke("compact", *here)[0]
    layer = "visual.layer4.0.act3"
    sheet = tmp_path / "sheet.png"
    top = neurons("top", *here, "--layer", layer, "--unit", 3, "-k", 5, "--sheet", sheet).stdout
    assert "unit 3  positive" in top
    with Image.open(sheet) as image:
        assert image.format == "PNG"
        assert image.width > 300


def test_sql_in_every_form(tiny_warehouse, tmp_path, invoke):
    query = "select unit, layer from neuron_stats order by layer, unit limit 3"
    here = ("--warehouse", tiny_warehouse)
    out, _ = invoke("sql", *here, query, "--format", "csv")
    assert list(csv.DictReader(io.StringIO(out)))[2]["unit"] == "2"
    out, _ = invoke("sql", *here, query, "--format", "json")
    assert [row["unit"] for row in json.loads(out)] == [0, 1, 2]
    out, _ = invoke("sql", *here, query)
    assert "unit" in out
    file = tmp_path / "out.parquet"
    invoke("sql", *here, query, "--format", "parquet", "--out", file)
    import pyarrow.parquet as pq

    assert pq.read_table(file)["unit"].to_pylist() == [0, 1, 2]
    for form in ("csv", "json", "table", "vertical"):
        invoke("sql", *here, query, "--format", form, "--out", tmp_path / f"out.{form}")
        assert (tmp_path / f"out.{form}").stat().st_size > 20
    _, err = invoke("sql", *here, query, "--format", "parquet", code=2)
    assert "--out FILE.parquet" in err


def test_top_by_path_polarity_and_its_errors(tiny_warehouse, invoke):
    here = ("--warehouse", tiny_warehouse)
    out, _ = invoke("top", *here, "--layer", "visual.layer3.0", "--unit", 5, "-k", 3)
    assert "visual.layer3.0:output:max  unit 5  positive" in out
    text = "transformer.resblocks.1.mlp.gelu"
    out, _ = invoke("top", *here, "--layer", text, "--unit", 1, "--polarity", "negative")
    assert "negative" in out
    _, err = invoke("top", *here, "--layer", "visual.layer9", "--unit", 5, code=2)
    assert "has a layer 'visual.layer9'" in err
    assert "visual.layer3.0:output:max" in err
    _, err = invoke("top", *here, "--layer", "visual.layer3.0", "--unit", 128, code=2)
    assert "Its units are 0 to 127" in err


def test_a_wrong_option_is_a_usage_error():
    result = CliRunner().invoke(app, ["extract", "--no-such-option"])
    assert result.exit_code == 2
    assert CliRunner().invoke(app, ["sql", "select 1"]).exit_code == 2  # no --warehouse


def test_wrong_arguments_are_told_by_the_command_itself():
    assert "Missing" in neurons("sql", code=2).stderr
    assert "No such option" in neurons("build", "--no-such-option", code=2).stderr
    assert "No such command" in neurons("bild", code=2).stderr
    assert neurons("--version").stdout.strip() == "0.1.0"
    assert "extract" in neurons("--help").stdout


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(tiny_warehouse, tmp_path):
    import shutil

    place = tmp_path / "warehouse"
    shutil.copytree(tiny_warehouse, place)
    command = ["extract", "--warehouse", str(place), "--dataset", "textures", "--device", "cpu"]
    command += ["--model", "RN-demo:random", "--layer", "visual.layer2.0", "--batch-size", "1"]
    run = press_when_it_begins(*command)
    assert run.returncode == 130, run.stderr
    assert "Interrupted. Finished shards are kept" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_warehouse_may_come_from_the_environment(tiny_warehouse):
    env = {**os.environ, "NEURONS_WAREHOUSE": str(tiny_warehouse)}
    out = neurons("sql", "select count(*) as n from examples", "--format", "csv", env=env).stdout
    assert out.split() == ["n", "120"]


def test_layers_are_listed_with_units_and_pooling(invoke):
    out, _ = invoke("layers", "RN-demo:random")
    assert "visual.layer4.0.act3" in out
    assert "256" in out
    assert "output:max" in out
    assert "goh2021" in out
    assert "Model RN-demo:random (RANDOM weights), set up as in the architecture RN-demo" in out
    assert "activation functions: ReLU in the image tower, GELU in the text tower" in out
    assert "64 x 64 pixels, mean 0.4815 0.4578 0.4082" in out


@pytest.mark.slow
def test_one_file_runs_everything(tmp_path, invoke):
    tars = write_textures(tmp_path / "tars", 1, 12)
    config = tmp_path / "job.toml"
    config.write_text(
        f"""
        warehouse = "{tmp_path / "warehouse"}"
        dataset = "t"

        [ingest]
        source = "webdataset"
        paths = ["{tars}"]
        max_reject_frac = 0.1

        [[extract]]
        model = "RN-demo:random"
        layers = ["visual.layer3.0"]
        device = "cpu"

        [labels]
        label_top_k = 10
        """
    )
    out, _ = invoke("run", config)
    assert "12 images" in out
    assert "0 violations" in out
    out, _ = invoke("run", config)
    assert "1 of 1 shards were done already" in out


def test_a_reader_that_goes_away_is_no_error(tiny_warehouse):
    command = [*NEURONS, "sql", "--warehouse", str(tiny_warehouse), "--format", "csv"]
    query = "select * from activations"
    with subprocess.Popen(
        [*command, query], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
        assert process.wait() == 0
