"""Clarity, groups and contrasts against brute force and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import silhouette_samples
from textures import write_textures

from pipeline.base.progress import NoProgress
from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
from pipeline.evidence.clarity import (
    CONTRASTS,
    MIN_GROUP_SIZE,
    MIN_SILHOUETTE,
    compute_contrasting_examples,
    cut_tree,
    mean_cosine,
    split_examples,
)
from pipeline.evidence.matrix import example_ids, iter_blocks, list_layers
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest
from pipeline.upkeep.build import build
from pipeline.warehouse.connect import connect

pytestmark = pytest.mark.slow


@given(
    st.integers(6, 40), st.integers(1, 4), st.integers(0, 1 << 32), st.sampled_from((1, 3, 1000))
)
def test_a_tree_is_cut_as_scipy_cuts_it(size: int, dim: int, seed: int, steps: int) -> None:
    """On a coarse grid branches are of one height."""
    points = np.random.default_rng(seed).integers(0, steps + 1, (size, dim)) / steps
    tree = linkage(pdist(points), "ward")
    for most in range(2, 6):
        one, other = cut_tree(tree, most), fcluster(tree, most, "maxclust")
        assert ((one[:, None] == one) == (other[:, None] == other)).all()


def unit_rows(values):
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def clouds(sizes, spread, seed=0, dim=16):
    """Points on the sphere around as many centres as there are sizes, mixed up; and their centres."""
    random = np.random.default_rng(seed)
    centres = np.linalg.qr(random.normal(size=(dim, dim)))[0][: len(sizes)]
    groups = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return unit_rows(centres[groups] + spread * random.normal(size=(len(groups), dim))), groups


def test_images_that_are_all_the_same_are_one_group():
    groups, silhouette = split_examples(np.tile(np.eye(4, dtype=np.float32)[0], (8, 1)))
    assert groups.tolist() == [1] * 8
    assert np.nan_to_num(silhouette).tolist() == [0] * 8


@pytest.mark.slow
def test_a_run_of_a_single_image_can_be_built(tmp_path):
    tars = write_textures(tmp_path / "tars", shard_count=1, per_shard=1)
    place = str(tmp_path / "warehouse")
    ingest(IngestConfig(place, "one"), IngestStep("webdataset", (str(tars),)))
    extract(ExtractConfig(place, "one", "RN-demo:random", ("goh2021",), device="cpu"))
    counts = build(place).row_counts
    assert (counts["neuron_clarity"], counts["contrasting_examples"]) == (0, 0)
    with connect(place) as connection:
        reasons = connection.execute("select distinct reason from neuron_labels").fetchall()
    assert {reason for (reason,) in reasons} <= {"no activity", "no concept in top examples"}


def test_mean_cosine_is_the_mean_over_pairs():
    points = unit_rows(np.random.default_rng(0).normal(size=(9, 6)) + 0.5)
    pairs = [float(points[a] @ points[b]) for a in range(9) for b in range(9) if a != b]
    assert mean_cosine(points) == pytest.approx(np.mean(pairs), abs=1e-6)


@pytest.mark.parametrize("sizes", [(20, 10), (12, 9, 7), (10, 9, 8, 7), (12, 11, 10, 9, 8)])
def test_groups_that_are_there_are_found(sizes):
    points, truth = clouds(sizes, 0.05)
    groups, found = split_examples(points)
    assert np.bincount(groups)[1:].tolist() == list(sizes), "largest first"
    for rank in range(1, len(sizes) + 1):
        assert len(set(truth[groups == rank])) == 1
    assert found.mean() > 0.8


def test_the_split_is_scikit_learns_ward_with_the_best_silhouette():
    points, _ = clouds((14, 9, 7), 0.25, seed=3)
    distances = np.clip(1 - points.astype(float) @ points.T.astype(float), 0, None)
    np.fill_diagonal(distances, 0)
    best, best_labels = -1.0, None
    for number in range(2, 6):
        labels = AgglomerativeClustering(number, linkage="ward").fit_predict(points)
        mean = silhouette_samples(distances, labels, metric="precomputed").mean()
        if np.bincount(labels).min() >= MIN_GROUP_SIZE and mean > best:
            best, best_labels = mean, labels
    groups, found = split_examples(points)
    assert found.mean() == pytest.approx(best, abs=1e-6)
    assert best > MIN_SILHOUETTE
    pairs = {(g, label) for g, label in zip(groups.tolist(), best_labels.tolist(), strict=True)}
    assert len(pairs) == len(set(groups.tolist())) == len(set(best_labels.tolist()))


def test_one_cloud_and_a_lone_image_and_too_few_are_one_group():
    points, _ = clouds((40,), 0.3)
    groups, found = split_examples(points)
    assert set(groups) == {1}
    assert found.mean() <= MIN_SILHOUETTE
    alone = np.concatenate([clouds((30,), 0.02)[0], -clouds((2,), 0.02)[0][:2]])
    groups, _ = split_examples(alone)
    assert groups[-1] == groups[0] or (groups == groups[-1]).sum() >= MIN_GROUP_SIZE
    groups, found = split_examples(points[:5])
    assert set(groups) == {1}
    assert np.isnan(found).all()


def _embeddings(connection):
    found = connection.execute("select example_id, embedding from image_embeddings").fetchall()
    return {i: np.array(e) / np.linalg.norm(e) for i, e in found}


def test_the_mart_of_clarity_is_brute_force(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        embeddings = _embeddings(connection)
        top = {}
        for layer, unit, example_id in connection.execute(
            "select layer, unit, example_id from top_examples "
            "where polarity = 'positive' and activation <> 0 order by example_rank"
        ).fetchall():
            top.setdefault((layer, unit), []).append(example_id)
        rows = connection.execute(
            "select layer, unit, top_size, clarity, baseline_clarity, clarity_sd, group_count, "
            "polysemanticity from neuron_clarity"
        ).fetchall()
        grouped = {}
        for layer, unit, example_id, group in connection.execute(
            "select layer, unit, example_id, group_rank from top_example_groups order by example_rank"
        ).fetchall():
            grouped.setdefault((layer, unit), []).append((example_id, group))
        ids = [i for (i,) in connection.execute(
            "select example_id from examples where duplicate_of is null"
        ).fetchall()]  # fmt: skip
        sizes = connection.execute(
            "select layer, unit, sum(group_size), max(group_rank) from neuron_groups group by all"
        ).fetchall()
    everything = np.stack([embeddings[i] for i in ids])
    cosines = everything @ everything.T
    baseline = cosines[~np.eye(len(ids), dtype=bool)].mean()
    assert {row[:2] for row in rows} == {key for key, found in top.items() if len(found) >= 2}
    for layer, unit, size, clarity, base, sd, group_count, poly in rows:
        found = top[layer, unit]
        some = np.stack([embeddings[i] for i in found])
        mean = (some @ some.T)[~np.eye(len(found), dtype=bool)].mean()
        assert size == len(found)
        assert clarity == pytest.approx(mean, abs=1e-4)
        assert base == pytest.approx(baseline, abs=1e-4)
        assert (sd > 0) == (clarity > base)
        assert [i for i, _ in grouped[layer, unit]] == found
        groups = np.array([g for _, g in grouped[layer, unit]])
        assert group_count == groups.max()
        apart = (groups[:, None] != groups[None]).mean()
        assert poly == pytest.approx(apart, abs=1e-9)
    assert {row[6] for row in rows} >= {1, 2}
    assert {(layer, unit, int(n), g) for layer, unit, n, g in sizes} == {
        (layer, unit, len(found), max(g for _, g in found))
        for (layer, unit), found in grouped.items()
    }


@pytest.mark.parametrize("max_bytes", [512 << 20, 100_000])
def test_contrasting_examples_are_brute_force(tiny_warehouse, max_bytes):
    with connect(tiny_warehouse) as connection:
        embeddings = _embeddings(connection)
        found = {}
        tables = compute_contrasting_examples(connection, NoProgress(), max_bytes=max_bytes)
        for row in (row for table in tables for row in table.to_pylist()):
            found.setdefault((row["layer"], row["unit"]), []).append(row)
        for layer in list_layers(connection):
            ids = example_ids(connection, layer.dataset, layer.run_id)
            everything = np.stack([embeddings[i] for i in ids.tolist()])
            (block,) = iter_blocks(connection, layer, ids)
            tops = {}
            for unit, example_id in connection.execute(
                "select unit, example_id from top_examples where layer = $layer "
                "and polarity = 'positive' and activation <> 0",
                {"layer": layer.layer},
            ).fetchall():
                tops.setdefault(unit, []).append(example_id)
            for unit, values in enumerate(block.activations):
                if unit not in tops:
                    assert (layer.layer, unit) not in found
                    continue
                is_top = np.isin(ids, tops[unit])
                centre = everything[is_top].mean(axis=0)
                cosines = everything @ (centre / np.linalg.norm(centre))
                median = np.sort(values)[(len(values) - 1) // 2]
                cosines[(values > median) | is_top] = -np.inf
                best = np.sort(cosines[np.isfinite(cosines)])[::-1][:CONTRASTS]
                rows = found[layer.layer, unit]
                assert [row["contrast_rank"] for row in rows] == list(range(1, len(best) + 1))
                assert [row["cosine"] for row in rows] == pytest.approx(best, abs=1e-4)
                for row in rows:
                    place = np.searchsorted(ids, row["example_id"])
                    assert row["activation"] == values[place] <= median
                    assert row["cosine"] == pytest.approx(cosines[place], abs=1e-4)
