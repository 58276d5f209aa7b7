"""``neurons effect`` on nano: the planted neurons push what they were planted for; what is done stays done."""

from __future__ import annotations

import shutil

import pytest

from pipeline.base.effect_settings import EffectConfig
from pipeline.base.errors import ConfigError, HookError, WarehouseError
from pipeline.base.storage import Store
from pipeline.effects.run import measure_effects
from pipeline.tables.audit import audit_warehouse
from pipeline.warehouse.connect import connect

pytestmark = pytest.mark.slow

LAYER = "visual.layer4.0.act3"


@pytest.fixture(scope="module")
def place(plain_demo, tmp_path_factory):
    place = tmp_path_factory.mktemp("effects") / "warehouse"
    shutil.copytree(plain_demo / "warehouse", place)
    return place


@pytest.fixture(scope="module")
def run_id(place):
    with connect(place) as con:
        ((run_id,),) = con.execute("select run_id from runs where dataset = 'demo'").fetchall()
    return run_id


@pytest.fixture(scope="module")
def few(place, run_id):
    """A measurement of a few neurons on few examples."""

    def make(*units, **changes):
        where = {"warehouse": str(place), "dataset": "demo", "run": run_id, "units": units}
        counts = {"hidden": 6, "shown": 2, "levels": (0.0, 2.0), "device": "cpu"}
        return EffectConfig(**where | counts | changes)

    return make


def rows_of(place, query):
    with connect(place) as con:
        return con.execute(query).fetchall()


def test_labels_that_all_methods_agree_on_are_pushed_most_and_others_seldom(place, few):
    """Of ten labels that one method alone chose next to none is; a random direction and a random other concept
    are the control, and lose."""
    units = rows_of(
        place,
        """
        select unit, agreement from neuron_labels
        where dataset = 'demo' and agreement in (1, 3)
        qualify row_number() over (partition by agreement order by sample_priority(unit)) <= 30
        """,
    )
    agreement = dict(units)
    (done,) = measure_effects(few(*sorted(agreement)))
    assert (done.neuron_count, done.new_count) == (60, 60)
    rows = rows_of(
        place,
        """
        select
            unit, label_rank, direction_rank, other_rank, faithfulness, direction_faithfulness,
            other_faithfulness, loss, direction_loss
        from neuron_effects where dataset = 'demo'
        """,
    )
    assert len(rows) == 60
    mine = {n: [row for row in rows if agreement[row[0]] == n] for n in (1, 3)}
    first = {n: sum(row[1] == 1 for row in mine[n]) / 30 for n in (1, 3)}
    assert first[3] > 0.95 and first[1] < 0.4
    assert sum(row[2] == 1 for row in rows) / 60 < 0.1
    assert sum(row[3] == 1 for row in rows) / 60 < 0.1

    def mean(n, column):
        return sum(row[column] for row in mine[n]) / 30

    assert mean(3, 4) > 0.5 > 0.25 > mean(1, 4)
    assert mean(3, 5) < 0.1 and mean(3, 6) < 0.1
    assert mean(3, 7) > 0.03 > abs(mean(3, 8)), "it is missed, the direction is not"


def test_what_is_measured_stays_and_only_what_is_new_is_done(place, few):
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*effects/layer=*/*.parquet")}
    (first,) = rows_of(place, "select min(unit) from neuron_effects")
    ((known,),) = rows_of(place, "select count(*) from neuron_effects")
    query = f"from concept_effects where unit = {first[0]} order by all"
    was = rows_of(place, query)
    (again,) = measure_effects(few(first[0]))
    assert (again.neuron_count, again.new_count) == (known, 0)
    assert before == {p: p.stat().st_mtime_ns for p in place.rglob("*effects/layer=*/*.parquet")}
    ((free,),) = rows_of(
        place,
        f"select min(unit) from neuron_labels where dataset = 'demo' and not is_labelled "
        f"and unit // 64 = {first[0]} // 64",
    )
    (more,) = measure_effects(few(free))
    assert (more.neuron_count, more.new_count) == (known + 1, 1)
    assert rows_of(place, query) == was
    ((label, pushed),) = rows_of(
        place, f"select concept, pushed_concept from neuron_effects where unit = {free}"
    )
    assert label is None and pushed is not None


def test_finished_blocks_of_a_killed_attempt_are_taken_up(place, few):
    (done,) = measure_effects(few(29, 192, seed=1))
    assert (done.neuron_count, done.new_count) == (2, 2), "of another seed: not mixed with the rest"
    (record,) = place.glob("dataset=demo/run_id=*/effects/*.json")
    for path in (record, record.with_name(record.name + ".copy")):
        path.unlink()
    assert rows_of(place, "from neuron_effects") == []
    (again,) = measure_effects(few(29, 192, seed=1))
    assert (again.neuron_count, again.new_count) == (2, 0)
    assert audit_warehouse(Store(place), deep=True).damages == []


def test_held_out_examples_are_neither_its_strongest_nor_show_its_concept(place, few, run_id):
    from pipeline.effects.choose import plan_neurons, tested_names
    from pipeline.warehouse.find import find_layers

    with connect(place) as con:
        (layer,) = find_layers(con, "demo", run_id)
        names = tested_names(con, "demo", run_id)
        plan = plan_neurons(con, layer, few(neurons="all"), names)
        top = set(con.execute(
            "select unit, example_id from top_examples cross join settings where dataset = 'demo' "
            "and run_id = $run and polarity = 'positive' and example_rank <= label_top_k",
            {"run": run_id},
        ).fetchall())  # fmt: skip
        shows = set(con.execute(
            "select concept, example_id, half from run_concepts "
            "where dataset = 'demo' and run_id = $run and origin <> 'similarity'",
            {"run": run_id},
        ).fetchall())  # fmt: skip
    showing = {(concept, example) for concept, example, _ in shows}
    assert len(plan.neurons) == 768
    for neuron in plan.neurons:
        assert len(neuron.hidden) == len(set(neuron.hidden)) == 6
        for example in neuron.hidden:
            assert (neuron.unit, example) not in top
            assert (neuron.concept, example) not in showing
        for example in neuron.shown:
            assert (neuron.concept, example, "testing") in shows
        held_out = sum((neuron.unit, example) not in top for example in neuron.shown)
        assert held_out == neuron.held_out
        assert neuron.other != neuron.concept or neuron.concept is None
        assert (neuron.concept is None) == (not neuron.shown)


def test_what_cannot_be_measured_is_said(place, few):
    with pytest.raises(WarehouseError, match="no unit 768"):
        measure_effects(few(768))
    with pytest.raises(ConfigError, match="levels are"):
        measure_effects(few(1, levels=(1.0, 2.0)))
    with pytest.raises(WarehouseError, match="has a layer"):
        measure_effects(few(1, layer="visual.layer9"))


def test_a_text_tower_is_said_to_be_one(tiny_warehouse):
    (run,) = tiny_warehouse.glob("dataset=textures/run_id=*")
    config = EffectConfig(
        warehouse=str(tiny_warehouse),
        dataset="textures",
        run=run.name.removeprefix("run_id="),
        layer="transformer.resblocks.1.mlp.gelu",
    )
    with pytest.raises(HookError, match="is of the text tower"):
        measure_effects(config)


def test_the_command_prints_labels_by_how_many_methods_agree(place, told):
    warehouse = ("--warehouse", place, "--dataset", "demo", "--device", "cpu")
    few = ("--unit", 29, "--unit", 717, "--hidden", 2, "--shown", 1, "--level", 0, "--level", 2)
    printed = told("effect", *warehouse, *few)
    assert "2 neurons on" in printed and "pushed most" in printed
    cost = told("effect", *warehouse, *few, "--dry-run")
    assert "2 neurons, " in cost and "GFLOP" in cost and "s in all" in cost
