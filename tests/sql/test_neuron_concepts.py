"""Neuron and concept: ranks and enrichments by SQL equal SciPy and scikit-learn."""

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


@pytest.mark.slow
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
