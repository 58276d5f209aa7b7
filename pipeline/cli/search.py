"""The commands ``neurons find``, ``neurons like`` and ``neurons sum``: arguments in, tables out."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.base.display import print_table, say
from pipeline.base.settings import ExtractConfig
from pipeline.cli import neuron_arguments
from pipeline.cli.complete import complete_model
from pipeline.cli.options import Device, OneDataset, OneLayer, OneRun, Warehouse, examples

if TYPE_CHECKING:
    from pipeline.search.find import Found

Count = Annotated[int, typer.Option("-k", min=1, help="Neurons in each table.")]


class Way(StrEnum):
    """Three ways to find neurons for a text."""

    concepts = "concepts"
    similarity = "similarity"
    weights = "weights"


class Direction(StrEnum):
    """Whether neurons are excited or inhibited."""

    positive = "positive"
    negative = "negative"


class Origin(StrEnum):
    """Who says what an image shows."""

    texts = "texts"
    stimulus = "stimulus"
    similarity = "similarity"


def add_commands(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command(
        epilog=examples(
            'neurons find "a photo of a cat" --warehouse warehouse',
            "neurons find Japan --by weights --model nano --layer goh2021",
        )
    )(find)
    app.command(epilog=examples("neurons like goh2021 29 --warehouse warehouse"))(like)
    app.command("sum", epilog=examples("neurons sum Japan --warehouse warehouse"))(neuron_sum)


def find(
    text: Annotated[
        str, typer.Argument(help="What they should stand for: any text, any language.")
    ],
    warehouse: Annotated[
        str | None,
        typer.Option(envvar="NEURONS_WAREHOUSE", help="Folder or URL; not needed for weights."),
    ] = None,
    dataset: OneDataset = None,
    run: OneRun = None,
    layer: OneLayer = None,
    by: Annotated[
        list[Way], typer.Option(help="concepts, similarity or weights; several. Else all three.")
    ] = [],  # noqa: B006  # typer copies it
    model: Annotated[
        str | None,
        typer.Option(
            help="The runs' model if it has moved; any, for weights alone.",
            autocompletion=complete_model,
        ),
    ] = None,
    template: Annotated[
        list[str], typer.Option(help='Prompt with {}, as "a photo of {}"; several are averaged.')
    ] = [],  # noqa: B006
    k: Count = 10,
    polarity: Annotated[Direction, typer.Option(help="Excited or inhibited.")] = Direction.positive,
    device: Device = ExtractConfig.device,
) -> None:
    """Find neurons for a free text: by concept statistics, by correlation, by the weights alone."""
    from pipeline.search.find import Search, find_neurons

    search = Search(
        text,
        warehouse,
        dataset,
        run,
        layer,
        model,
        tuple(way.value for way in by),
        tuple(template),
        k,
        polarity.value,
        device,
    )
    _print(find_neurons(search))


def like(
    warehouse: Warehouse,
    layer: neuron_arguments.Layer = None,
    unit: neuron_arguments.Unit = None,
    layer_option: neuron_arguments.LayerOption = None,
    unit_option: neuron_arguments.UnitOption = None,
    dataset: neuron_arguments.Dataset = None,
    run: neuron_arguments.Run = None,
    k: Count = 10,
) -> None:
    """Find neurons that answer like one neuron: in its layer, other layers, models and datasets.

    By Pearson's correlation over the images that two runs share. Layers that store positive
    activations only count the others as 0; extract with --store all to have them too.
    """
    from pipeline.search.like import find_like

    where = neuron_arguments.which_neuron(layer, unit, layer_option, unit_option, run, dataset)
    _print(find_like(warehouse, where, k))


def neuron_sum(
    concept: Annotated[str, typer.Argument(help="A concept in any language, or a category.")],
    warehouse: Warehouse,
    dataset: OneDataset = None,
    run: OneRun = None,
    layer: OneLayer = None,
    neurons: Annotated[int, typer.Option(help="How many neurons at most.")] = 10,
    origin: Annotated[
        Origin | None, typer.Option(help="Who says what an image shows; else the first that does.")
    ] = None,
) -> None:
    """Write a concept as a sparse sum of neurons, and say how well that tells it."""
    from pipeline.search.sum import SumQuestion, find_neuron_sum

    question = SumQuestion(
        warehouse, concept, dataset, run, layer, origin.value if origin else None, neurons
    )
    _print([find_neuron_sum(question).table])


def _print(tables: Iterable[Found]) -> None:
    for number, table in enumerate(tables):
        if number:
            say("")
        say(table.title, *(f"  {note}" for note in table.notes))
        if table.rows:
            print_table(table.columns, iter(table.rows))
