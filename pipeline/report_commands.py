"""The commands ``neurons card`` and ``neurons report``: a neuron's card, a run's report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.display import say

Warehouse = Annotated[
    str, typer.Option(envvar="NEURONS_WAREHOUSE", help="Folder or URL of the warehouse.")
]
Run = Annotated[str | None, typer.Option(help="The run, if there are several.")]
Dataset = Annotated[str | None, typer.Option(help="The dataset, if there are several.")]


def card(
    layer: Annotated[str, typer.Argument(help="Layer of the neuron; its path if that is enough.")],
    unit: Annotated[int, typer.Argument(help="Index of the neuron in its layer, from 0.")],
    warehouse: Warehouse,
    out: Annotated[Path, typer.Option(help="The file to write: .png, or .html.")],
    run: Run = None,
    dataset: Dataset = None,
) -> None:
    """Draw all that is known of a neuron: its images, label and evidence, tests and groups."""
    from pipeline.report.write import write_card

    where = {"layer": layer, "unit": unit, "run": run, "dataset": dataset}
    say(*write_card(warehouse, where, out))


def report(
    warehouse: Warehouse,
    out: Annotated[Path, typer.Option(help="The .html file to write.")],
    run: Run = None,
    dataset: Dataset = None,
) -> None:
    """Write one self-contained page about a run: labels, baselines, coverage, best and worst neurons."""
    from pipeline.report.write import write_report

    say(*write_report(warehouse, dataset, run, out))
