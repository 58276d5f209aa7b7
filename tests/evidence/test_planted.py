"""Neurons whose meaning is known by construction: each is found, and nothing else is."""

from __future__ import annotations

import shutil

import pytest
from damaging import copy_of
from planting import CONSTANT_LAYER, FACETS, LAYER, PLANTED, make_planted_warehouse

from pipeline.base.settings import LabelSettings, SimilarityConfig
from pipeline.evidence.similarity import score_similarity
from pipeline.upkeep.build import build
from pipeline.upkeep.check import check, run_violations
from pipeline.upkeep.compact import compact
from pipeline.warehouse.connect import connect

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    place = make_planted_warehouse(tmp_path_factory.mktemp("planted"))
    bare = ("{}",)
    score_similarity(
        SimilarityConfig(str(place), "planted", "planted", templates=bare, device="cpu")
    )
    build(place, LabelSettings(label_null_repeats=10))
    return place


@pytest.fixture(scope="module")
def con(warehouse):
    with connect(warehouse) as connection:
        yield connection


def label(con, unit, layer=LAYER):
    result = con.execute(
        "select * from neuron_labels where layer = $layer and unit = $unit",
        {"layer": layer, "unit": unit},
    )
    return dict(zip([c[0] for c in result.description], result.fetchone(), strict=True))


@pytest.mark.parametrize("planted", [p for p in PLANTED if p.concept], ids=lambda p: str(p.concept))
def test_a_detector_gets_its_concept_and_category(con, planted):
    found = label(con, planted.unit)
    assert (found["concept"], found["category"]) == (planted.concept, planted.category)
    assert found["q_value"] < 1e-3
    assert found["agreement"] >= 2
    share = len(planted.facets) / (1 if planted.category in ("color", "image_feature") else 3)
    # It ranks its facets' images first and cannot tell the others from noise.
    assert found["score"] == pytest.approx(share + (1 - share) / 2, abs=0.12)


def test_noise_dead_and_constant_units_stay_unlabelled(con):
    nothing = [p.unit for p in PLANTED if not p.concept]
    assert len(nothing) == 3
    for unit in nothing:
        found = label(con, unit)
        assert not found["is_labelled"], found
        assert found["concept"] is None
    assert label(con, 9)["reason"] == "no activity"
    ((count, reasons),) = con.execute(
        "select count(*), list(distinct reason) from neuron_labels "
        "where layer = $layer and not is_labelled",
        {"layer": CONSTANT_LAYER},
    ).fetchall()
    assert count == 256, "a constant tells nothing"
    assert set(reasons) <= {
        "not significant", "no concept stands out", "no concept in top examples", "no activity"
    }  # fmt: skip


def test_labels_are_no_more_than_chance_allows_without_the_planted(con):
    """54 more units see noise alone: at most a share q of what is labelled may be false."""
    ((false_count,),) = con.execute(
        "select count(*) from neuron_labels where layer = $layer and unit >= 7 and is_labelled",
        {"layer": LAYER},
    ).fetchall()
    assert false_count <= 1
    ((labelled, permuted, repeats, score, constant),) = con.execute(
        "select labelled_count, permuted_count, permuted_repeat_count, label_score, constant_score "
        "from label_baselines"
    ).fetchall()
    assert repeats == 10
    assert labelled >= 7
    assert permuted / labelled <= 0.05
    assert score > constant + 0.2


def test_the_method_of_prompts_is_there_though_this_text_tower_is_noise(con):
    ((count, best),) = con.execute(
        "select count(soft_wpmi), max(soft_wpmi) from neuron_concepts where layer = $layer",
        {"layer": LAYER},
    ).fetchall()
    assert count > 0
    assert best > 0
    ((rows,),) = con.execute(
        "select count(*) from neuron_labels where unit = 9 and soft_wpmi_concept is not null "
        "and layer = $layer",
        {"layer": LAYER},
    ).fetchall()
    assert rows == 0, "a dead neuron has no top images"


@pytest.mark.parametrize(
    "planted", [p for p in PLANTED if len(p.facets) > 1 or p.concept in ("cat", "house")],
    ids=lambda p: str(p.concept),
)  # fmt: skip
def test_the_halle_berry_test_tells_the_concept_from_one_form_of_it(con, planted):
    """By construction: true in every facet, or failing exactly in those it cannot see."""
    result = con.execute(
        "select * from neuron_multimodality where layer = $layer and unit = $unit "
        "and concept = $concept and is_label and facet_origin = 'stimulus'",
        {"layer": LAYER, "unit": planted.unit, "concept": planted.concept},
    )
    (row,) = result.fetchall()
    found = dict(zip([c[0] for c in result.description], row, strict=True))
    assert found["facet_count"] == 3
    assert set(found["failed_facets"]) == set(FACETS) - set(planted.facets)
    if set(planted.facets) == set(FACETS):
        assert found["multimodality_index"] > 0.95
        assert found["p_value"] <= 0.01
    else:
        assert found["multimodality_index"] < 0.7
        assert found["weakest_facet"] not in planted.facets


def test_compaction_changes_no_answer(con, warehouse, tmp_path):
    names = ("neuron_concepts", "neuron_labels", "neuron_enrichments")
    before = {name: con.execute(f"from {name} order by all").fetchall() for name in names}
    place = copy_of(warehouse, tmp_path)
    shutil.rmtree(place / "marts")
    compact(str(place))
    build(place, LabelSettings(label_null_repeats=0))
    with connect(place) as again:
        for name in names:
            rows = again.execute(f"from {name} order by all").fetchall()
            assert len(rows) == len(before[name])
            for row, other in zip(rows, before[name], strict=True):
                for value, expected in zip(row, other, strict=True):
                    if isinstance(expected, float):
                        assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)
                    else:
                        assert value == expected
    assert run_violations(check(place)) == 0
