"""An atlas of a family of concepts: the answers of its neurons to its images, as a few non-negative parts.

Non-negative matrix factorisation (Lee & Seung 1999, doi:10.1038/44565), as Goh et al. 2021
(doi:10.23915/distill.00030) lay emotions out by the answers of emotion neurons.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

Floats = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Atlas:
    """Answers as so many parts."""

    parts: Floats
    """``[K, U]``: what each part is of the neurons; rows of L2 norm 1, the part that weighs most first."""
    weights: Floats
    """``[N, K]``: how much of each part is in an image."""
    explained_frac: float
    """Of the sum of squares of the answers; 1 is all."""
    permuted_frac: float
    """The same where each neuron's answers are permuted over the images by themselves."""


def factorise(answers: Floats, count: int, seed: int = 0) -> Atlas:
    """Answers as a sum of non-negative parts.

    Args:
        answers: Float64 ``[N, U]``; what is below 0 counts as 0. Neurons in one unit, such as SD.
        count: How many parts; at most N and U.
        seed: Of the permutation.
    """
    positive = np.maximum(answers, 0)
    weights, parts = _fit(positive, count)
    random = np.random.default_rng(seed)
    permuted = random.permuted(positive, axis=0)
    lengths = np.linalg.norm(parts, axis=1)
    weights = weights * lengths
    parts = parts / np.where(lengths > 0, lengths, 1)[:, None]
    order = np.argsort(-weights.sum(axis=0), kind="stable")
    return Atlas(
        parts[order],
        weights[:, order],
        _explained(positive, weights @ parts),
        _explained(permuted, np.matmul(*_fit(permuted, count))),
    )


def _fit(values: Floats, count: int) -> tuple[Floats, Floats]:
    model = NMF(count, init="nndsvda", max_iter=500, tol=1e-4, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what it explains is told
        return model.fit_transform(values), model.components_


def _explained(values: Floats, found: Floats) -> float:
    total = float((values**2).sum())
    return 1 - float(((values - found) ** 2).sum()) / total if total else 0.0


def locate(atlas: Atlas, shown: Mapping[str, Bools]) -> dict[str, Floats]:
    """The place of each concept, float64 ``[K]``: the mean weights of the images that show it.

    Args:
        atlas: Of N images.
        shown: By concept, bool ``[N]``; some are true.
    """
    return {concept: atlas.weights[shows].mean(axis=0) for concept, shows in shown.items()}


def name_part(part: Floats, names: Sequence[str], most: int = 3) -> str:
    """A part by the neurons that weigh most in it, of those that have a tenth of the heaviest or more."""
    order = np.argsort(-part, kind="stable")[:most]
    said = [names[n] for n in order if part[n] > 0 and part[n] >= 0.1 * part.max()]
    return ", ".join(dict.fromkeys(said)) or "nothing"
