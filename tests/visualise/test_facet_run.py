"""``neurons facet-probes`` on the demo: facets by construction and by queries; what is trained stays."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.facet_settings import FacetProbeConfig
from pipeline.base.storage import Store
from pipeline.tables.audit import audit_warehouse
from pipeline.visualise.facet_examples import LEAST, choose_examples
from pipeline.visualise.facet_probes import read_facet_probe
from pipeline.visualise.facet_run import train_facet_probes
from pipeline.warehouse.connect import connect

pytestmark = pytest.mark.slow

FACETS = ["colour drawing", "edge map", "line drawing", "rendered word", "silhouette"]
LAYER = "visual.layer4.0.act3:input:max"


@pytest.fixture(scope="module")
def place(plain_demo, tmp_path_factory):
    place = tmp_path_factory.mktemp("facets") / "warehouse"
    shutil.copytree(plain_demo / "warehouse", place)
    return place


@pytest.fixture(scope="module")
def config(place):
    with connect(place) as con:
        ((run_id,),) = con.execute("select run_id from runs where dataset = 'demo'").fetchall()

    def make(**changes):
        given = {"warehouse": str(place), "dataset": "demo", "run": run_id, "device": "cpu"}
        return FacetProbeConfig(**given | {"images": 80} | changes)

    return make


@pytest.fixture(scope="module")
def trained(config):
    return train_facet_probes(config())


def ask(place, query):
    with connect(place) as con:
        return con.execute(query).fetchall()


def test_each_form_of_the_demo_is_told_from_the_others(place, config, trained):
    assert [one.facet for one in trained] == FACETS
    assert all(one.is_new for one in trained)
    rows = ask(place, "select facet, accuracy, is_usable from facet_probes order by facet")
    assert [row[0] for row in rows] == FACETS
    assert all(is_usable == (accuracy >= 0.8) for _, accuracy, is_usable in rows)
    assert {facet: accuracy for facet, accuracy, _ in rows}["rendered word"] > 0.9
    assert np.mean([accuracy for _, accuracy, _ in rows]) > 0.85
    with connect(place) as con:
        probe = read_facet_probe(con, "demo", config().run, LAYER, "rendered word")
    assert (probe.facet, probe.probe_layer) == ("rendered word", "visual.layer3:output:mean")
    assert probe.weight.shape == (384,)
    assert probe.weight.dtype == np.float32


def test_no_concept_is_trained_on_and_held_out(place, config):
    with connect(place) as con:
        sets = choose_examples(con, config())
        concepts = dict(
            con.execute("select example_id, concept from stimuli where dataset = 'demo'").fetchall()
        )
    for one in sets:
        sides = [
            {concepts[e.example_id] for e in one.examples if e.is_held_out is held}
            for held in (True, False)
        ]
        assert sides[0] and sides[1]
        assert not sides[0] & sides[1]
        assert one.count(True, True) >= LEAST


def test_nothing_is_trained_twice_and_batches_change_nothing(place, config, trained):
    query = "select facet, accuracy, weights from facet_probes order by facet"
    before = ask(place, query)
    assert not any(one.is_new for one in train_facet_probes(config(batch_size=7)))
    for file in place.glob("dataset=demo/run_id=*/facet_probes/*.json*"):
        file.unlink()
    assert not any(one.is_new for one in train_facet_probes(config())), "files are taken up"
    shutil.rmtree(next(place.glob("dataset=demo/run_id=*/facet_probes")))
    assert all(one.is_new for one in train_facet_probes(config(batch_size=7)))
    after = ask(place, query)
    for (_, was, weights), (_, now, again) in zip(before, after, strict=True):
        assert now == pytest.approx(was, abs=0.02)
        np.testing.assert_allclose(again, weights, rtol=0.05, atol=0.05)
    assert audit_warehouse(Store(place), deep=True).damages == []


def test_two_queries_make_a_facet_and_one_that_is_not_told_is_refused(place, config, trained):
    few = {"images": 120, "facets": ("animal",)}
    animals = "select example_id from stimuli where dataset = 'demo' and category = 'animal'"
    others = "select dataset, example_id from stimuli where dataset = 'demo' and category = 'food'"
    train_facet_probes(config(**few, shown=animals, others=others))
    ((accuracy,),) = ask(place, "select accuracy from facet_probes where facet = 'animal'")
    assert accuracy < 0.8, "a concept is no form: held-out animals are not known"
    with connect(place) as con:
        for layer, facet, said in (
            (LAYER, "animal", rf"calls {accuracy:.2f} of held-out images"),
            (LAYER, "photo", "There are: animal, colour drawing"),
            ("visual.layer1", "animal", "There are: none"),
        ):
            with pytest.raises(WarehouseError, match=said):
                read_facet_probe(con, "demo", config().run, layer, facet)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"facets": ("photo",)}, r"There are: colour drawing, edge map"),
        ({"facets": ("word",), "shown": "select 1"}, "example_id"),
        ({"facets": ("word",), "shown": "from nothing"}, "--shown is no query"),
        ({"facets": ("word",), "shown": "select example_id from stimuli limit 3"}, "too few"),
        ({"shown": "select example_id from examples"}, "--facet NAME"),
        ({"others": "select example_id from examples"}, "none what is"),
        (
            {
                "facets": ("word",),
                "shown": "select example_id from examples where dataset = 'demo'",
                "others": "select example_id from examples where dataset = 'demo'",
            },
            "have none in common",
        ),
        ({"layer": "visual.layer9"}, r"visual\.layer9"),
    ],
)
def test_what_cannot_be_asked_is_refused(config, changes, said):
    with pytest.raises((ConfigError, WarehouseError)) as told:
        train_facet_probes(config(**changes))
    assert said.replace("\\", "") in str(told.value)


def test_the_command_tells_each_probe(config, trained, told):
    said = told(
        "facet-probes",
        "--warehouse",
        config().warehouse,
        "--dataset",
        "demo",
        "--images",
        80,
        "--device",
        "cpu",
    )
    assert "5 facet probes, 0 of them trained now" in said
    assert "rendered word" in said
