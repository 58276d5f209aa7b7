"""Neuron and concept: ranks and enrichments by SQL equal exact arithmetic, which SciPy's approaches."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from concept_world import fetch, fill, open_world
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rounding import (
    Near,
    auroc,
    benjamini_hochberg,
    hypergeometric_log_tail,
    near,
    normal_log_tail,
    total,
)
from scipy.stats import false_discovery_control, hypergeom, mannwhitneyu, rankdata
from sklearn.metrics import roc_auc_score
from sql_world import insert

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
    """With the correction for ties; of sums of half ranks, which are exact."""
    n1, n = len(positives), len(positives) + len(others)
    twice = int(2 * rankdata(np.concatenate([positives, others]))[:n1].sum())
    ties = sum(
        int(t) ** 3 - int(t) for t in np.unique([*positives, *others], return_counts=True)[1]
    )
    spread = near(n1 * (n - n1)) / 12 * (n + 1 - near(ties) / (n * (n - 1)))
    return near(Fraction(twice - n1 * (n + 1), 2)) / spread.sqrt()


def two_sided_log_p(z):
    """``ln`` of it; 0 if all are tied."""
    if z is None:
        return near(0)
    return (normal_log_tail(Near(abs(z.exact), z.error)) + near(2).ln()).at_most(0)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@example(seed=1, kind="sparse", keep="positive")
@example(seed=2, kind="constant", keep="positive")
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(KINDS),
    keep=st.sampled_from(["all", "positive"]),
)
def test_auroc_z_and_q_equal_exact_arithmetic(seed, kind, keep):
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
            assert row[f"{prefix}auroc"] == auroc(x[mark], x[~mark])
            assert row[f"{prefix}positive_count"] == mark.sum()
            z = mann_whitney_z(x[mark], x[~mark]) if len(set(x)) > 1 else None
            assert row[f"{prefix}z"] == z
            if half == "testing":
                log_p = two_sided_log_p(z)
        mark, x = marked["testing", concept], seen[unit][index["testing"]]
        assert row["other_count"] == (~mark).sum()
        assert row["p_value"] == log_p.exp()
        assert row["log10_p"] == log_p / near(10).ln()
        assert row["direction"] == ("positive" if row["auroc"] >= 0.5 else "negative")
        sd = float(values.astype(np.float32)[unit].std())  # as `fill` gives it
        if sd > 0:
            positive, stored = total(x[mark]), total(x)
            others = stored - positive
            difference = positive / int(mark.sum()) - others / int((~mark).sum())
            assert row["mean_difference_sd"] == difference / sd
        else:
            assert row["mean_difference_sd"] is None
    q = benjamini_hochberg([row["p_value"] for row in rows])
    assert [row["q_value"] for row in rows] == q


def test_what_exact_arithmetic_gives_is_what_others_call_so():
    rng = np.random.default_rng(0)
    for kind in ("continuous", "tied", "sparse"):
        x, y = random_activations(rng, kind, 2, 40)
        test = mannwhitneyu(x, y, method="asymptotic", use_continuity=False)
        assert float(two_sided_log_p(mann_whitney_z(x, y)).exp().exact) == pytest.approx(
            test.pvalue
        )
        score = roc_auc_score(np.repeat([True, False], 40), np.concatenate([x, y]))
        assert float(auroc(x, y).exact) == pytest.approx(score)
    p = rng.random(50) ** 3
    q = [float(q.exact) for q in benjamini_hochberg(p.tolist())]
    assert q == pytest.approx(false_discovery_control(p))
    for case in [(40, 7, 12, 3), (40, 30, 20, 14), (2000, 90, 50, 9)]:
        p = hypergeom.sf(case[-1] - 1, *case[:-1])
        assert float(hypergeometric_log_tail(*case).exp().exact) == pytest.approx(p)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), top_k=st.integers(1, 12))
@pytest.mark.slow
def test_enrichment_of_each_half_equals_exact_arithmetic(seed, top_k):
    values, _, shows, halves, duplicates = random_world(seed, "tied", "all")
    con = open_world(concept_min_count=1, label_top_k=top_k)
    fill(con, values, shows, halves, duplicates)
    distinct = [n for n in range(len(shows)) if n not in duplicates]
    sizes = {h: sum(halves[n] == h for n in distinct) for h in ("screening", "testing")}
    base = {(h, c): sum(halves[n] == h and c in shows[n] for n in distinct)
            for h in sizes for c in "abcd"}  # fmt: skip
    tested = [c for c in "abcd" if all(1 <= base[h, c] < sizes[h] for h in sizes)]
    expected, tested_keys = {}, []
    for polarity, sign in (("positive", -1), ("negative", 1)):
        for unit in range(3):
            best = sorted(distinct, key=lambda n, u=unit, s=sign: (s * values[u, n], n))[:top_k]
            best = [n for n in best if values[unit, n] != 0]
            for concept in tested if best else ():
                row = []
                for half in ("testing", "screening"):
                    top = [n for n in best if halves[n] == half]
                    hits = sum(concept in shows[n] for n in top)
                    log_p = hypergeometric_log_tail(
                        sizes[half], base[half, concept], len(top), hits
                    )
                    row += [len(top), hits, log_p]
                key = (unit, polarity, concept)
                tested_keys.append(key)
                if row[1] or row[4]:
                    expected[key] = row
    rows = fetch(con, "select * from neuron_enrichments")
    assert {(r["unit"], r["polarity"], r["concept"]) for r in rows} == set(expected)
    for polarity in ("positive", "negative"):
        of_polarity = [row for row in rows if row["polarity"] == polarity]
        untold = sum(key[1] == polarity for key in tested_keys) - len(
            of_polarity
        )  # no hits: p is 1
        q = benjamini_hochberg([row["p_value"] for row in of_polarity] + [1.0] * untold)
        for row, expected_q in zip(of_polarity, q, strict=False):
            key = (row["unit"], polarity, row["concept"])
            size, hits, log_p, screening_size, screening_hits, screening_log_p = expected[key]
            assert (row["top_size"], row["top_count"]) == (size, hits)
            assert (row["screening_top_size"], row["screening_top_count"]) == (
                screening_size,
                screening_hits,
            )
            assert row["p_value"] == log_p.exp()
            assert row["screening_log10_p"] == screening_log_p / near(10).ln()
            assert row["q_value"] == expected_q
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
    insert(con, "lexicon", [{"concept": "cat", "category": "animal"}])
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
