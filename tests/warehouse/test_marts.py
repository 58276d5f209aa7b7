"""Marts: what a view would answer, built when something changed, never used when damaged."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from textures import make_warehouse, write_textures

import pipeline
from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep, LabelSettings
from pipeline.base.storage import Store
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest
from pipeline.tables.computed import DERIVED
from pipeline.upkeep.build import build
from pipeline.upkeep.compact import compact
from pipeline.warehouse.connect import connect, open_views, take_whole_inventory
from pipeline.warehouse.fresh import Marts, find_marts
from pipeline.warehouse.last_build import read_build
from pipeline.warehouse.views import MATERIALISED, load_views

QUICK = LabelSettings(label_null_repeats=0)
"""Without permutations, which nobody asks about here."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of a narrow layer, built."""
    place = make_warehouse(tmp_path_factory.mktemp("marts"), ("visual.layer1.0",))
    build(place, QUICK)
    return place


@pytest.fixture
def place(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "warehouse"))


def connect_without(place, name):
    """As a build is when it comes to a mart: all below it is there."""
    store = Store(place)
    inventory, last = take_whole_inventory(store), read_build(store)
    assert last is not None
    marts = find_marts(inventory, last.settings, last)
    above = MATERIALISED[MATERIALISED.index(name) :]
    kept = {
        part: {one: path for one, path in found.items() if one not in above}
        for part, found in marts.files.items()
    }
    return open_views(inventory, last.settings, Marts(kept))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MATERIALISED if name not in DERIVED])
def test_a_mart_is_what_its_view_would_answer(tiny_warehouse, name):
    def answer(connection):
        (sql,) = connection.execute(
            "select macro_definition from duckdb_functions() where function_name = $name",
            {"name": f"source_{name}"},
        ).fetchall()[0]
        return "marts/" in sql, connection.execute(f"from {name} order by all").fetchall()

    with connect(tiny_warehouse) as built, connect_without(tiny_warehouse, name) as computed:
        (is_read, rows), (is_read_too, others) = answer(built), answer(computed)
    assert is_read and not is_read_too
    assert rows == others


@pytest.mark.slow
def test_build_does_nothing_twice_and_notices_what_changed(place):
    shutil.rmtree(place / "marts")
    assert not build(place, QUICK).was_current
    assert build(place).was_current
    assert not build(place, replace(QUICK, label_top_k=5)).was_current
    with connect(place) as connection:  # the settings of the last build hold
        assert connection.execute("select label_top_k from settings").fetchall() == [(5,)]
    compact(str(place))
    assert build(place).was_current, "compaction changes no answer"
    config = ExtractConfig(
        str(place), "textures", "RN-demo:random", ("visual.layer2.0",), device="cpu"
    )
    extract(config)
    with connect(place) as connection:  # marts are stale: the views answer, and see the new run
        count = "select count(distinct run_id) from neuron_stats"
        assert connection.execute(count).fetchall() == [(2,)]
    assert not build(place).was_current


def test_views_script_gives_the_same_without_us(tiny_warehouse):
    script = (tiny_warehouse / "views.sql").read_text(encoding="utf-8")
    code = (
        "import duckdb, sys; con = duckdb.connect(); con.execute(sys.stdin.read()); "
        "print(con.execute('select count(*), sum(activation) from activations').fetchall(), "
        "con.execute('select count(*) from neuron_labels').fetchall())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        input=script,
        cwd=tiny_warehouse,
        capture_output=True,
        text=True,
        check=True,
    )
    with connect(tiny_warehouse) as connection:
        sums = connection.execute("select count(*), sum(activation) from activations").fetchall()
        labels = connection.execute("select count(*) from neuron_labels").fetchall()
    count, total = eval(run.stdout.split(" [")[0])[0]
    assert count == sums[0][0]
    assert total == pytest.approx(sums[0][1])
    assert f"[({labels[0][0]},)]" in run.stdout


@pytest.mark.slow
def test_a_build_writes_the_data_dictionary_and_leaves_the_notes_of_others(place, caplog):
    text = (place / "README.md").read_text(encoding="utf-8")
    for view in load_views():
        assert view.topic == "staging" or f"{view.name}]" in text or f"| {view.name} |" in text
    (place / "README.md").unlink()
    (place / "README.md.tmp-0123abcd").write_text("half")
    assert build(place).was_current
    assert (place / "README.md").read_text(encoding="utf-8") == text, (
        "written again where it is gone"
    )
    assert not (place / "README.md.tmp-0123abcd").exists()
    (place / "README.md").write_text("# My notes")
    build(place)
    assert (place / "README.md").read_text() == "# My notes"
    assert "README.md is not ours" in caplog.text


@pytest.mark.slow
def test_a_damaged_mart_is_not_used_and_built_again(place):
    with connect(place) as connection:
        before = connection.execute("from neuron_concepts order by all").fetchall()
    for harm in (
        lambda file: file.write_bytes(file.read_bytes()[:-50]),
        lambda file: file.unlink(),
    ):
        harm(next(place.glob("marts/*/*/neuron_concepts-*.parquet")))
        with connect(place) as connection:
            assert connection.execute("from neuron_concepts order by all").fetchall() == before
        assert not build(place).was_current
        assert build(place).was_current


@pytest.mark.slow
def test_a_dataset_without_a_run_can_be_asked(tmp_path):
    tars = write_textures(tmp_path / "tars", 1, 5)
    place = str(tmp_path / "warehouse")
    ingest(IngestConfig(place, "textures"), IngestStep("webdataset", (str(tars),)))
    with pipeline.connect(place) as connection:
        for view in load_views():
            connection.execute(f"select count(*) from {view.name}")
        assert connection.execute("select count(*) from examples").fetchall() == [(5,)]
        assert connection.execute("select count(*) from neuron_labels").fetchall() == [(0,)]
    assert build(place).row_counts["tested_labels"] == 0
