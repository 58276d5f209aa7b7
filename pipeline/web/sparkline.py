"""How the activations of a neuron are distributed, as a small outline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pipeline.web.view import View

WIDTH_PX, HEIGHT_PX = 96, 28
_COLUMNS = 32

_BINS = """
select
    unit,
    (if(isfinite(bin_left), bin_left, greatest(bin_left, min)) - axis_origin(axis, mean)) / sd as l,
    (if(isfinite(bin_right), bin_right, least(bin_right, max)) - axis_origin(axis, mean)) / sd as r,
    neuron_histograms.example_count,
from neuron_histograms
inner join neuron_stats using (dataset, run_id, layer, unit)
inner join layer_axes using (dataset, run_id, layer)
where
    dataset = $dataset and run_id = $run_id and layer = $layer
    and unit in (select unnest($units::integer[])) and bin <> 0 and sd > 0
"""


def draw_sparklines(
    view: View, dataset: str, run_id: str, layer: str, units: Sequence[int]
) -> dict[int, Markup]:
    """Outlines of neurons of a layer, by unit: images on a log scale, over activation in SD.

    Args:
        view: Asks.
        dataset: Of the run.
        run_id: The run.
        layer: Canonical name.
        units: Which neurons.
    """
    asked = {"dataset": dataset, "run_id": run_id, "layer": layer, "units": list(units)}
    bins: dict[int, list[tuple[float, float, int]]] = {}
    for unit, left, right, count in view.connection.execute(_BINS, asked).fetchall():
        bins.setdefault(unit, []).append((left, right, count))
    return {unit: _outline(found) for unit, found in bins.items()}


def spread(bins: Sequence[tuple[float, float, int]], columns: int) -> NDArray[np.float64]:
    """Images in each of so many equal columns: those of a bin lie evenly between its edges.

    Args:
        bins: Left edge, right edge, images; none without a width.
        columns: How many there are from the first edge to the last.
    """
    lefts, rights, counts = np.array(bins, dtype=np.float64).T
    edges = np.linspace(lefts.min(), rights.max(), columns + 1)
    within = np.minimum(rights[:, None], edges[1:]) - np.maximum(lefts[:, None], edges[:-1])
    found: NDArray[np.float64] = (within.clip(0) * (counts / (rights - lefts))[:, None]).sum(0)
    return found


def _outline(bins: Sequence[tuple[float, float, int]]) -> Markup:
    """The outline of one neuron's bins."""
    bins = [one for one in bins if one[1] > one[0]]
    if not bins:
        return Markup()
    low, high = min(one[0] for one in bins), max(one[1] for one in bins)
    columns = spread(bins, _COLUMNS)
    top = math.log1p(columns.max())
    step = WIDTH_PX / _COLUMNS
    points = [f"M0 {HEIGHT_PX}"]
    for number, value in enumerate(columns):
        height = HEIGHT_PX - (HEIGHT_PX - 1) * math.log1p(value) / top if top else HEIGHT_PX
        points.append(f"V{height:.1f}H{(number + 1) * step:g}")
    points.append(f"V{HEIGHT_PX}Z")
    zero = ""
    if low < 0 < high:
        at = WIDTH_PX * -low / (high - low)
        zero = f'<path class="zero" d="M{at:.1f} 0V{HEIGHT_PX}"/>'
    return Markup(
        f'<svg class="spark" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" preserveAspectRatio="none" '
        f'aria-hidden="true"><path d="{"".join(points)}"/>{zero}</svg>'
    )
