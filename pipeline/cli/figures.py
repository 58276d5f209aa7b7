"""What figures of the paper ask of a model itself: ``figures``, and for one neuron: ``phrases``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pipeline.base.display import print_table, say
from pipeline.base.figure_settings import FigureChoice, FigureConfig, PhraseQuestion
from pipeline.base.progress import choose_progress
from pipeline.cli import neuron_arguments
from pipeline.cli.options import OneDataset, OneRun, Warehouse, examples, settings_as_options

AnyWarehouse = Annotated[
    str | None,
    typer.Option(
        "--warehouse",
        envvar="NEURONS_WAREHOUSE",
        help="Folder or URL of the warehouse; with --model it can be left out.",
    ),
]


def add_commands(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command(
        epilog=examples(
            "neurons figures --warehouse warehouse --dataset photos",
            "neurons figures --warehouse warehouse --dataset photos --figure weights",
            "neurons figures --warehouse warehouse --dataset photos --figure words --list words.txt",
        )
    )(figures)
    app.command(
        epilog=examples(
            "neurons phrases goh2021 29 --warehouse warehouse",
            "neurons phrases goh2021 29 --model nano",
            "neurons phrases visual.transformer.resblocks.8.mlp.gelu 29 --warehouse warehouse --order second",
        )
    )(phrases)


@settings_as_options()
def figures(
    warehouse: Warehouse,
    choice: FigureChoice,
    dataset: OneDataset = None,
    run: OneRun = None,
) -> None:
    """Ask a run's model what the paper's figures need.

    The phrases that each neuron writes into the embedding, by the weights alone, and of a ViT's neuron those
    of what it does through later attention layers; the image embeddings of words drawn as images; and what
    neurons answer to the drawn names of countries. Repeat it to
    resume; what is there is not asked again.
    """
    from pipeline.figures.run import measure_figures
    from pipeline.warehouse.connect import connect
    from pipeline.warehouse.find import find_run

    with connect(warehouse) as connection:
        one = find_run(connection, dataset, run, choice.layer or None)
    config = FigureConfig(
        warehouse=warehouse, dataset=one.dataset, run=one.run_id, **asdict(choice)
    )
    for done in measure_figures(config, choose_progress()):
        say(str(done))


@settings_as_options()
def phrases(
    question: PhraseQuestion,
    warehouse: AnyWarehouse = None,
    layer: neuron_arguments.Layer = None,
    unit: neuron_arguments.Unit = None,
    layer_option: neuron_arguments.LayerOption = None,
    unit_option: neuron_arguments.UnitOption = None,
    dataset: OneDataset = None,
    run: OneRun = None,
) -> None:
    """Say in phrases what a neuron writes.

    Into the embedding, by the weights alone: no image is looked at. For ResNets of open_clip (the layer
    before the attention pool) and the neurons of the MLPs of its ViTs. With --order second, of a ViT's neuron:
    what it does through the attention layers that come after it, on the images of the run that excite it most.
    """
    from pipeline.search.phrases import find_phrases

    named = neuron_arguments.which_neuron(layer, unit, layer_option, unit_option, run, dataset)
    found = find_phrases(warehouse, named, question)
    say(found.title, *(f"  {note}" for note in found.notes))
    print_table(found.columns, iter(found.rows))
