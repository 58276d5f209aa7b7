"""``neurons support`` on nano: fresh images know the planted neurons; what is measured stays."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from pipeline.base.errors import ConfigError, HookError, WarehouseError
from pipeline.base.storage import Store
from pipeline.base.support_settings import SupportConfig
from pipeline.evidence.matrix import list_layers
from pipeline.nano.planted import BOTH_FACETS, load_planted
from pipeline.search.find import read_labels
from pipeline.support.run import measure_support
from pipeline.tables.audit import audit_warehouse
from pipeline.upkeep.check import check, run_violations
from pipeline.warehouse.connect import connect

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(plain_demo, tmp_path_factory):
    place = tmp_path_factory.mktemp("support") / "warehouse"
    shutil.copytree(plain_demo / "warehouse", place)
    return place


@pytest.fixture(scope="module")
def config(place):
    with connect(place) as con:
        ((run_id,),) = con.execute("select run_id from runs where dataset = 'demo'").fetchall()

    def make(**changes):
        given = {"warehouse": str(place), "dataset": "demo", "run": run_id, "device": "cpu"}
        return SupportConfig(**given | {"images": 2, "size_px": 64} | changes)

    return make


@pytest.fixture(scope="module")
def measured(config):
    (done,) = measure_support(config())
    return done


def ask(place, query):
    with connect(place) as con:
        return con.execute(query).fetchall()


def test_planted_neurons_tell_their_concept_from_others_on_fresh_images(place, measured):
    assert measured.new_count == measured.image_count > 2 * 250
    assert measured.bare_count == 0
    planted = {
        p.channel: p.concept for p in load_planted()
        if p.is_asserted and p.scope == "concept" and p.facets == BOTH_FACETS
    }  # fmt: skip
    rows = ask(place, "select unit, concept, auc, permuted_auc from raw_fresh_scores")
    own = [row for row in rows if planted.get(row[0]) == row[1]]
    assert len(own) > 200
    assert np.mean([auc > 0.9 for _, _, auc, _ in own]) > 0.85
    assert np.mean([auc for *_, auc in own]) == pytest.approx(0.5, abs=0.05)
    assert np.mean([auc for *_, auc in rows]) == pytest.approx(0.5, abs=0.01)


def test_no_image_and_no_font_is_the_runs_own(place, measured):
    shared = ask(
        place,
        """
        select count(*) from raw_fresh_images as fresh
        where
            image_sha256 in (select image_sha256 from examples)
            or split_part(made_with, '-', 1) in (
                select split_part(coalesce(font, drawing_set), '-', 1) from stimuli
                where coalesce(font, drawing_set) is not null
            )
        """,
    )
    assert shared == [(0,)]


def test_the_stored_activations_give_the_scores(place, measured):
    """AUC and MAD of one form in SQL, for concepts that are only written: flags and colours."""
    ((worst, worst_mad, count),) = ask(
        place,
        """
        with

        asked as (
            select unit, concept, auc, mad from raw_fresh_scores
            where forms = 'rendered word' and unit in (29, 717) and concept <= 'D'
        ),

        answers as (
            select units.unit, fresh.concept, fresh.activations[units.unit + 1] as activation,
            from raw_fresh_images as fresh
            cross join (select distinct unit from asked) as units
            where fresh.form = 'rendered word'
        ),

        found as (
            select
                asked.unit, asked.concept, any_value(auc) as auc, any_value(mad) as mad,
                avg(
                    (shown.activation > other.activation)::integer
                    + (shown.activation = other.activation)::integer / 2
                ) as sql_auc,
                (avg(shown.activation) - avg(other.activation)) / stddev_pop(other.activation)
                    as sql_mad,
            from asked
            inner join answers as shown using (unit, concept)
            inner join answers as other
                on other.unit = asked.unit and other.concept <> asked.concept
            group by all
        )

        select max(abs(auc - sql_auc)), max(abs(mad - sql_mad)), count(*) from found
        """,
    )
    assert count > 10
    assert worst < 1e-6
    assert worst_mad < 1e-4


def test_nothing_is_measured_twice_and_batches_change_nothing(place, config, measured):
    query = "select concept, number, activations from raw_fresh_images order by concept, number"
    before = ask(place, query)
    (again,) = measure_support(config())
    assert again.new_count == 0
    (record,) = place.glob("dataset=demo/run_id=*/support/*.json")
    for file in (record, record.with_name(record.name + ".copy")):
        file.unlink(missing_ok=True)
    (adopted,) = measure_support(config())
    assert adopted.new_count == 0, "files that an interrupted attempt left are taken up"
    for file in (*place.glob("dataset=demo/run_id=*/fresh_*/*/*.parquet"), record):
        file.unlink()
    (anew,) = measure_support(config(batch_size=7))
    assert anew.new_count == measured.image_count
    after = ask(place, query)
    assert [row[:2] for row in after] == [row[:2] for row in before]
    np.testing.assert_allclose(
        [row[2] for row in after], [row[2] for row in before], rtol=1e-3, atol=1e-4
    )
    assert audit_warehouse(Store(place), deep=True).damages == []
    assert run_violations(check(place)) == 0


def test_support_stands_beside_the_labels(place, measured):
    rows = ask(
        place,
        """
        select measured_count, avg(supported_count) from label_evidence
        where dataset = 'demo' and agreement = 3 group by 1 order by 1 desc
        """,
    )
    assert rows[0][0] == 5  # effects were not measured
    assert rows[0][1] > 4
    ((alone,),) = ask(
        place,
        "select avg(supported_count) from label_evidence where dataset = 'demo' and agreement = 1",
    )
    assert alone < 1.5


def test_wherever_a_label_is_shown_it_is_said_if_nothing_supports_it(place, measured, told):
    """In the answers of searches as on cards: these labels, and no others."""
    labels = ask(
        place,
        """
        select unit, concept || ' (' || category || ')', is_unsupported from label_evidence
        where dataset = 'demo'
        """,
    )
    expected = {unit: f"{name}{', NOT SUPPORTED' * bool(doubt)}" for unit, name, doubt in labels}
    assert 100 < sum("NOT" in name for name in expected.values()) < len(expected)
    with connect(place) as con:
        (layer,) = list_layers(con, "demo")
        assert read_labels(con, [layer])[layer] == expected
    where = ("--warehouse", place, "--dataset", "demo")
    doubted = next(unit for unit, name in expected.items() if "NOT" in name)
    assert expected[doubted] in told("like", layer.layer, doubted, *where, "-k", 1)
    printed = told("where", layer.layer, doubted, *where, "--examples", 1)
    assert "; NOT SUPPORTED by any of" in printed
    found = told("find", "guitar", *where, "-k", 200, "--by", "concepts").splitlines()
    rows = [line for line in found if layer.layer in line]
    marked = [line for line in rows if line.rstrip().endswith(", NOT SUPPORTED")]
    assert 0 < len(marked) < len(rows)


def test_the_more_scores_support_a_label_the_more_often_it_is_what_was_planted(place, measured):
    planted = {
        p.channel: p.concept for p in load_planted()
        if p.scope == "concept" and p.facets == BOTH_FACETS
    }  # fmt: skip
    rows = ask(
        place, "select unit, concept, supported_count from label_evidence where dataset = 'demo'"
    )
    right = {
        level: [planted[u] == c for u, c, n in rows if u in planted and n in level]
        for level in ((0, 1), (2, 3), (4, 5))
    }
    low, middle, high = (np.mean(found) for found in right.values())
    assert len(right[4, 5]) > 180
    assert high >= 0.95
    assert low < middle < high
    assert low < 0.5


def test_other_images_replace_them(place, config, measured):
    (done,) = measure_support(config(seed=1, images=1, sets=()))
    assert done.new_count == done.image_count == done.concept_count
    assert ask(place, "select distinct forms from raw_fresh_scores") == [("rendered word",)]


def test_what_cannot_be_asked_is_refused(place, config):
    with pytest.raises(ConfigError, match="No font and no set"):
        measure_support(config(fonts=("font_caladea",), sets=("openmoji",)))
    with pytest.raises(WarehouseError, match=r"visual\.layer9"):
        measure_support(config(layer="visual.layer9"))
    with pytest.raises((WarehouseError, HookError)):
        measure_support(config(run="nothing"))
