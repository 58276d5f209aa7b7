"""Labels: what a neuron stands for, or why not; chosen on one half, told by the other."""

from __future__ import annotations

import numpy as np
import pytest
from concept_world import fetch, fill, labelled_world, open_own_world, open_world
from scipy.stats import false_discovery_control
from sql_world import insert


def test_labels_say_what_a_neuron_stands_for_or_why_not():
    rows = fetch(labelled_world(), "select * from neuron_labels order by unit")
    assert [(r["concept"], r["reason"]) for r in rows[:2]] == [
        ("cat", None),
        (None, "no concept in top examples"),
    ]
    assert rows[2]["reason"] != "no activity"
    assert [(r["concept"], r["reason"]) for r in rows[3:]] == [
        (None, "no activity"),
        (None, "no activity"),
        ("dog", None),
        (None, "not significant"),
    ]
    cats = rows[0]
    assert (cats["score"], cats["category"], cats["origin"]) == (1.0, "object", "texts")
    assert (cats["positive_count"], cats["runner_up"]) == (10, "big")
    assert cats["margin"] == pytest.approx(cats["score"] - cats["runner_up_score"])
    assert cats["top_count"] == 10
    assert cats["lift"] == pytest.approx((10 / cats["top_size"]) / (10 / 200))
    assert (cats["agreement"], cats["auroc_concept"]) == (2, "cat")
    for row in rows:
        if not row["is_labelled"]:
            told = ("concept", "category", "score", "z", "q_value", "lift", "margin", "agreement")
            assert all(row[name] is None for name in told)


def test_a_neuron_is_not_significant_only_if_something_was_tested():
    query = (
        "select reason, enrichment_concept from neuron_labels where unit in (0, 6) order by unit"
    )

    def told(**changes):
        return [tuple(row.values()) for row in fetch(labelled_world(**changes), query)]

    assert told() == [(None, "cat"), ("not significant", "cat")]
    assert told(label_min_count=11) == [("no concept stands out", None)] * 2


def test_a_concept_of_the_screening_half_alone_is_no_label():
    """Unit 6 answers to cats where concepts are chosen and not where they are tested."""
    con = labelled_world()
    (row,) = fetch(con, "select * from neuron_labels where unit = 6")
    assert (row["enrichment_concept"], row["is_labelled"]) == ("cat", False)
    (pair,) = fetch(con, "select * from neuron_concepts where unit = 6 and concept = 'cat'")
    assert pair["screening_auroc"] == 1
    assert pair["auroc"] < 0.9


def test_reported_figures_do_not_depend_on_the_screening_half():
    def reported(factor):
        con = labelled_world()
        con.execute(
            f"update stg_activations set activation = activation * {factor} "
            "from stg_examples where stg_examples.example_id = stg_activations.example_id "
            "and half = 'screening'"
        )
        query = "select unit, concept, auroc, z, p_value, positive_count from neuron_concepts order by 1, 2"
        return con.execute(query).fetchall()

    assert reported(1) == reported(-3)


def test_inhibition_is_found_with_its_direction():
    rng = np.random.default_rng(3)
    values = rng.standard_normal((1, 80))
    shows = [{"dog"} if n % 4 == 0 else set() for n in range(80)]
    values[0, ::4] -= 6
    con = open_world()
    fill(con, values, shows, ["screening"] * 40 + ["testing"] * 40)
    (row,) = fetch(con, "select * from neuron_concepts")
    assert (row["auroc"], row["direction"]) == (0.0, "negative")
    assert row["q_value"] < 1e-4
    assert row["mean_difference_sd"] < -1
    (label,) = fetch(con, "select reason from neuron_labels")
    assert label["reason"] == "no concept in top examples"
    (found,) = fetch(con, "select * from neuron_enrichments where polarity = 'negative'")
    assert found["q_value"] < 0.01


@pytest.mark.slow
def test_settings_decide_what_is_a_label():
    query = "select unit from neuron_labels where is_labelled order by unit"

    def units(**changes):
        return [row["unit"] for row in fetch(labelled_world(**changes), query)]

    assert units() == [0, 5]
    assert units(label_min_count=11) == []
    assert units(label_max_q=1e-30) == []
    assert units(concept_min_count=11) == []
    assert units(label_origins=["stimulus"]) == []
    assert units(origin="similarity") == [], "the model's own opinion alone is no label"
    assert units(origin="similarity", label_origins=["similarity"]) == [0, 5]


def test_q_is_over_the_neurons_that_have_a_choice():
    con = labelled_world()
    rows = fetch(con, "select * from neuron_labels where enrichment_concept is not null")
    chosen = fetch(
        con,
        "select neuron_concepts.unit, top_log10_p from neuron_concepts inner join neuron_labels "
        "on neuron_labels.unit = neuron_concepts.unit "
        "and enrichment_concept = neuron_concepts.concept order by 1",
    )
    q = false_discovery_control([10 ** row["top_log10_p"] for row in chosen])
    by_unit = {row["unit"]: one for row, one in zip(chosen, q, strict=True)}
    labelled = [row for row in rows if row["is_labelled"]]
    assert labelled
    for row in labelled:
        assert row["q_value"] == pytest.approx(by_unit[row["unit"]], rel=1e-9)


def test_agreement_counts_the_methods_that_choose_the_label():
    con = labelled_world()
    insert(
        con,
        "raw_soft_wpmi",
        [
            {"unit": 0, "concept": "cat", "screening": 3.0, "testing": 1.0},
            {"unit": 0, "concept": "tiger", "screening": 2.0, "testing": 9.0},
            {"unit": 5, "concept": "wolf", "screening": 1.0, "testing": 1.0},
        ],
    )
    rows = fetch(con, "select * from neuron_labels where is_labelled order by unit")
    assert [(r["agreement"], r["soft_wpmi_concept"]) for r in rows] == [(3, "cat"), (2, "wolf")]
    (pair,) = fetch(con, "select * from neuron_concepts where unit = 0 and concept = 'cat'")
    assert (pair["screening_soft_wpmi"], pair["soft_wpmi"]) == (3.0, 1.0)


@pytest.mark.parametrize(("behind", "is_counted"), [(0.0009, False), (0.0011, True)])
def test_a_method_that_is_all_but_tied_has_not_chosen(behind, is_counted):
    """Soft-WPMI saturates at the logarithm of the number of neurons: there it tells nothing apart."""
    con = labelled_world()
    most = float(np.log(768))
    scores = [("cat", most), ("tiger", most - behind), ("wolf", 1.0)]
    rows = [{"concept": name, "screening": s} for name, s in scores]
    insert(con, "raw_soft_wpmi", rows, unit=0, testing=1.0)
    (row,) = fetch(con, "select * from neuron_labels where unit = 0")
    assert row["soft_wpmi_concept"] == ("cat" if is_counted else None)
    assert row["agreement"] == (3 if is_counted else 2)


def test_names_that_the_same_images_show_are_no_choice_by_auroc():
    con = open_world()
    shows = [{"b", "c"} if n % 10 == 0 else set() for n in range(100)]
    values = np.array([[float("b" in s) for s in shows]])
    halves = ["screening" if n % 20 == 0 or n % 3 == 0 else "testing" for n in range(100)]
    fill(con, values, shows, halves, keep="positive")
    (row,) = fetch(con, "select concept, auroc_concept, agreement from neuron_labels")
    assert tuple(row.values()) == ("b", None, 1)


def test_ties_are_broken_by_name_then_category():
    con = open_world()
    shows = [{"b", "c"} if n % 10 == 0 else set() for n in range(100)]
    values = np.array([[float("b" in s) for s in shows]])
    halves = ["screening" if n % 20 == 0 or n % 3 == 0 else "testing" for n in range(100)]
    fill(con, values, shows, halves, keep="positive")
    images = [{"example_id": n} for n in range(0, 100, 10)]
    insert(con, "example_concepts", images, concept="b", category="animal")
    (row,) = fetch(con, "select concept, category, runner_up, margin from neuron_labels")
    assert tuple(row.values()) == ("b", "animal", "c", 0.0)


def test_baselines_stand_beside_the_labels():
    con = labelled_world()
    nulls = [{"repeat": 0, "labelled_count": 1}, {"repeat": 1, "labelled_count": 0}]
    insert(con, "raw_label_nulls", nulls)
    (row,) = fetch(con, "select * from label_baselines")
    assert (row["neuron_count"], row["labelled_count"]) == (7, 2)
    assert (row["permuted_repeat_count"], row["permuted_count"]) == (2, 0.5)
    assert row["permuted_max_count"] == 1
    assert row["permuted_frac"] == pytest.approx(0.5 / 7)
    assert (row["permuted_any_frac"], row["max_q"]) == (0.5, 0.05)
    assert row["chance_count"] == 0.5  # as the permutations show: more than 5 % of 2
    pairs = fetch(con, "select * from neuron_concepts where unit in (0, 5)")
    mean = {
        c: np.mean([p["auroc"] for p in pairs if p["concept"] == c]) for c in ("cat", "dog", "big")
    }
    assert row["constant_concept"] in ("cat", "dog")
    assert row["constant_score"] == pytest.approx(mean[row["constant_concept"]])
    assert row["label_score"] > row["constant_score"]


@pytest.mark.slow
def test_results_do_not_depend_on_the_order_of_rows_or_threads():
    def outcome(shuffled, threads):
        con = labelled_world(opened=open_own_world)
        con.execute(f"set threads = {threads}")
        if shuffled:
            for (table,) in con.execute("select table_name from duckdb_tables()").fetchall():
                con.execute(f"create table copy as from {table} order by hash(columns(*)::varchar)")
                con.execute(f"drop table {table}")
                con.execute(f"alter table copy rename to {table}")
        views = ("neuron_enrichments", "neuron_concepts", "neuron_labels")
        return [con.execute(f"select * from {view} order by all").fetchall() for view in views]

    expected = outcome(False, 1)
    for got in (outcome(False, 2), outcome(True, 2)):
        for mine, theirs in zip(got, expected, strict=True):
            for row, other in zip(mine, theirs, strict=True):
                for value, expected_value in zip(row, other, strict=True):
                    if isinstance(expected_value, float):
                        assert value == pytest.approx(expected_value, rel=1e-12, abs=1e-14)
                    else:
                        assert value == expected_value
