"""Soft-WPMI equals a plain transcription of the paper's formula, from functions to the mart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import DOUBLE, SINGLE
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
    got = soft_wpmi(log_expected(likely.double(), torch.tensor(order)))
    expected = transcribe(activations, images, texts)
    apart = most_apart(8, concepts, min(count, 100), expected)
    assert (np.abs(got.numpy() - expected) <= apart).all()


def most_apart(width, concepts, count, expected):
    """What rounding can do to soft-WPMI, in nats: ``[U, C]``.

    Cosines are of float32 (roundoff u) vectors that are rounded (1 each), divided (1) by their length
    (width / 2 + 1), multiplied and added (width), of length one, so that products add up to 1 at most
    (Cauchy and Schwarz). Times 10 and from the largest, at most 20 away, they are the exponents of the
    softmax; its exp is good to 20 units in the last place (torch's fastest), its sum of so many and its
    division add roundoffs: so p(t|x) is wrong by the share r. ln(1 - m + m p) moves by at most r, as
    m p <= 1 - m + m p, and by what doubles do to it (its logarithm is of 1 - m >= 0.002, and m is
    known to 4 roundoffs); a sum of such by count times that; its mean over neurons, in logarithms, by as
    much again; the result is stored as float32. The transcription itself is in doubles, with less.
    """
    u, w = float(SINGLE), float(DOUBLE)
    exponent = 10 * (2 + 1 + width / 2 + 1 + width) * u + 10 * u + 20 * u
    r = 1.01 * (2 * exponent + 2 * 40 * u + (concepts + 1) * u)
    double = (8 + count) * w * (1 / (1 - 0.998) + abs(np.log(1 - 0.998)))
    return 2 * count * (r + 2 * double) + 2 * u * np.abs(expected) + 1e3 * w


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    place = make_warehouse(tmp_path_factory.mktemp("wpmi"), ("visual.layer3.0",), run="r")
    score_similarity(SimilarityConfig(str(place), "textures", "r", templates=("{}",), device="cpu"))
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
