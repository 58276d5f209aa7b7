"""AUC and MAD of every neuron and concept on fresh images, within each form and averaged over the forms.

Kopf et al. 2024, CoSy, arXiv:2405.20331, equations 3 and 4; there all control images are of one form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array
from scipy.stats import rankdata

from pipeline.tables.schema import TABLES

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class FormScores:
    """Of one form."""

    auc: Floats
    """``[C, U]``; NaN for concepts without an image, or without a control."""
    mad: Floats
    """``[C, U]``; NaN as well where all controls are alike."""
    image_count: Ints
    """``[C]``."""
    control_count: Ints
    """``[C]``."""


def score_form(activations: Floats, concepts: Ints, count: int) -> FormScores:
    """Score every concept against all others.

    Args:
        activations: ``[N, U]`` of the images of one form.
        concepts: ``[N]``: which of the concepts each shows.
        count: How many concepts there are.
    """
    size = len(concepts)
    shown = csr_array((np.ones(size), (concepts, np.arange(size))), shape=(count, size))
    images = np.bincount(concepts, minlength=count)
    few, rest = images[:, None].astype(float), (size - images)[:, None].astype(float)
    values = activations.astype(float) - activations.mean(axis=0, dtype=float)
    sums, squares = shown @ values, shown @ values**2
    with np.errstate(divide="ignore", invalid="ignore"):
        ranks = shown @ rankdata(activations, axis=0)
        auc = (ranks - few * (few + 1) / 2) / (few * rest)
        mean = (values.sum(axis=0) - sums) / rest
        variance = ((values**2).sum(axis=0) - squares) / rest - mean**2
        is_flat = variance <= 1e-12 * (values**2).mean(axis=0)  # all alike, but for rounding
        mad = (sums / few - mean) / np.sqrt(np.where(is_flat, np.nan, variance))
    return FormScores(auc, mad, images, size - images)


def score_fresh(
    activations: Floats, concepts: Sequence[str], forms: Sequence[str], seed: int
) -> pa.Table:
    """Rows of ``fresh_scores``: every neuron and every concept that has images and controls.

    Args:
        activations: Float32 ``[N, U]``.
        concepts: ``[N]``: what each image shows.
        forms: ``[N]``: in which form.
        seed: Of the permutations of concepts within a form.
    """
    names, numbers = np.unique(np.array(concepts, dtype=object), return_inverse=True)
    plain: list[FormScores] = []
    permuted: list[FormScores] = []
    kinds = sorted(set(forms))
    for place, form in enumerate(kinds):
        here = np.array([one == form for one in forms])
        order = np.random.default_rng([seed, place]).permutation(int(here.sum()))
        plain.append(score_form(activations[here], numbers[here], len(names)))
        permuted.append(score_form(activations[here], numbers[here][order], len(names)))
    images = sum(one.image_count for one in plain)
    controls = sum(np.where(one.image_count > 0, one.control_count, 0) for one in plain)
    told = [
        ", ".join(form for form, one in zip(kinds, plain, strict=True) if one.image_count[c])
        for c in range(len(names))
    ]
    unit_count = activations.shape[1]

    def every(values: Any) -> Any:
        """By neuron, then by concept."""
        return np.tile(np.asarray(values), unit_count)

    def mean(found: Sequence[FormScores], name: str) -> pa.Array:
        values = np.stack([getattr(one, name) for one in found])
        known = ~np.isnan(values)
        with np.errstate(invalid="ignore"):
            means = np.where(known, values, 0).sum(axis=0) / known.sum(axis=0)
        flat = means.T.reshape(-1)
        return pa.array(flat.astype(np.float32), mask=np.isnan(flat))

    columns = [
        np.repeat(np.arange(unit_count, dtype=np.int32), len(names)),
        pa.array(every(names), pa.string()),
        pa.array(every(np.array(told, dtype=object)), pa.string()),
        every(np.asarray(images)).astype(np.int32),
        every(np.asarray(controls)).astype(np.int32),
        mean(plain, "auc"),
        mean(plain, "mad"),
        mean(permuted, "auc"),
        mean(permuted, "mad"),
    ]
    return pa.table(columns, schema=TABLES["fresh_scores"].arrow_schema())
