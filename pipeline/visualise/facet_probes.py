"""A facet probe: a linear probe on the channels of a lower layer that tells one facet from others.

Goh et al. 2021 (doi:10.23915/distill.00030, appendix "Faceted feature visualization") train a linear probe
on lower layers to discriminate images of a theme from others, and steer a picture by its weights w: maximise
f(g(x)) + w . (g(x) * grad f(g(x))), where g is the lower layer. Here one weight is learnt for each channel,
over its mean over all positions, so that the same weight holds at every position and for every size of
picture; on nano's layers such probes are as good as those with a weight for each position, or better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from sklearn.linear_model import LogisticRegression

from pipeline.base.errors import WarehouseError

LEAST_ACCURACY = 0.8
"""A probe below it is not used."""

PENALTY_C = 0.1
"""scikit-learn's C, of channels in standard deviations: smaller is stronger."""

Floats = np.ndarray[Any, np.dtype[np.float32]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class FacetProbe:
    """P(facet) = sigmoid(weight . mean over positions of the probe layer's channels + bias)."""

    facet: str
    probe_layer: str
    """Canonical name of the lower layer: ``PATH:output:mean``."""
    weight: Floats
    """Float32 ``[channels]``, log odds for one model unit of a channel."""
    bias: float
    accuracy: float
    """Balanced, on held-out images: the mean of the shares of both kinds that it calls right; chance is 0.5."""

    def probability(self, means: Floats) -> Floats:
        """P(facet) of images, float32 ``[N]``, of the means of their channels, ``[N, channels]``."""
        odds = means.astype(np.float64) @ self.weight.astype(np.float64) + self.bias
        return (0.5 * (1 + np.tanh(odds / 2))).astype(np.float32)  # does not overflow


def fit_facet_probe(
    facet: str, probe_layer: str, means: Floats, is_shown: Bools, is_held_out: Bools
) -> FacetProbe:
    """Train a probe on the images that are not held out, and measure it on those that are.

    Logistic regression with an L2 penalty on standardised channels, both kinds of the same weight in sum. A
    channel that is constant has weight 0.

    Args:
        facet: What it tells.
        probe_layer: Where the channels are from.
        means: Float32 ``[N, channels]``, each channel's mean over all positions.
        is_shown: ``[N]``, which images show the facet; both kinds, held out and not.
        is_held_out: ``[N]``.
    """
    trained = means[~is_held_out].astype(np.float64)
    centre, spread = trained.mean(0), trained.std(0)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-6)
    model = LogisticRegression(C=PENALTY_C, class_weight="balanced", max_iter=5000, tol=1e-5)
    model.fit((trained - centre) * scale, is_shown[~is_held_out])
    weight = (model.coef_[0] * scale).astype(np.float32)
    bias = float(model.intercept_[0] - weight.astype(np.float64) @ centre)
    plain = FacetProbe(facet, probe_layer, weight, bias, 0.0)
    called = plain.probability(means[is_held_out]) > 0.5
    shown = is_shown[is_held_out]
    accuracy = (called[shown].mean() + (~called[~shown]).mean()) / 2
    return FacetProbe(facet, probe_layer, weight, bias, float(accuracy))


def read_facet_probe(
    connection: duckdb.DuckDBPyConnection, dataset: str, run_id: str, layer: str, facet: str
) -> FacetProbe:
    """A probe that was trained (``neurons facet-probes``) and is good enough.

    Args:
        connection: Of ``pipeline.connect``.
        dataset: Of the run.
        run_id: Its id.
        layer: Canonical name of the layer whose neurons are drawn.
        facet: What it tells.

    Raises:
        WarehouseError: There is none, or it tells too few held-out images right.
    """
    rows = connection.execute(
        """
        select facet, probe_layer, weights, bias, accuracy, is_usable from facet_probes
        where dataset = $dataset and run_id = $run_id and layer = $layer
        order by facet
        """,
        {"dataset": dataset, "run_id": run_id, "layer": layer},
    ).fetchall()
    found = {row[0]: row for row in rows}
    if facet not in found:
        known = ", ".join(found) or "none"
        raise WarehouseError(
            f"Run {run_id!r} of {dataset!r} has no probe of facet {facet!r} for layer {layer!r}.",
            f"There are: {known}. Train it: neurons facet-probes --dataset {dataset} --run {run_id} "
            f"--facet {facet!r}",
        )
    _, probe_layer, weights, bias, accuracy, is_usable = found[facet]
    if not is_usable:
        raise WarehouseError(
            f"The probe of facet {facet!r} on {probe_layer} calls {accuracy:.2f} of held-out images right "
            f"(balanced, chance is 0.50); less than {LEAST_ACCURACY} steers nothing.",
            "Train it on more images, or on another layer: neurons facet-probes --images N "
            "--probe-layer PATH. If it stays low, that layer does not tell this facet.",
        )
    return FacetProbe(facet, probe_layer, np.asarray(weights, np.float32), bias, accuracy)
