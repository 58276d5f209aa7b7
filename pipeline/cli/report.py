"""The commands ``neurons card`` and ``neurons report``: a neuron's card, a run's report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.display import say
from pipeline.base.local_file import local_file
from pipeline.cli.neuron_arguments import (
    Layer,
    LayerOption,
    Unit,
    UnitOption,
    which_neuron,
)
from pipeline.cli.options import OneDataset, OneRun, Warehouse, examples


def add_commands(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command(epilog=examples("neurons card goh2021 29 --out card.png --warehouse warehouse"))(
        card
    )
    app.command(epilog=examples("neurons report --out report.html --warehouse warehouse"))(report)


def card(
    warehouse: Warehouse,
    out: Annotated[
        Path,
        typer.Option(
            parser=local_file, metavar="<path>", help="File to write, named .png or .html."
        ),
    ],
    layer: Layer = None,
    unit: Unit = None,
    layer_option: LayerOption = None,
    unit_option: UnitOption = None,
    run: OneRun = None,
    dataset: OneDataset = None,
) -> None:
    """Draw all that is known of a neuron.

    Its strongest images, its label with the evidence, its tests and the neurons like it.
    """
    from pipeline.report.write import write_card

    named = which_neuron(layer, unit, layer_option, unit_option, run, dataset)
    say(*write_card(warehouse, named, out))


def report(
    warehouse: Warehouse,
    out: Annotated[
        Path, typer.Option(parser=local_file, metavar="<path>", help="File to write, named .html.")
    ],
    run: OneRun = None,
    dataset: OneDataset = None,
    cards: Annotated[
        bool,
        typer.Option(
            "--cards",
            help="Also write a card for each neuron that it shows, into a folder beside it, and link them.",
        ),
    ] = False,
) -> None:
    """Write one self-contained page about a run.

    Its labels, what they rest on and are worth, its most and least convincing neurons, and all of them.
    """
    from pipeline.report.write import write_report

    say(*write_report(warehouse, dataset, run, out, cards))
