"""A class as a few neurons: sparse linear probes, beside the best single neuron and the probe of all neurons.

Goh et al. 2021 (doi:10.23915/distill.00030) read each class of ImageNet from three neurons. Here neurons are
chosen by orthogonal matching pursuit and weighed by logistic regression; the probe of all neurons is a ridge
regression onto the classes, its strength chosen by leaving one out.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeCV, orthogonal_mp_gram

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

STRENGTHS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
"""Of the ridge, that are tried."""


@dataclass(frozen=True)
class Probed:
    """How often a probe is right on images that it was not fitted to."""

    name: str
    top1_count: int
    top5_count: int
    """The class is among the five that score highest."""


@dataclass(frozen=True)
class SparseProbes:
    """The probes of one layer."""

    probed: tuple[Probed, ...]
    """``one``, ``few`` and ``all`` neurons; then ``few`` and ``all`` fitted to shuffled classes."""
    units: Ints
    """``[C, K]``: the few neurons of each class, chosen first comes first; -1 where there are fewer."""
    weights: Floats
    """``[C, K]``: log odds for one SD."""


def probe_classes(
    fitted: Floats, classes: Ints, tested: Floats, wanted: Ints, neurons: int = 3
) -> SparseProbes:
    """Fit probes to one half of the images, and ask them about the other.

    Args:
        fitted: Float64 ``[N, U]``, activations.
        classes: ``[N]``, from 0; each occurs.
        tested: Float64 ``[M, U]``.
        wanted: ``[M]``.
        neurons: How many each class may have.
    """
    means, scales = fitted.mean(axis=0), fitted.std(axis=0)
    scales = np.where(scales > 0, scales, 1)
    fitted, tested = (fitted - means) / scales, (tested - means) / scales
    shuffled = np.random.default_rng(0).permutation(classes)
    units, weights, few = _probe_few(fitted, classes, tested, neurons)
    probed = (
        _judge("one", _probe_few(fitted, classes, tested, 1)[2], wanted),
        _judge("few", few, wanted),
        _judge("all", _probe_all(fitted, classes, tested), wanted),
        _judge("few, shuffled", _probe_few(fitted, shuffled, tested, neurons)[2], wanted),
        _judge("all, shuffled", _probe_all(fitted, shuffled, tested), wanted),
    )
    return SparseProbes(probed, units, weights)


def _one_hot(classes: Ints) -> Floats:
    return np.eye(int(classes.max()) + 1)[classes]


def _probe_few(
    fitted: Floats, classes: Ints, tested: Floats, neurons: int
) -> tuple[Ints, Floats, Floats]:
    """Neurons and weights ``[C, K]``, and scores ``[M, C]``."""
    targets = _one_hot(classes)
    targets -= targets.mean(axis=0)
    gram, products = fitted.T @ fitted, fitted.T @ targets
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # equal neurons: fewer are chosen
        found = orthogonal_mp_gram(gram, products, n_nonzero_coefs=neurons)
    found = found.reshape(len(gram), -1)
    count = targets.shape[1]
    units = np.full((count, neurons), -1)
    weights = np.zeros((count, neurons))
    scores = np.zeros((len(tested), count))
    for number in range(count):
        chosen = np.flatnonzero(found[:, number])
        if not len(chosen):
            continue
        model = LogisticRegression(class_weight="balanced", max_iter=500)
        model.fit(fitted[:, chosen], classes == number)
        order = np.argsort(-np.abs(model.coef_[0]), kind="stable")
        units[number, : len(chosen)] = chosen[order]
        weights[number, : len(chosen)] = model.coef_[0][order]
        scores[:, number] = model.decision_function(tested[:, chosen])
    return units, weights, scores


def _probe_all(fitted: Floats, classes: Ints, tested: Floats) -> Floats:
    """Scores ``[M, C]``."""
    model = RidgeCV(alphas=STRENGTHS).fit(fitted, _one_hot(classes))
    scores: Floats = np.asarray(model.predict(tested)).reshape(len(tested), -1)
    return scores


def _judge(name: str, scores: Floats, wanted: Ints) -> Probed:
    """Ties go against the probe."""
    own = scores[np.arange(len(wanted)), wanted][:, None]
    above = (scores >= own).sum(axis=1) - 1
    return Probed(name, int((above < 1).sum()), int((above < 5).sum()))
