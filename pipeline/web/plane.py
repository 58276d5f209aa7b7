"""A plane in which neurons that see alike lie together: t-SNE of what excites each of them most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import duckdb

    from pipeline.evidence.matrix import RunLayer

COMPONENTS = 50
"""Principal components that are kept before, as van der Maaten & Hinton (2008) do."""

PERPLEXITY = 30.0
STEPS = 500
"""Of the descent: twice as many place neighbours no better (trustworthiness 0.946 and 0.945 of nano's 768)."""

Floats = np.ndarray[Any, np.dtype[np.float64]]


def mean_directions(
    connection: duckdb.DuckDBPyConnection, layer: RunLayer
) -> tuple[np.ndarray[Any, np.dtype[np.int32]], np.ndarray[Any, np.dtype[np.float32]]]:
    """What the strongest examples of each neuron look like to the model, on average.

    Args:
        connection: With the views.
        layer: The layer.

    Returns:
        Units that have a top example, int32 ``[U]``, ascending; and the mean embedding of these examples,
        float32 ``[U, D]``, L2 norm 1.
    """
    from pipeline.evidence.clarity import iter_top_examples

    units, means = [], []
    for top in iter_top_examples(connection, layer):
        mean = top.embeddings.mean(axis=0, dtype=np.float64)
        units.append(top.unit)
        means.append(mean / max(float(np.linalg.norm(mean)), 1e-12))
    directions = np.array(means, np.float32).reshape(len(units), -1)
    return np.array(units, np.int32), directions


def lay_out(directions: np.ndarray[Any, np.dtype[np.float32]]) -> Floats:
    """Places in a plane, float64 ``[U, 2]`` in 0..1, such that near ones look alike to the model.

    t-SNE (van der Maaten & Hinton 2008; Barnes-Hut approximation, van der Maaten 2014), begun from the
    principal components: the same input gives the same picture. Distances between far groups, and the
    sizes of groups, mean nothing.

    Args:
        directions: ``[U, D]``, L2 norm 1, finite.
    """
    count = len(directions)
    if count < 5:  # too few for neighbours to mean anything: a circle
        turns = 2 * np.pi * np.arange(count) / max(count, 1)
        return 0.5 + 0.25 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    if not np.ptp(directions, axis=0).any():  # all alike: there is no component
        return np.full((count, 2), 0.5)
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    size = min(COMPONENTS, *directions.shape)
    points = PCA(size, random_state=0).fit_transform(directions.astype(np.float64))
    descent = TSNE(
        2, perplexity=min(PERPLEXITY, (count - 1) / 3), max_iter=STEPS, init="pca", random_state=0
    )
    places = descent.fit_transform(points).astype(np.float64)
    low, high = places.min(axis=0), places.max(axis=0)
    found: Floats = 0.5 + (places - (low + high) / 2) / max(float((high - low).max()), 1e-12)
    return found
