"""Neuron and concept: SQL equals SciPy and scikit-learn; labels are chosen on one half only."""

from __future__ import annotations

import numpy as np
import pytest
from concept_world import fetch, fill, open_world
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import log_ndtr
from scipy.stats import false_discovery_control, hypergeom, mannwhitneyu
from sklearn.metrics import roc_auc_score
from sql_world import insert
from statsmodels.stats.multitest import multipletests

KINDS = ("continuous", "tied", "signed", "sparse", "constant")


def random_activations(rng, kind, units, count):
    """One of the shapes that activations have."""
    values = rng.standard_normal((units, count))
    if kind == "tied":
        values = rng.integers(-2, 3, (units, count)).astype(float)
    elif kind == "sparse":
        values = np.where(rng.random((units, count)) < 0.1, np.abs(values), 0.0)
    elif kind == "constant":
        values = np.full((units, count), rng.choice([0.0, 1.5]))
    return values.astype(np.float16).astype(np.float64)


def random_world(seed, kind, keep, count=40, units=3):
    rng = np.random.default_rng(seed)
    values = random_activations(rng, kind, units, count)
    concepts = ["a", "b", "c", "d"]
    shows = [
        {c for j, c in enumerate(concepts) if rng.random() < 0.6 / (j + 1)} for _ in range(count)
    ]
    halves = rng.choice(["screening", "testing"], count).tolist()
    duplicates = set(rng.choice(count, 4, replace=False).tolist())
    seen = np.maximum(values, 0) if keep == "positive" else values  # what a run knows
    return values, seen, shows, halves, duplicates


def mann_whitney_z(positives, others):
    """z of SciPy's asymptotic test, signed."""
    two_sided = mannwhitneyu(
        positives, others, method="asymptotic", use_continuity=False, alternative="less"
    ).pvalue
    from scipy.stats import norm

    return norm.ppf(two_sided)


@settings(max_examples=60, deadline=None)
@example(seed=1, kind="sparse", keep="positive")
@example(seed=2, kind="constant", keep="positive")
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(KINDS),
    keep=st.sampled_from(["all", "positive"]),
)
def test_auroc_z_and_q_equal_scikit_learn_and_scipy(seed, kind, keep):
    values, seen, shows, halves, duplicates = random_world(seed, kind, keep)
    con = open_world(concept_min_count=2)
    fill(con, values, shows, halves, duplicates, keep)
    index = {half: [n for n, h in enumerate(halves) if h == half and n not in duplicates]
             for half in ("screening", "testing")}  # fmt: skip
    marked = {
        (half, concept): np.array([concept in shows[n] for n in index[half]])
        for half in index
        for concept in "abcd"
    }
    tested = [
        concept
        for concept in "abcd"
        if all(2 <= marked[h, concept].sum() < len(index[h]) for h in index)
    ]
    rows = fetch(con, "select * from neuron_concepts order by unit, concept")
    assert [(r["unit"], r["concept"]) for r in rows] == [(u, c) for u in range(3) for c in tested]
    for row in rows:
        unit, concept = row["unit"], row["concept"]
        for half, prefix in (("testing", ""), ("screening", "screening_")):
            mark, x = marked[half, concept], seen[unit][index[half]]
            assert row[f"{prefix}auroc"] == pytest.approx(roc_auc_score(mark, x), abs=1e-12)
            assert row[f"{prefix}positive_count"] == mark.sum()
            if len(set(x)) == 1:
                assert row[f"{prefix}z"] is None
            else:
                z = mann_whitney_z(x[mark], x[~mark])
                assert row[f"{prefix}z"] == pytest.approx(z, rel=1e-6, abs=1e-6)
        mark, x = marked["testing", concept], seen[unit][index["testing"]]
        assert row["other_count"] == (~mark).sum()
        if row["z"] is not None:
            test = mannwhitneyu(x[mark], x[~mark], method="asymptotic", use_continuity=False)
            assert row["p_value"] == pytest.approx(test.pvalue, rel=1e-9)
            log10_p = (log_ndtr(-abs(row["z"])) + np.log(2)) / np.log(10)
            assert row["log10_p"] == pytest.approx(min(log10_p, 0), rel=1e-9, abs=1e-12)
        else:
            assert row["p_value"] == 1
        assert row["direction"] == ("positive" if row["auroc"] >= 0.5 else "negative")
        sd = values.astype(np.float32)[unit].std()
        if sd > 0:
            difference = (x[mark].mean() - x[~mark].mean()) / sd
            assert row["mean_difference_sd"] == pytest.approx(difference, rel=1e-5, abs=1e-6)
        else:
            assert row["mean_difference_sd"] is None
    if rows:
        q = multipletests([row["p_value"] for row in rows], method="fdr_bh")[1]
        assert [row["q_value"] for row in rows] == pytest.approx(q.tolist(), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), top_k=st.integers(1, 12))
def test_enrichment_of_each_half_equals_scipy(seed, top_k):
    values, _, shows, halves, duplicates = random_world(seed, "tied", "all")
    con = open_world(concept_min_count=1, label_top_k=top_k)
    fill(con, values, shows, halves, duplicates)
    distinct = [n for n in range(len(shows)) if n not in duplicates]
    sizes = {h: sum(halves[n] == h for n in distinct) for h in ("screening", "testing")}
    base = {(h, c): sum(halves[n] == h and c in shows[n] for n in distinct)
            for h in sizes for c in "abcd"}  # fmt: skip
    tested = [c for c in "abcd" if all(1 <= base[h, c] < sizes[h] for h in sizes)]
    expected, p_values = {}, {}
    for polarity, sign in (("positive", -1), ("negative", 1)):
        for unit in range(3):
            best = sorted(distinct, key=lambda n, u=unit, s=sign: (s * values[u, n], n))[:top_k]
            best = [n for n in best if values[unit, n] != 0]
            for concept in tested if best else ():
                row = []
                for half in ("testing", "screening"):
                    top = [n for n in best if halves[n] == half]
                    hits = sum(concept in shows[n] for n in top)
                    p = hypergeom.sf(hits - 1, sizes[half], base[half, concept], len(top))
                    row += [len(top), hits, min(1.0, p)]
                key = (unit, polarity, concept)
                p_values[key] = row[2]
                if row[1] or row[4]:
                    expected[key] = row
    rows = fetch(con, "select * from neuron_enrichments")
    assert {(r["unit"], r["polarity"], r["concept"]) for r in rows} == set(expected)
    for polarity in ("positive", "negative"):
        keys = [key for key in p_values if key[1] == polarity]
        q = dict(zip(keys, false_discovery_control([p_values[k] for k in keys]), strict=True)) \
            if keys else {}  # fmt: skip
        for row in (r for r in rows if r["polarity"] == polarity):
            key = (row["unit"], polarity, row["concept"])
            size, hits, p, screening_size, screening_hits, screening_p = expected[key]
            assert (row["top_size"], row["top_count"]) == (size, hits)
            assert (row["screening_top_size"], row["screening_top_count"]) == (
                screening_size,
                screening_hits,
            )
            assert row["p_value"] == pytest.approx(p, rel=1e-9)
            assert 10 ** row["screening_log10_p"] == pytest.approx(screening_p, rel=1e-9)
            assert row["q_value"] == pytest.approx(q[key], rel=1e-9)
            assert (row["base_size"], row["base_count"]) == (
                sizes["testing"],
                base["testing", row["concept"]],
            )


def test_origins_runs_and_datasets_do_not_mix():
    con = open_world(concept_min_count=1)
    rng = np.random.default_rng(0)
    halves = ["screening", "testing"] * 6
    shown = [{"cat"} if n < 6 else set() for n in range(12)]
    fill(con, rng.random((2, 12)), shown, halves, dataset="d1", run="r1")
    fill(con, rng.random((1, 12)), shown, halves, dataset="d2", run="r2", origin="stimulus")
    fill(con, rng.random((1, 12)), shown, halves, dataset="d3", run="r3", origin="similarity")
    query = "select dataset, run_id, origin, count(*) as n from neuron_concepts group by all"
    found = {(r["dataset"], r["run_id"], r["origin"], r["n"]) for r in fetch(con, query)}
    assert found == {
        ("d1", "r1", "texts", 2),
        ("d2", "r2", "stimulus", 1),
        ("d3", "r3", "similarity", 1),
    }


def test_similarity_counts_from_its_threshold_on():
    con = open_world(similarity_min_score=0.5)
    fill(con, np.ones((1, 3)), [set()] * 3, ["testing"] * 3)
    insert(con, "lexicon_phrases", [{"concept": "cat", "category": "animal"}])
    scores = [
        {"example_id": n, "concept": concept, "probability": probability}
        for n, concept, probability in [(0, "cat", 0.5), (1, "cat", 0.49), (2, "Ada", 0.9)]
    ]
    insert(con, "raw_concept_scores", scores)
    rows = fetch(con, "select example_id, concept, category, origin from run_concepts order by 1")
    assert [tuple(row.values()) for row in rows] == [
        (0, "cat", "animal", "similarity"),
        (2, "Ada", "person", "similarity"),
    ]


# --- labels ------------------------------------------------------------------------------------


def labelled_world(origin="texts", **changes):
    """400 images in two like halves: ten cats, ten dogs in each; five of the cats are big.

    Units: 0 cats; 1 nothing nameable; 2 noise; 3 dead; 4 inhibited by dogs, else constant; 5 dogs a
    little; 6 cats of the screening half alone.
    """
    rng = np.random.default_rng(5)
    kinds = ["cat"] * 10 + ["dog"] * 10 + [""] * 180
    shows = [({k} if k else set()) | ({"big"} if n < 5 else set()) for n, k in enumerate(kinds)]
    shows, halves = shows * 2, ["screening"] * 200 + ["testing"] * 200
    is_cat = np.array(["cat" in s for s in shows])
    is_dog = np.array(["dog" in s for s in shows])
    is_screening = np.array([h == "screening" for h in halves])
    noise = rng.random((7, 400))
    values = np.stack(
        [
            noise[0] + 5 * is_cat,
            noise[1] * (~is_cat & ~is_dog),
            noise[2],
            np.zeros(400),
            np.where(is_dog, -1.0, 0.0),
            np.where(is_dog, 2 + noise[5], np.maximum(noise[5] - 0.9, 0)),
            noise[6] + 5 * (is_cat & is_screening),
        ]
    )
    con = open_world(**{"label_top_k": 40, **changes})
    fill(con, values, shows, halves, keep="positive", origin=origin)
    return con


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


def test_labels_of_a_text_tower_are_circular_and_do_not_count():
    """It read the very texts that tell the concepts; the image tower's q do not change beside it."""
    query = "select unit, concept, q_value from neuron_labels where layer = 'l' order by unit"
    alone = labelled_world()
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
    insert(con, "lexicon_phrases", [{"concept": "cat", "category": "object"}])
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


def test_results_do_not_depend_on_the_order_of_rows_or_threads():
    def outcome(shuffled, threads):
        con = labelled_world()
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
