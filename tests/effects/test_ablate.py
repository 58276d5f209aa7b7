"""``neurons ablate`` on the demo's attack: halves that share no image, and what is done stays done."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from damaging import flip

from pipeline.base.effect_settings import AblationConfig
from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.storage import Store
from pipeline.effects.ablate import measure_ablations
from pipeline.effects.ablation_cost import estimate_ablations
from pipeline.effects.attacks import plan_attacks, read_pairs
from pipeline.tables.audit import audit_warehouse
from pipeline.upkeep.repair import repair
from pipeline.upkeep.vacuum import vacuum
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_layers

pytestmark = pytest.mark.slow

COUNTS = (1, 10, 50)


@pytest.fixture(scope="module")
def place(plain_demo, tmp_path_factory):
    place = tmp_path_factory.mktemp("ablate") / "warehouse"
    name = "dataset=demo-attack"
    shutil.copytree(plain_demo / "warehouse" / name, place / name)
    return place


@pytest.fixture(scope="module")
def config(place):
    ((run,),) = rows_of(place, "select run_id from runs")
    return AblationConfig(
        warehouse=str(place), dataset="demo-attack", run=run, counts=COUNTS, draws=2, images=12,
        device="cpu",
    )  # fmt: skip


@pytest.fixture(scope="module")
def done(config):
    return measure_ablations(config)


def rows_of(place, query, *parameters):
    with connect(place) as con:
        return con.execute(query, parameters).fetchall()


def test_more_flips_go_back_without_the_neurons_that_moved_than_without_others(place, done):
    (told,) = done
    assert told.attack_count == told.new_count > 0
    rows = rows_of(
        place,
        "select neuron_count, sum(flip_count), sum(back_count) / sum(flip_count), "
        "avg(random_back_frac), min(clean_count), max(draw_count), min(chosen_count), "
        "bool_and(len(units) = neuron_count) from attack_ablations group by all order by 1",
    )
    assert [row[0] for row in rows] == [*COUNTS]
    assert all(row[1] > 0 and row[4] > 0 and row[5] == 2 and row[6] > 0 and row[7] for row in rows)
    *_, (_, _, back, random_back, *_) = rows
    assert back > random_back
    assert rows_of(place, "select max(unsteady_count) from attack_ablations") == [(0,)]


def test_neurons_are_chosen_on_images_that_are_not_tried_and_as_the_view_ranks_them(place, config):
    with connect(place) as con:
        (layer,) = find_layers(con, config.dataset, config.run)
        ((class_set,),) = con.execute("select class_set from class_sets").fetchall()
        plans, idle = plan_attacks(con, layer, class_set, config)
        others, _ = plan_attacks(con, layer, class_set, replace(config, seed=1))
        pairs = read_pairs(con, layer, class_set, config.seed)
        found = con.execute("select example_id, unit, activation from activations").fetchnumpy()
        sd = dict(con.execute("select unit, sd from neuron_stats").fetchall())
    assert len(plans) + idle == len({pair.attack for pair in pairs}) == 9
    assert [plan.flipped for plan in plans] != [plan.flipped for plan in others]
    halves = [
        {pair.clean_id for pair in pairs if pair.is_chooser is half} for half in (True, False)
    ]
    assert all(halves) and not halves[0] & halves[1]
    ids, rows = np.unique(found["example_id"], return_inverse=True)
    matrix = np.zeros((len(ids), layer.unit_count))
    matrix[rows, found["unit"]] = found["activation"]
    at = {example: row for row, example in enumerate(ids)}
    for plan in plans:
        attack = (plan.attack_text, plan.target_class, plan.placement)
        mine = [pair for pair in pairs if pair.attack == attack]
        flips = {(p.example_id, p.clean_class) for p in mine if p.is_flip and not p.is_chooser}
        assert set(plan.flipped) <= flips and len(plan.flipped) == min(12, len(flips))
        assert set(plan.clean) <= halves[1] and len(set(plan.clean)) == min(12, len(halves[1]))
        choosers = [pair for pair in mine if pair.is_chooser]
        assert len(choosers) == plan.chosen_count
        change = sum(matrix[at[p.example_id]] - matrix[at[p.control_id]] for p in choosers)
        scaled = [change[unit] / sd[unit] for unit in range(layer.unit_count) if sd[unit]]
        mine = [change[unit] / sd[unit] for unit in plan.units]
        np.testing.assert_allclose(mine, sorted(scaled, reverse=True)[: max(COUNTS)], atol=1e-6)


def test_what_is_tried_stays_and_the_same_seed_gives_the_same(place, config, done):
    query = "from raw_ablations order by all"
    was = rows_of(place, query)
    files = {path: path.stat().st_mtime_ns for path in place.rglob("ablations/**/*.parquet")}
    (again,) = measure_ablations(config)
    assert (again.attack_count, again.new_count) == (done[0].attack_count, 0)
    assert files == {p: p.stat().st_mtime_ns for p in place.rglob("ablations/**/*.parquet")}
    (record,) = place.glob("dataset=*/run_id=*/ablations/*.json")
    for path in (record, record.with_name(record.name + ".copy")):
        path.unlink()
    assert rows_of(place, query) == []
    (again,) = measure_ablations(config)
    assert again.new_count == 0, "what a killed attempt has finished is taken up"
    assert rows_of(place, query) == was
    assert audit_warehouse(Store(place), deep=True).damages == []


def test_repair_and_vacuum_know_it(place, config, done):
    query = "from raw_ablations order by all"
    was = rows_of(place, query)
    vacuum(Store(place))
    assert rows_of(place, query) == was
    flip(next(place.rglob("ablations/*/*/*.parquet")))
    assert len(audit_warehouse(Store(place), deep=True).damages) == 1
    mended = repair(place)
    assert mended.left == [] and any("1 attacks tried again" in line for line in mended.done)
    assert rows_of(place, query) == was


def test_what_cannot_be_tried_is_said(config, tiny_warehouse):
    with pytest.raises(ConfigError, match="numbers of neurons are"):
        measure_ablations(replace(config, counts=(0, 1)))
    with pytest.raises(ConfigError, match="5000 neurons are more than layer"):
        measure_ablations(replace(config, counts=(5000,)))
    with pytest.raises(WarehouseError, match="no attack in a class set 'other'"):
        measure_ablations(replace(config, class_set="other"))
    (run,) = tiny_warehouse.glob("dataset=textures/run_id=*")
    other = replace(
        config, warehouse=str(tiny_warehouse), dataset="textures", run=run.name[len("run_id="):]
    )  # fmt: skip
    with pytest.raises(WarehouseError, match="has no typographic attack") as error:
        measure_ablations(other)
    assert "neurons attack --dataset textures" in str(error.value)


def test_the_cost_is_counted_from_the_attacks_that_are_there(place, config, done, told):
    """Its variants are the rows that the same command wrote."""
    (cost,) = estimate_ablations(config)
    ((rows, images, sets),) = rows_of(
        place,
        """
        select
            count(*), count(distinct (attack_text, target_class, placement, example_id)),
            count(distinct (neuron_count, draw))
        from raw_ablations
        where neuron_count in (1, 10, 50)
        """,
    )
    assert (cost.attack_count, cost.variant_count) == (done[0].attack_count, rows)
    assert (sets, cost.image_count) == (len(COUNTS) * 3, 2 * images)
    few = estimate_ablations(replace(config, batch_size=4))
    assert few[0].image_count == images * (1 + -(-sets // 4))
    assert cost.idle_count == done[0].idle_count
    where = ("--warehouse", place, "--device", "cpu", "--dry-run")
    before = sorted(place.rglob("*"))
    printed = told("ablate", *where)
    assert "attacks" in printed and "GFLOP" in printed and "s in all" in printed
    assert sorted(place.rglob("*")) == before
    with pytest.raises(ConfigError, match="numbers of neurons are"):
        estimate_ablations(replace(config, counts=(2, 2)))


def test_the_command_prints_shares_by_attack_and_number_of_neurons(place, told, done):
    printed = told(
        "ablate", "--warehouse", place, "--device", "cpu", "--count", 2, "--draws", 1, "--images", 2
    )
    assert "attacks, " in printed and "random back" in printed and "tried now" in printed
