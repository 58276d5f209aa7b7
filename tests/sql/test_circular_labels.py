"""What a text tower read tells its concepts: such labels do not count, nor do their q mix with others."""

from __future__ import annotations

import pytest
from concept_world import fetch, labelled_world, open_own_world
from scipy.stats import false_discovery_control
from sql_world import insert


@pytest.mark.slow
def test_labels_of_a_text_tower_are_circular_and_do_not_count():
    """It read the very texts that tell the concepts; the image tower's q do not change beside it."""
    query = "select unit, concept, q_value from neuron_labels where layer = 'l' order by unit"
    alone = labelled_world(opened=open_own_world)
    expected = fetch(alone, query)
    stored = alone.execute("select unit, example_id, activation from stg_activations").fetchall()
    both = labelled_world()
    insert(both, "stg_layers", [{"layer": "t", "unit_count": 7, "tower": "text"}])
    names = ("unit", "example_id", "activation")
    insert(
        both, "stg_activations", [dict(zip(names, row, strict=True)) for row in stored], layer="t"
    )
    both.execute("insert into neuron_stats select * replace ('t' as layer) from neuron_stats")
    both.execute("insert into top_examples select * replace ('t' as layer) from top_examples")
    assert fetch(both, query) == expected
    rows = fetch(both, "select * from neuron_labels where layer = 't' order by unit")
    assert not any(row["is_labelled"] or row["concept"] or row["q_value"] for row in rows)
    assert [(r["unit"], r["enrichment_concept"]) for r in rows if r["is_circular"]] == [
        (0, "cat"),
        (5, "dog"),
    ]
    assert {r["reason"] for r in rows if r["is_circular"]} == {"circular"}
    (sums,) = fetch(both, "select * from label_baselines")
    assert (sums["neuron_count"], sums["labelled_count"], sums["circular_count"]) == (14, 2, 2)
    pairs = fetch(both, "select distinct layer, is_circular from neuron_concepts order by layer")
    assert [tuple(pair.values()) for pair in pairs] == [("l", False), ("t", True)]
    pairs = "select unit, concept, q_value from neuron_concepts where layer = 'l' order by all"
    assert fetch(both, pairs) == fetch(alone, pairs)
    enriched = "select * from neuron_enrichments where layer = 'l' order by all"
    assert fetch(both, enriched) == fetch(alone, enriched)


def test_q_of_enrichments_is_within_what_is_circular_and_what_is_not():
    """As many all but certain pairs as there are would make each other q smaller than it is."""
    con = labelled_world()
    insert(con, "stg_layers", [{"layer": "t", "unit_count": 7, "tower": "text"}])
    con.execute("insert into top_examples select * replace ('t' as layer) from top_examples")
    told = fetch(con, "select example_id, concept from example_concepts")
    con.execute(
        "insert into stg_stimuli by name "
        "select example_id, concept, category from example_concepts where concept = 'cat'"
    )
    insert(con, "lexicon", [{"concept": "cat", "category": "object"}])
    insert(con, "raw_concept_scores", told, probability=0.9)
    rows = fetch(con, "select * from neuron_enrichments")
    tested = fetch(con, "select origin, count(*) as n from tested_concepts group by origin")
    assert {row["origin"] for row in tested} == {"texts", "stimulus", "similarity"}
    for polarity in ("positive", "negative"):
        for one in tested:
            mine = [r for r in rows if (r["polarity"], r["origin"]) == (polarity, one["origin"])]
            towers = [("l",), ("t",)] if one["origin"] != "similarity" else [("l", "t")]
            for layers in towers:
                family = [r for r in mine if r["layer"] in layers]
                tops = fetch(
                    con,
                    "select count(distinct (layer, unit)) as n from top_examples "
                    "cross join settings where example_rank <= label_top_k and activation <> 0 "
                    f"and polarity = '{polarity}' and list_contains({list(layers)}, layer)",
                )[0]["n"]
                p = [r["p_value"] for r in family]
                q = false_discovery_control(p + [1.0] * (tops * one["n"] - len(p)))[: len(p)]
                assert [r["q_value"] for r in family] == pytest.approx(q.tolist(), rel=1e-9)


def test_what_the_model_itself_finds_in_images_is_not_circular():
    """A text tower never saw the image: labels by similarity stand."""
    con = labelled_world(origin="similarity", label_origins=["similarity"])
    con.execute("update stg_layers set tower = 'text'")
    rows = fetch(con, "select unit, is_circular from neuron_labels where is_labelled order by unit")
    assert [tuple(row.values()) for row in rows] == [(0, False), (5, False)]
