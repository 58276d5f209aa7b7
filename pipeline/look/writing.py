"""What writing looks like to a model: a direction in its embedding space, from images of known form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.evidence.matrix import load_embeddings

if TYPE_CHECKING:
    import duckdb

    from pipeline.warehouse.find import FoundRun

LEAST = 20
"""Images that there must be of writing, and of anything else."""
MOST = 2000
"""Images of each that are taken, by the hash of the image."""
SHRINKAGE = 0.1
"""Share of the mean variance that is added to each: few images do not tell many dimensions."""

_IMAGES = """
    select example_id from (
        select example_id
        from example_facets
        inner join stg_examples using (dataset, example_id)
        where
            dataset = $dataset and run_id = $run_id and facet_origin = $origin
            and (facet = 'rendered word') = $is_writing
        order by image_sha256, example_id
        limit $most
    ) order by example_id
"""


@dataclass(frozen=True)
class Writing:
    """Tells writing from anything else."""

    direction: np.ndarray[Any, np.dtype[np.float64]]
    """Fisher's linear discriminant, ``[D]``, such that the run's images of writing are at 1 on average."""
    offset: float
    """And all others at 0."""
    is_guessed: bool
    """The forms of the run's images are the model's own guess, not known by construction."""

    def share(self, embeddings: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Where images stand between the run's pictures (0) and its writing (1), cut to that: ``[N]``."""
        found: np.ndarray[Any, Any] = np.clip(embeddings @ self.direction + self.offset, 0, 1)
        return found


def learn_writing(
    connection: duckdb.DuckDBPyConnection, run: FoundRun
) -> tuple[Writing | None, str]:
    """Learn it from the run's images whose form is known, else from those whose form the model guessed.

    Returns:
        None and the reason if there are too few.
    """
    told = ""
    for origin in ("stimulus", "similarity"):
        where = {
            "dataset": run.dataset,
            "run_id": run.run_id,
            "origin": origin,
            "most": MOST,
        }
        both = []
        for is_writing in (True, False):
            rows = connection.execute(_IMAGES, {**where, "is_writing": is_writing}).fetchnumpy()
            both.append(np.asarray(rows["example_id"], np.int64))
        writing, others = both
        if min(len(writing), len(others)) >= LEAST:
            found = [load_embeddings(connection, run.dataset, run.run_id, ids) for ids in both]
            direction, offset = discriminate(*found)
            return Writing(direction, offset, origin == "similarity"), ""
        told = (
            told
            or f"{len(writing)} images that are known to be writing and {len(others)} that are not"
        )
    return None, (
        f"The run has {told}; {LEAST} of each are needed to know what writing looks like to this model. "
        "Make some (neurons stimuli words), or let the model guess (neurons similarity)."
    )


def discriminate(
    ones: np.ndarray[Any, Any], zeros: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], float]:
    """Fisher's linear discriminant of two sets (Fisher 1936, doi:10.1111/j.1469-1809.1936.tb02137.x).

    The direction is ``S^-1 (m1 - m0)``, with the pooled covariance ``S`` made larger by `SHRINKAGE` of the
    mean variance; scaled and shifted so that the mean of the one set is at 1, of the other at 0.

    Args:
        ones: ``[N, D]``.
        zeros: ``[M, D]``.
    """
    ones, zeros = ones.astype(np.float64), zeros.astype(np.float64)
    gap = ones.mean(0) - zeros.mean(0)
    pooled = (np.cov(ones.T) + np.cov(zeros.T)) / 2
    pooled += SHRINKAGE * np.trace(pooled) / len(pooled) * np.eye(len(pooled))
    direction = np.linalg.solve(pooled, gap)
    length = direction @ gap
    if length <= 0:  # both are the same
        return np.zeros_like(gap), 0.0
    direction = direction / length
    return direction, float(-(direction @ zeros.mean(0)))
