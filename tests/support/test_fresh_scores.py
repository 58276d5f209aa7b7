"""AUC and MAD on fresh images are what scikit-learn and NumPy say, form by form."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.support.score import score_form, score_fresh

FORMS = ("line drawing", "rendered word")


@pytest.fixture
def images():
    """60 images of six concepts; neuron 0 knows concept 0 in both forms, 1 is noise with ties, 2 is dead."""
    rng = np.random.default_rng(1)
    concepts = np.arange(60) % 6
    forms = np.array(FORMS)[np.arange(60) // 30]
    activations = np.stack(
        [rng.normal(3 * (concepts == 0), 1), rng.integers(0, 3, 60), np.zeros(60)], axis=1
    )
    return activations.astype(np.float32), concepts, forms


def expected(activations, concepts, forms, unit, concept):
    aucs, mads = [], []
    for form in FORMS:
        values, shows = activations[forms == form, unit], (concepts == concept)[forms == form]
        if shows.any():
            aucs.append(roc_auc_score(shows, values))
            if values[~shows].std():
                mads.append((values[shows].mean() - values[~shows].mean()) / values[~shows].std())
    return np.mean(aucs), np.mean(mads) if mads else None


def test_scores_are_what_numpy_says(images):
    activations, concepts, forms = images
    names = [f"c{n}" for n in concepts]
    rows = score_fresh(activations, names, list(forms), seed=0).to_pylist()
    assert len(rows) == 3 * 6
    for row in rows:
        auc, mad = expected(activations, concepts, forms, row["unit"], int(row["concept"][1:]))
        assert row["auc"] == pytest.approx(auc, abs=1e-6)
        assert row["mad"] == (None if mad is None else pytest.approx(mad, rel=1e-5, abs=1e-6))
        assert (row["image_count"], row["control_count"]) == (10, 50)
        assert row["forms"] == "line drawing, rendered word"
    assert rows[0]["auc"] > 0.9 and rows[0]["mad"] > 2


def test_a_concept_is_held_against_its_own_forms_alone(images):
    activations, concepts, forms = images
    keep = ~((concepts == 3) & (forms == "line drawing"))
    activations[forms == "line drawing"] += 100  # says nothing of concept 3, which is not drawn
    table = score_fresh(
        activations[keep], [f"c{n}" for n in concepts[keep]], list(forms[keep]), seed=0
    )
    (row,) = [r for r in table.to_pylist() if r["unit"] == 1 and r["concept"] == "c3"]
    auc, mad = expected(activations[keep], concepts[keep], forms[keep], 1, 3)
    assert (row["forms"], row["image_count"], row["control_count"]) == ("rendered word", 5, 25)
    assert (row["auc"], row["mad"]) == (
        pytest.approx(auc, abs=1e-6),
        pytest.approx(mad, abs=1e-5),
    )


def test_a_concept_alone_in_its_form_has_no_score():
    scores = score_form(np.ones((4, 2), np.float32), np.zeros(4, np.int64), 2)
    assert np.isnan(scores.auc).all() and np.isnan(scores.mad).all()


def test_permuted_concepts_come_to_one_half_whatever_the_neuron_knows():
    rng = np.random.default_rng(0)
    concepts = np.arange(2000) % 200
    activations = rng.normal(5 * (concepts[:, None] == np.arange(50)), 1).astype(np.float32)
    names = [f"{n:03d}" for n in concepts]
    table = score_fresh(activations, names, ["photo"] * 2000, seed=0).to_pylist()
    own = [row for row in table if int(row["concept"]) == row["unit"]]
    assert np.mean([row["auc"] for row in own]) > 0.99
    assert np.mean([row["permuted_auc"] for row in table]) == pytest.approx(0.5, abs=0.01)
    assert np.mean([row["permuted_auc"] for row in own]) == pytest.approx(0.5, abs=0.05)
    assert np.mean([row["permuted_mad"] for row in table]) == pytest.approx(0, abs=0.02)
    again = score_fresh(activations, names, ["photo"] * 2000, seed=0).to_pylist()
    assert again == table
