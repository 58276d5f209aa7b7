"""Sparse sums: exact AUROCs, sums that are there, and no more neurons than asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import auroc as exact_auroc
from sklearn.metrics import roc_auc_score

from pipeline.base.errors import WarehouseError
from pipeline.evidence.matrix import example_ids, iter_blocks, list_layers
from pipeline.evidence.sums import auroc, find_sum, fit_sparse
from pipeline.warehouse.connect import connect


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(4, 60), st.integers(1, 5))
def test_auroc_is_the_share_of_pairs(seed, count, levels):
    random = np.random.default_rng(seed)
    shows = random.random(count) < 0.4
    shows[:2] = [True, False]
    scores = random.integers(0, levels + 1, (3, count)).astype(float)  # many ties
    assert auroc(scores, shows).tolist() == [exact_auroc(row[shows], row[~shows]) for row in scores]


def _made(count=600, width=40, rare=0.05):
    """Two columns make the concept, one inhibits it; the others are noise."""
    random = np.random.default_rng(7)
    values = random.normal(size=(count, width))
    score = 2 * values[:, 3] + 2 * values[:, 11] - 1.5 * values[:, 20]
    return values, score > np.quantile(score, 1 - rare)


def test_a_sum_that_is_there_is_found():
    values, shows = _made()
    weights, strength = fit_sparse(values, shows, 3)
    assert set(np.flatnonzero(weights)) == {3, 11, 20}
    assert weights[3] > 0
    assert weights[11] > 0
    assert weights[20] < 0
    assert strength > 0
    alone = max(roc_auc_score(shows, values[:, n]) for n in (3, 11))
    assert roc_auc_score(shows, values @ weights) > alone + 0.05
    again, same = fit_sparse(values, shows, 3)
    assert np.array_equal(again, weights)
    assert same == strength


@pytest.mark.parametrize("neurons", [1, 2, 5, 12, 1000])
def test_there_are_no_more_neurons_than_asked_for(neurons):
    values, shows = _made()
    weights, _ = fit_sparse(values, shows, neurons)
    assert 1 <= np.count_nonzero(weights) <= neurons


def test_columns_that_tell_nothing_give_no_weights():
    weights, strength = fit_sparse(np.zeros((20, 3)), np.arange(20) < 5, 2)
    assert not weights.any()
    assert strength == 0


def _shown(connection, layer):
    """Images that excite units 1 and 2 of a layer, by construction a sum of neurons."""
    ids = example_ids(connection, layer.dataset, layer.run_id)
    values = np.concatenate([b.activations for b in iter_blocks(connection, layer, ids)])
    live = np.argsort(-values.std(axis=1))[:2]
    scaled = values[live] / values[live].std(axis=1, keepdims=True)
    total = scaled.sum(axis=0)
    return ids, values, ids[total > np.quantile(total, 0.7)]


def test_a_sum_of_real_neurons_is_measured_on_the_testing_half(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        layer = next(x for x in list_layers(connection) if x.layer.startswith("visual.layer3"))
        ids, values, shown = _shown(connection, layer)
        found = find_sum(connection, [layer], shown, neurons=4)
        halves = dict(connection.execute("select example_id, half from examples").fetchall())
        testing = np.array([halves[i] == "testing" for i in ids.tolist()])
        # Fitted on fewer images than there are: all is the same but the counts.
        some = find_sum(connection, [layer], shown, 4, max_bytes=8 * layer.unit_count * 30)
    assert 1 <= len(found.terms) <= 4
    scales = values[:, ~testing].std(axis=1)
    total = sum(t.weight * values[t.unit] / scales[t.unit] for t in found.terms)
    shows = np.isin(ids, shown)
    assert found.auroc == pytest.approx(roc_auc_score(shows[testing], total[testing]), abs=1e-6)
    assert found.auroc > 0.9
    for term in (*found.terms, found.best):
        seen = values[term.unit]
        assert term.auroc == exact_auroc(seen[testing & shows], seen[testing & ~shows])
    screened = np.array([roc_auc_score(shows[~testing], row[~testing]) for row in values])
    assert found.best.unit == np.abs(screened - 0.5).argmax()
    assert found.fitted_count == (~testing).sum()
    assert found.testing_count == testing.sum()
    assert found.testing_positive_count == (shows & testing).sum()
    assert some.fitted_count == 30
    assert some.testing_count == found.testing_count
    weights = [abs(term.weight) for term in found.terms]
    assert weights == sorted(weights, reverse=True)


def test_layers_stand_side_by_side(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        layers = list_layers(connection)
        third = next(x for x in layers if x.layer.startswith("visual.layer3"))
        _, _, shown = _shown(connection, third)
        found = find_sum(connection, layers, shown, neurons=3)
        assert found.auroc > 0.8
        for term in found.terms:
            assert term.unit < term.layer.unit_count


def test_too_few_images_to_learn_from(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        layers = list_layers(connection)
        ids = example_ids(connection, layers[0].dataset, layers[0].run_id)
        for shown in (ids[:2], ids):
            with pytest.raises(
                WarehouseError, match="Images of the screening half that show the concept: "
            ):
                find_sum(connection, layers, shown, 3)
