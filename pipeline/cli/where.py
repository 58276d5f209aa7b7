"""The command ``neurons where``: arguments in, a table and a picture out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.local_file import local_file
from pipeline.base.question_settings import WhereOptions
from pipeline.cli import neuron_arguments
from pipeline.cli.options import OneDataset, OneRun, Warehouse, examples, settings_as_options


def add_commands(app: typer.Typer) -> None:
    """Give the command line this command."""
    app.command(
        epilog=examples(
            "neurons where goh2021 29 --out where.png --warehouse warehouse",
            "neurons where goh2021 29 --image photo.jpg --out where.png --warehouse warehouse",
        )
    )(where)


@settings_as_options()
def where(
    warehouse: Warehouse,
    options: WhereOptions,
    layer: neuron_arguments.Layer = None,
    unit: neuron_arguments.Unit = None,
    layer_option: neuron_arguments.LayerOption = None,
    unit_option: neuron_arguments.UnitOption = None,
    run: OneRun = None,
    dataset: OneDataset = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=local_file, metavar="<path>", help="File to draw, named .png or .html."
        ),
    ] = None,
) -> None:
    """Show where in images or texts a neuron answers.

    The run's model reads its strongest examples, or an image or text of yours, once more; the activation
    of every place is drawn over the image, with the crop around the largest.
    """
    from pipeline.maps.write import tell_where

    named = neuron_arguments.which_neuron(layer, unit, layer_option, unit_option, run, dataset)
    tell_where(warehouse, named, options, out)
