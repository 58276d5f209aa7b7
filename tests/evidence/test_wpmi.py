"""Soft-WPMI equals a plain transcription of the paper's formula, from functions to the mart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from textures import make_warehouse

from pipeline.base.settings import LabelSettings, SimilarityConfig
from pipeline.evidence.similarity import score_similarity
from pipeline.evidence.wpmi import concept_probabilities, log_expected, soft_wpmi
from pipeline.upkeep.build import build
from pipeline.warehouse.connect import connect


def transcribe(activations, images, concepts, k=100, a=10.0, weight=1.0, first=0.998, last=0.97):
    """Oikarinen & Weng 2023, section 3, unit by unit, image by image: ``[U, C]``.

    Args:
        activations: ``[U, N]``.
        images: ``[N, D]``, of length one.
        concepts: ``[C, D]``, of length one.
    """
    scores = np.exp(a * images @ concepts.T)
    likely = scores / scores.sum(1, keepdims=True)  # p(t | x)
    k = min(k, activations.shape[1])
    given_top = np.empty((len(activations), len(concepts)))
    for unit, row in enumerate(activations):
        order = sorted(range(len(row)), key=lambda n: (-row[n], n))[:k]
        given_top[unit] = 0
        for place, n in enumerate(order):
            member = first + (last - first) * (place / (k - 1) if k > 1 else 0)
            given_top[unit] += np.log(1 + member * (likely[n] - 1))
    marginal = np.log(np.mean(np.exp(given_top - given_top.max(0)), axis=0)) + given_top.max(0)
    return given_top - weight * marginal


def unit_length(rng, *shape):
    values = rng.standard_normal(shape)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    units=st.integers(1, 5),
    concepts=st.integers(2, 7),
    count=st.integers(2, 130),
)
def test_the_functions_equal_the_formula(seed, units, concepts, count):
    rng = np.random.default_rng(seed)
    activations = rng.integers(0, 20, (units, count)).astype(float)
    images, texts = unit_length(rng, count, 8), unit_length(rng, concepts, 8)
    order = [sorted(range(count), key=lambda n, r=row: (-r[n], n))[:100] for row in activations]
    likely = concept_probabilities(torch.tensor(images), torch.tensor(texts))
    got = soft_wpmi(log_expected(likely.double()[torch.tensor(order)]))
    expected = transcribe(activations, images, texts)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    place = make_warehouse(tmp_path_factory.mktemp("wpmi"), ("visual.layer3.0",), run="r")
    score_similarity(SimilarityConfig(str(place), "textures", "r", device="cpu"))
    build(place, LabelSettings(label_null_repeats=0))
    return place


@pytest.mark.slow
def test_the_mart_equals_the_formula_on_each_half(scored):
    with connect(scored) as con:
        names, texts = zip(
            *con.execute(
                "select concept, embedding from raw_concept_embeddings order by concept"
            ).fetchall(),
            strict=True,
        )
        (units,) = con.execute("select unit_count from layers").fetchall()[0]
        for half in ("screening", "testing"):
            ids, images = zip(
                *con.execute(
                    "select example_id, embedding from image_embeddings "
                    "inner join examples using (dataset, example_id) "
                    "where half = $half and duplicate_of is null order by example_id",
                    {"half": half},
                ).fetchall(),
                strict=True,
            )
            place = {example_id: n for n, example_id in enumerate(ids)}
            dense = np.zeros((units, len(ids)))
            for unit, example_id, value in con.execute(
                "select unit, example_id, activation from activations"
            ).fetchall():
                if example_id in place:
                    dense[unit, place[example_id]] = value
            vectors = np.array(images, np.float64)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            active = dense.max(1) > 0
            assert active.sum() > 5
            expected = transcribe(dense[active], vectors, np.array(texts, np.float64))
            row_of = {int(unit): n for n, unit in enumerate(np.flatnonzero(active))}
            column_of = {name: n for n, name in enumerate(names)}
            rows = con.execute(f"select unit, concept, {half} from raw_soft_wpmi").fetchall()
            kept: dict[int, set[str]] = {unit: set() for unit in row_of}
            for unit, concept, value in rows:
                if unit in row_of:
                    wanted = expected[row_of[unit], column_of[concept]]
                    assert abs(value - wanted) <= max(1e-3 * abs(wanted), 2e-3)
                    kept[unit].add(concept)
                else:
                    assert value is None
            assert all(kept.values())
            if half == "screening":
                for unit, row in row_of.items():
                    best = [names[n] for n in np.argsort(-expected[row])[:10]]
                    assert set(best) <= kept[unit]
