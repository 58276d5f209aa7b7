"""Searching neurons from the command line: what is printed, and what is wrong with a question."""

from __future__ import annotations

import re

import pytest
from textures import make_warehouse

from pipeline.base.question_settings import Search, SumQuestion
from pipeline.search.find import find_neurons, match_concepts
from pipeline.search.like import find_like
from pipeline.search.sum import find_neuron_sum
from pipeline.upkeep.build import build
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import NamedNeuron

pytestmark = pytest.mark.slow

LAYER3 = "visual.layer3.0:output:max"


def test_find_in_all_three_ways(tiny_warehouse, told):
    out = told("find", "Katze", "--warehouse", tiny_warehouse, "-k", 4, "--layer", LAYER3)
    assert "Concepts: cat (animal, in de)." in out
    titles = ("By concept statistics: 'Katze'", "By correlation with the similarity of 'Katze'")
    assert (
        out.index(titles[0]) < out.index(titles[1]) < out.index("By the weights of RN-demo:random")
    )
    tables = list(
        find_neurons(
            Search(
                text="Katze",
                warehouse=str(tiny_warehouse),
                k=4,
                layer="visual.layer3.0",
                device="cpu",
            )
        )
    )
    assert [len(table.rows) for table in tables] == [4, 4, 4]
    by_concept, by_similarity, by_weights = tables
    with connect(tiny_warehouse) as connection:
        expected = connection.execute(
            """
            select layer, unit, auroc, z, q_value, positive_count from neuron_concepts
            where concept = 'cat' and layer = $layer and direction = 'positive'
                and origin = 'texts'
            order by auroc desc, layer, unit limit 4
            """,
            {"layer": LAYER3},
        ).fetchall()
    assert [(r[1], r[2], r[4], r[5], r[6], r[7]) for r in by_concept.rows] == expected
    for table, at in ((by_similarity, 2), (by_weights, 2)):
        values = [row[at] for row in table.rows]
        assert values == sorted(values, reverse=True)
        assert all(-1 <= value <= 1 for value in values)
    assert by_similarity.rows[0][0] == LAYER3
    assert by_weights.rows[0][0] == "visual.layer4.0.act3"


def test_inhibited_neurons_come_first_if_asked_for(tiny_warehouse):
    search = Search(
        text="cat", warehouse=str(tiny_warehouse), k=3, polarity="negative", device="cpu"
    )
    for table, column in zip(find_neurons(search), (4, 2, 2), strict=True):
        values = [row[column] for row in table.rows]
        assert values == sorted(values)
        assert max(values) < (0.5 if column == 4 else 0)


def test_weights_need_no_warehouse(told, monkeypatch):
    monkeypatch.delenv("NEURONS_WAREHOUSE", raising=False)
    out = told("find", "guitar", "--model", "nano", "-k", 1)
    assert out.splitlines()[3].split()[:2] == ["visual.layer4.0.act3", "192"]
    assert "Both need a warehouse" in out
    monkeypatch.setenv("NEURONS_WAREHOUSE", "/nothing/here")
    out = told("find", "guitar", "--model", "nano", "-k", 1, "--by", "weights")
    assert "192" in out
    assert "Both need a warehouse" not in out
    monkeypatch.delenv("NEURONS_WAREHOUSE")
    assert "neither a warehouse nor a model" in told("find", "guitar", code=2)


def test_texts_are_matched_as_a_whole_then_in_parts_then_the_closest_are_named(
    tiny_warehouse, told
):
    with connect(tiny_warehouse) as connection:
        assert match_concepts(connection, "  JAPAN! ")[0][0][:2] == ("Japan", "region")
        assert [m[0] for m in match_concepts(connection, "日本")[0]] == ["Japan"]
        whole, _ = match_concepts(connection, "Papua New Guinea")
        assert [m[0] for m in whole] == ["Papua New Guinea"]
        parts, close = match_concepts(connection, "a dog in Japan")
        assert {m[0] for m in parts} == {"Japan", "dog"}
        assert close == []
        none, close = match_concepts(connection, "guitarr")
        assert none == []
        assert "guitar" in close
        assert match_concepts(connection, "?!")[0] == []
    out = told("find", "japan", "--warehouse", tiny_warehouse, "--by", "concepts")
    assert re.search(r"Concepts: Japan \(region, in en(, \w+){5} and \d+ more\)", out)
    out = told("find", "guitarr", "--warehouse", tiny_warehouse, "--by", "concepts")
    assert "No concept of that name. Closest: guitar" in out
    out = told("find", "Bhutan", "--warehouse", tiny_warehouse, "--by", "concepts")
    assert "Not tested in this run: too few of its images show it." in out


def test_a_model_that_is_not_the_runs_is_refused(tiny_warehouse, told):
    arguments = ("find", "cat", "--warehouse", tiny_warehouse, "--by", "similarity")
    assert "is not the model of this run" in told(*arguments, "--model", "nano", code=2)
    assert "0 places for the class" in told(*arguments, "--template", "cat", code=2)
    assert "There is no dataset 'x'" in told(*arguments, "--dataset", "x", code=2)
    assert LAYER3 in told(*arguments, "--layer", "layer9", code=2)


@pytest.mark.parametrize("with_marts", [True, False])
def test_like_answers_the_same_from_the_mart_and_from_the_activations(
    tiny_warehouse, monkeypatch, with_marts
):
    where = NamedNeuron("visual.layer3.0", 7)
    expected = list(find_like(str(tiny_warehouse), where, 5))
    assert [len(table.rows) for table in expected] == [0, 5, 5, 5]
    if not with_marts:
        monkeypatch.setattr("pipeline.search.like._read_mart", lambda *_: (0, []))
    got = list(find_like(str(tiny_warehouse), where, 5))
    for one, other in zip(got, expected, strict=True):
        assert (one.title, one.notes) == (other.title, other.notes)
        assert [row[0] for row in one.rows] == [row[0] for row in other.rows]
        values = [row[1] for row in other.rows]
        assert [row[1] for row in one.rows] == pytest.approx(values, abs=1e-5)


def test_like_from_the_shell(tiny_warehouse, told):
    here = ("--warehouse", tiny_warehouse)
    out = told("like", "visual.layer3.0", 7, *here, "-k", 12)
    assert out.startswith(f"{LAYER3}  unit 7, textures, run ")
    assert "activations that are not stored count as 0" in out
    assert out.count("correlation") == 3
    assert "has a layer 'layer9'" in told("like", "layer9", 0, *here, code=2)
    assert "has no unit 9999" in told("like", LAYER3, 9999, *here, code=2)
    with connect(tiny_warehouse) as connection:
        resting = connection.execute(
            "select layer, unit from neuron_stats where active_frac = 0 and layer like '%act3%' "
            "order by unit limit 1"
        ).fetchall()
    for layer, unit in resting:  # nothing of it is stored
        assert "It is constant over the" in told("like", layer, unit, *here)


def test_sum_from_the_shell(tiny_warehouse, told):
    here = ("--warehouse", tiny_warehouse)
    out = told("sum", "gato", *here, "--layer", LAYER3, "--neurons", 3)
    assert "Concepts: cat (animal); by texts." in out
    assert "AUROC of the sum" in out
    answer = find_neuron_sum(
        SumQuestion(warehouse=str(tiny_warehouse), concept="cat", layer=LAYER3, neurons=3)
    )
    assert 1 <= len(answer.found.terms) <= 3
    with connect(tiny_warehouse) as connection:
        rows = connection.execute(
            "select half, count(*) from run_concepts where concept = 'cat' and origin = 'texts' "
            "group by all order by all"
        ).fetchall()
    assert rows == [
        ("screening", answer.found.fitted_positive_count),
        ("testing", answer.found.testing_positive_count),
    ]
    assert "as a sum of" in told("sum", "animal", *here, "--neurons", 5)
    assert "Closest: guitar" in told("sum", "guitarr", *here, code=2)
    assert "shows Bhutan" in told("sum", "Bhutan", *here, code=2)
    assert "by stimulus" in told("sum", "cat", *here, "--origin", "stimulus", code=2)
    assert "neurons is 0" in told("sum", "cat", *here, "--neurons", 0, code=2)


@pytest.mark.slow
def test_a_sum_is_of_one_run(tmp_path, told):
    from pipeline.base.settings import ExtractConfig, LabelSettings
    from pipeline.extract.run import extract

    place = make_warehouse(tmp_path, ("visual.act3",))
    extract(ExtractConfig(str(place), "textures", "RN-demo:random", ("visual.act2",), device="cpu"))
    assert "Choose one: --dataset textures --run" in told(
        "sum", "cat", "--warehouse", place, code=2
    )
    # Without a build all is computed when it is asked for; with one, across both runs.
    before = list(find_like(str(place), NamedNeuron("visual.act3", 7), 5))
    build(place, LabelSettings(label_null_repeats=0))
    after = list(find_like(str(place), NamedNeuron("visual.act3", 7), 5))
    assert [[row[0] for row in table.rows] for table in before] == [
        [row[0] for row in table.rows] for table in after
    ]
    assert len(after) == 3


def test_activations_that_are_not_stored_count_as_zero(tmp_path):
    """The same layer stored in two ways: positive ones only, and all of them."""
    import numpy as np

    from pipeline.evidence.matrix import example_ids, iter_blocks, list_layers

    place = make_warehouse(tmp_path, ("goh2021",))
    with connect(place) as connection:
        (layer,) = list_layers(connection)
        ids = example_ids(connection, layer.dataset, layer.run_id)
        values = np.concatenate([b.activations for b in iter_blocks(connection, layer, ids)])
    whole = make_warehouse(tmp_path / "all", ("goh2021",), store="all")
    with connect(whole) as connection:
        (layer,) = list_layers(connection)
        everything = np.concatenate([b.activations for b in iter_blocks(connection, layer, ids)])
    assert everything.min() < 0
    assert np.array_equal(values, np.maximum(everything, 0))
