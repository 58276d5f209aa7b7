"""How the activations of a neuron are distributed, as a small outline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

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
    and list_contains($units::integer[], unit) and bin <> 0 and sd > 0
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


def _outline(bins: Iterable[tuple[float, float, int]]) -> Markup:
    """Images a column, spread evenly over the bins that reach into it."""
    bins = [(left, right, count) for left, right, count in bins if right > left]
    if not bins:
        return Markup()
    low, high = min(b[0] for b in bins), max(b[1] for b in bins)
    width = (high - low) / _COLUMNS
    columns = [0.0] * _COLUMNS
    for left, right, count in bins:
        first = min(_COLUMNS - 1, int((left - low) / width))
        last = min(_COLUMNS - 1, int((right - low) / width))
        for column in range(first, last + 1):
            start = max(left, low + column * width)
            end = min(right, low + (column + 1) * width)
            columns[column] += count * max(0.0, end - start) / (right - left)
    top = math.log1p(max(columns))
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
