"""Chosen neurons as a list, and any list as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from pipeline.base.csv_cells import guard_row
from pipeline.warehouse.find import Neuron
from pipeline.web.chosen import Chosen
from pipeline.web.neuron_filter import Filter
from pipeline.web.neurons import NEURONS, Among, NeuronRow, list_neurons
from pipeline.web.pages.overview import Counted

if TYPE_CHECKING:
    from pipeline.web.view import View

MAX_ROWS = 1_000_000
"""Rows of a CSV file: more neurons than a layer has."""


def of_list(chosen: Chosen) -> Among:
    """Those neurons of a list that are in the warehouse.

    Args:
        chosen: The list, of one neuron or more.
    """
    runs: dict[tuple[str, str], list[Neuron]] = {}
    for neuron in chosen.neurons:
        runs.setdefault((neuron.dataset, neuron.run_id), []).append(neuron)
    parts: list[str] = []
    parameters: dict[str, object] = {}
    for number, ((dataset, run_id), neurons) in enumerate(runs.items()):
        of_run = NEURONS.replace("$dataset", f"$dataset_{number}")
        of_run = of_run.replace("$run_id", f"$run_id_{number}")
        parts.append(
            f"""
            select * from ({of_run})
            semi join (
                select
                    unnest($layers_{number}::varchar[]) as layer,
                    unnest($units_{number}::integer[]) as unit,
            ) using (layer, unit)
            """
        )
        parameters |= {
            f"dataset_{number}": dataset,
            f"run_id_{number}": run_id,
            f"layers_{number}": [neuron.layer for neuron in neurons],
            f"units_{number}": [neuron.unit for neuron in neurons],
        }
    return Among(" union all ".join(parts), parameters)


def count_categories(view: View, among: Among) -> list[Counted]:
    """How many neurons each category labels.

    Args:
        view: Asks.
        among: Of which neurons.
    """
    return view.ask(
        f"""
        select category as name, count(*) as neuron_count, 0 as share
        from ({among.query})
        where is_labelled
        group by category order by category
        """,
        Counted,
        **among.parameters,
    )


def write_csv(view: View, among: Among, wanted: Filter) -> str:
    """All pages of a list, with a line of names first.

    Args:
        view: Asks.
        among: The neurons that it is of.
        wanted: Which of them, in which order.
    """
    text = io.StringIO()
    table = csv.writer(text)
    names = [field.name for field in fields(NeuronRow)]
    table.writerow(names)
    for row in list_neurons(view, among, replace(wanted, page=1), MAX_ROWS).rows:
        table.writerow(guard_row(getattr(row, name) for name in names))
    return text.getvalue()
