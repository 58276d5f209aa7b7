"""Whether what lies closest is of one family: for words by their embeddings, and beside it by their spelling.

Embeddings of words drawn as images have most of themselves in common: black letters on a white ground. Less
their mean they tell words apart (Goh et al. 2021, doi:10.23915/distill.00030, "image-based word embedding").
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


class Kin(NamedTuple):
    """How often the closest is of one family with what is asked about."""

    hit_count: int
    asked_count: int
    """Of so many that were asked about: those with anything to choose from."""
    chance_frac: float
    """The share to expect of one drawn at random from the same; 0 if nothing was asked."""


def centre(embeddings: Floats) -> Floats:
    """Embeddings less their mean, L2 norm 1; one at the mean is zero.

    Args:
        embeddings: ``[N, D]``.
    """
    moved = embeddings - embeddings.mean(axis=0)
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    centred: Floats = moved / np.where(lengths > 0, lengths, 1)
    return centred


def find_closest(closeness: Floats, may_be: Bools) -> Ints:
    """The place of the closest, int64 ``[A]``; of equal ones the first, -1 where none may be.

    Args:
        closeness: ``[A, N]``.
        may_be: ``[A, N]``: which are chosen from.
    """
    best = np.where(may_be, closeness, -np.inf).argmax(axis=1)
    return np.where(may_be.any(axis=1), best, -1)


def count_kin(closeness: Floats, is_kin: Bools, may_be: Bools) -> Kin:
    """How often the closest is kin, and how often one at random would be.

    Args:
        closeness: ``[A, N]``.
        is_kin: ``[A, N]``.
        may_be: ``[A, N]``: which are chosen from; not the one that is asked about.
    """
    closest = find_closest(closeness, may_be)
    asked = np.flatnonzero(closest >= 0)
    if not len(asked):
        return Kin(0, 0, 0.0)
    chance = (is_kin & may_be)[asked].sum(axis=1) / may_be[asked].sum(axis=1)
    return Kin(int(is_kin[asked, closest[asked]].sum()), len(asked), float(chance.mean()))
