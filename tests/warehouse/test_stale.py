"""Marts older than the data are said before a long question; label settings from the command line."""

from __future__ import annotations

import json
import logging
import shutil
from types import MappingProxyType

import pytest

import pipeline
from pipeline.base import warn
from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.job_file import change_labels, load_labels
from pipeline.base.settings import LabelSettings
from pipeline.cli.query import run_query
from pipeline.warehouse.connect import connect
from pipeline.warehouse.stale import rests_on, tell_stale

pytestmark = pytest.mark.slow

LAYER_FILES = "dataset=*/run_id=*/manifests/00000.json"


@pytest.fixture(scope="module")
def stale(tiny_warehouse, tmp_path_factory):
    """The data have one image less than what was built from: a shard of the run is not there."""
    place = tmp_path_factory.mktemp("stale") / "warehouse"
    shutil.copytree(tiny_warehouse, place)
    next(place.glob(LAYER_FILES)).unlink()
    return place


@pytest.fixture
def said(caplog):
    """What was said in this test."""
    warn._said.clear()
    caplog.set_level(logging.WARNING, "pipeline")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    "query",
    [
        "from neuron_stats limit 1",
        "with a as (select count(*) from neuron_concepts) select * from a, runs",
        "create temp table t as select * from label_baselines limit 0",
    ],
)
def test_a_costly_question_says_that_marts_are_older(stale, said, query, tmp_path):
    run_query(str(stale), query, "csv", tmp_path / "out.csv")
    (line,) = said()
    assert line.startswith("The marts are older than 1 run (textures/")
    assert line.endswith("Build them: neurons build")
    with pytest.raises(WarehouseError, match=r"older than 1 run.*needs"):
        run_query(str(stale), query, "csv", tmp_path / "out.csv", "stop")


@pytest.mark.parametrize(
    "query", ["select count(*) from activations", "describe neuron_stats", "select 1"]
)
def test_a_cheap_question_says_nothing(stale, said, query, tmp_path):
    run_query(str(stale), query, "csv", tmp_path / "out.csv", "stop")
    assert said() == []


def test_current_marts_say_nothing(tiny_warehouse, said, tmp_path):
    run_query(str(tiny_warehouse), "from neuron_stats limit 1", "csv", tmp_path / "o", "stop")
    with pipeline.connect(tiny_warehouse):
        assert said() == []


def test_python_is_told_when_it_connects(stale, said, tmp_path, monkeypatch):
    with pipeline.connect(stale) as connection:
        assert len(said()) == 1
        assert connection.execute("select 1").fetchall() == [(1,)]
    monkeypatch.setenv("NEURONS_STALE", "stop")
    with connect(stale) as connection:
        tell_stale(connection, ["activations"])
        with pytest.raises(WarehouseError, match="neurons build"):
            tell_stale(connection, ["neuron_labels"])


def test_a_warehouse_without_marts_says_so(stale, said, tmp_path):
    place = tmp_path / "warehouse"
    shutil.copytree(stale, place)
    shutil.rmtree(place / "marts")
    run_query(str(place), "from neuron_stats limit 1", "csv", tmp_path / "out.csv")
    assert said()[0].startswith("No marts are built: neuron_stats will be computed")


def test_what_a_view_rests_on():
    assert rests_on(["activations", "runs"]) == []
    assert rests_on(["neuron_stats"]) == ["neuron_stats"]
    assert "facet_aurocs" in rests_on(["neuron_facets"])
    assert {"neuron_stats", "top_examples", "neuron_enrichments"} <= set(rests_on(["run_summary"]))


# --- settings of a build -------------------------------------------------------------------------


def test_settings_are_changed_by_name():
    changed = change_labels(
        LabelSettings(label_top_k=7),
        ["label_null_repeats=20", "label_max_q = 0.01", "label_origins=texts,similarity"],
    )
    assert changed == LabelSettings(
        label_top_k=7,
        label_null_repeats=20,
        label_max_q=0.01,
        label_origins=("texts", "similarity"),
    )
    kinds = change_labels(LabelSettings(), ['text_kinds=["page"]', "default_language=fr"])
    assert (kinds.text_kinds, kinds.default_language) == (("page",), "fr")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("label_null_repeat=20", "Did you mean 'label_null_repeats'"),
        ("label_null_repeats", "gives no value"),
        ("label_null_repeats=", "gives no value"),
        ("label_null_repeats=many", "must be a whole number"),
        ("label_null_repeats=2.5", "must be a whole number"),
        ("label_null_repeats=true", "must be a whole number"),
        ("label_null_repeats=-1", "0 or more"),
        ("label_max_q=7", "from 0 to 1"),
        ("label_max_q=nan", "from 0 to 1"),
        ("label_origins=mind", "some of: stimulus, texts, similarity"),
        ("text_kinds=[1]", "a list of some of: caption"),
    ],
)
def test_a_wrong_setting_is_told(change, message):
    with pytest.raises(ConfigError) as told:
        change_labels(LabelSettings(), [change])
    assert message in str(told.value)


def test_labels_of_a_job_file(tmp_path):
    job = tmp_path / "job.toml"
    job.write_text("[labels]\nlabel_top_k = 9\n")
    assert load_labels(job) == (LabelSettings(label_top_k=9), None)
    job.write_text('warehouse = "w"\ndataset = "d"\n[labels]\nlabel_topk = 9\n')
    with pytest.raises(ConfigError, match="label_topk"):
        load_labels(job)


def test_the_command_takes_them(tiny_warehouse, tmp_path, monkeypatch, capsys):
    from pipeline.cli.app import main

    monkeypatch.delenv("NEURONS_WAREHOUSE", raising=False)
    seen = []
    monkeypatch.setattr(
        "pipeline.upkeep.build.build",
        lambda place, labels, progress: seen.append((place, labels)) or Done,
    )

    class Done:
        row_counts = MappingProxyType({})
        was_current = False
        settled = ()
        made = ()
        grown = frozenset()

    job = tmp_path / "job.toml"
    job.write_text(f"warehouse = {json.dumps(str(tiny_warehouse))}\n[labels]\nlabel_top_k = 9\n")
    for arguments, code in (
        (["--config", str(job), "--set", "label_null_repeats=20"], 0),
        (["--config", str(job), "--warehouse", str(tiny_warehouse)], 0),
        (["--warehouse", str(tiny_warehouse), "--set", "label_min_count=4"], 0),
        (["--warehouse", str(tiny_warehouse)], 0),
        ([], 2),
        (["--config", str(job), "--set", "nonsense=1"], 2),
    ):
        monkeypatch.setattr("sys.argv", ["neurons", "build", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        assert (stop.value.code or 0) == code, capsys.readouterr()
    place = str(tiny_warehouse)
    assert seen == [
        (place, LabelSettings(label_top_k=9, label_null_repeats=20)),
        (place, LabelSettings(label_top_k=9)),
        (place, LabelSettings(label_min_count=4)),
        (place, None),
    ]
