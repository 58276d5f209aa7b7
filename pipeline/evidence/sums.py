"""A concept as a sparse sum of neurons: logistic regression with an L1 penalty over activations.

Goh et al. 2021 (doi:10.23915/distill.00030) write emotions as sparse sums of emotion neurons. Neurons
and weights are chosen on the screening half of the images; how well their sum tells the concept is
measured on the testing half.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from pipeline.base.errors import WarehouseError
from pipeline.evidence.facets import auroc_of
from pipeline.evidence.matrix import RunLayer, example_ids, iter_blocks, read_units

MIN_POSITIVES = 3
"""Images of each half that must show the concept."""

MAX_BYTES = 1 << 30
"""Size of the matrix that is fitted, as float64: beyond it, images without the concept are drawn."""

STEP, STEPS = 1.25, 40
"""Each strength that is tried is so many times weaker than the one before; and how many there are."""

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ids = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Term:
    """One neuron of a sum."""

    layer: RunLayer
    unit: int
    weight: float
    """Change of the log odds for one standard deviation of its activation."""
    auroc: float
    """Of this neuron alone, on the testing half; 0.5 is chance, below it an inhibited one."""


@dataclass(frozen=True)
class NeuronSum:
    """A concept as a sparse sum of neurons."""

    terms: tuple[Term, ...]
    """Heaviest first."""
    auroc: float
    """Of the sum, on the testing half."""
    best: Term
    """The single neuron that tells the concept best on the screening half; its weight is 1 or -1."""
    strength: float
    """The penalty's C: smaller is stronger."""
    fitted_positive_count: int
    fitted_count: int
    """Images of the screening half that were fitted; of many, those without the concept are drawn."""
    testing_positive_count: int
    testing_count: int


def auroc(scores: np.ndarray[Any, Any], shows: np.ndarray[Any, np.dtype[np.bool_]]) -> Floats:
    """Chance that an image with the concept scores above one without; ties count half.

    Args:
        scores: ``[..., N]``.
        shows: Bool ``[N]``; some true and some false.

    Returns:
        Float64 ``[...]``.
    """
    ranks = rankdata(scores, axis=-1)
    return auroc_of(2 * ranks[..., shows].sum(axis=-1), int(shows.sum()), len(shows))


def fit_sparse(
    values: Floats, shows: np.ndarray[Any, np.dtype[np.bool_]], neurons: int
) -> tuple[Floats, float]:
    """L1 logistic regression with at most so many weights other than 0.

    Images with and without the concept weigh the same in sum, however rare it is. The penalty begins
    at the strength that keeps no weight (1 / C = the largest gradient at 0) and is weakened step by
    step; taken is the last step before there would be more than ``neurons`` weights.

    Args:
        values: Float64 ``[N, U]``, standardised.
        shows: Bool ``[N]``; some true and some false.
        neurons: How many weights at most, 1 or more.

    Returns:
        Weights, float64 ``[U]``, and the penalty's C. All weights are 0 if no column tells anything,
        or if the first step takes in more than ``neurons`` at once (columns that are equal).
    """
    importance = np.where(shows, 0.5 / shows.mean(), -0.5 / (~shows).mean())  # balanced, signed
    steepest = float(np.abs(importance @ values).max(initial=0.0)) / 2
    weights, strength = np.zeros(values.shape[1]), 0.0
    for step in range(1, STEPS + 1) if steepest > 0 else ():
        model = LogisticRegression(
            C=STEP**step / steepest,
            l1_ratio=1.0,
            solver="liblinear",
            class_weight="balanced",
            random_state=0,
            tol=1e-5,
            max_iter=1000,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            try:
                model.fit(values, shows)
            except ConvergenceWarning:  # far beyond what few neurons need
                break
        if np.count_nonzero(model.coef_[0]) > neurons:
            break
        weights, strength = model.coef_[0], model.C
    return weights, strength


def find_sum(
    connection: duckdb.DuckDBPyConnection,
    layers: list[RunLayer],
    shown: Ids,
    neurons: int,
    told: str = "the concept",
    max_bytes: int = MAX_BYTES,
) -> NeuronSum:
    """Write a concept as a sparse sum of the neurons of some layers of one run.

    Args:
        connection: With the views.
        layers: Of one run; their neurons stand side by side.
        shown: int64, ascending: the examples that show the concept.
        neurons: How many neurons at most; a neuron that is constant is never one.
        told: Which concept, and by whose word, for the error.
        max_bytes: See `MAX_BYTES`.

    Raises:
        WarehouseError: Fewer than three images of a half show the concept, or all of them do; or no
            neuron tells anything about it.
    """
    place = (layers[0].dataset, layers[0].run_id)
    screening = example_ids(connection, *place, half="screening")
    testing = example_ids(connection, *place, half="testing")
    in_screening, in_testing = np.isin(screening, shown), np.isin(testing, shown)
    for half, found in (("screening", in_screening), ("testing", in_testing)):
        if not MIN_POSITIVES <= found.sum() < len(found):
            raise WarehouseError(
                f"Images of the {half} half that show {told}: {found.sum()} of {len(found)}.",
                f"At least {MIN_POSITIVES} are needed, and some without it.",
            )
    unit_count = sum(layer.unit_count for layer in layers)
    screening = _draw(screening, in_screening, max_bytes // (8 * unit_count))
    shows = np.isin(screening, shown)
    values = np.concatenate([_read_all(connection, layer, screening) for layer in layers]).T
    scales = values.std(axis=0)
    alive = np.flatnonzero(values.max(axis=0) > values.min(axis=0))
    values = (values[:, alive] - values[:, alive].mean(axis=0)) / scales[alive]
    weights, strength = fit_sparse(values, shows, neurons)
    alone = auroc(values.T, shows)
    if not weights.any():
        raise WarehouseError(
            f"No sum of {neurons} neurons or fewer tells the images with the concept from the others.",
            "Allow more with --neurons, or choose another layer.",
        )
    best = int(np.argmax(np.abs(alone - 0.5)))
    chosen = sorted(np.flatnonzero(weights).tolist(), key=lambda n: (-abs(weights[n]), n))
    columns = alive[np.array([*chosen, best])]
    tested = _read_columns(connection, layers, columns, testing)
    aurocs = auroc(tested, in_testing)
    total = (weights[chosen] / scales[alive[chosen]]) @ tested[:-1]
    names = [(layer, unit) for layer in layers for unit in range(layer.unit_count)]
    return NeuronSum(
        terms=tuple(
            Term(names[column][0], names[column][1], float(weights[n]), float(a))
            for n, column, a in zip(chosen, columns[:-1].tolist(), aurocs[:-1], strict=True)
        ),
        auroc=float(auroc(total, in_testing)),
        best=Term(*names[int(columns[-1])], 1.0 if alone[best] >= 0.5 else -1.0, float(aurocs[-1])),
        strength=strength,
        fitted_positive_count=int(shows.sum()),
        fitted_count=len(shows),
        testing_positive_count=int(in_testing.sum()),
        testing_count=len(testing),
    )


def _draw(ids: Ids, shows: np.ndarray[Any, np.dtype[np.bool_]], most: int) -> Ids:
    """Of too many images, up to half with the concept, and of the others as many as fit (seeded)."""
    if len(ids) <= most:
        return ids
    random = np.random.default_rng(0)
    positives, negatives = ids[shows], ids[~shows]
    if len(positives) > most // 2:
        positives = random.choice(positives, most // 2, replace=False)
    if len(negatives) > most - len(positives):
        negatives = random.choice(negatives, most - len(positives), replace=False)
    return np.sort(np.concatenate([positives, negatives]))


def _read_all(connection: duckdb.DuckDBPyConnection, layer: RunLayer, ids: Ids) -> Floats:
    """Float64 ``[U, N]``."""
    blocks = [block.activations for block in iter_blocks(connection, layer, ids)]
    return np.concatenate(blocks).astype(np.float64)


def _read_columns(
    connection: duckdb.DuckDBPyConnection, layers: list[RunLayer], columns: Ids, ids: Ids
) -> Floats:
    """Float64 ``[C, N]``: neurons by their place among those of all layers."""
    found = np.zeros((len(columns), len(ids)))
    first = 0
    for layer in layers:
        here = np.flatnonzero((columns >= first) & (columns < first + layer.unit_count))
        units = [int(columns[n]) - first for n in here]
        found[here] = read_units(connection, layer, ids, units)
        first += layer.unit_count
    return found
