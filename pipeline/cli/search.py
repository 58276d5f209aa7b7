"""The commands ``neurons find``, ``neurons like`` and ``neurons sum``: arguments in, tables out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from pipeline.base.display import print_table, say
from pipeline.base.question_settings import Answers, Search, SumQuestion
from pipeline.cli import neuron_arguments
from pipeline.cli.options import (
    OneDataset,
    OneRun,
    Shown,
    Warehouse,
    examples,
    settings_as_options,
)

if TYPE_CHECKING:
    from pipeline.search.find import Found


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


@settings_as_options("text")
def find(search: Search) -> None:
    """Find neurons for a free text.

    In three ways: by the statistics of the concepts that the text names, by correlation with the
    model's similarity of images and text, and by the weights alone.
    """
    from pipeline.search.find import find_neurons

    _print(find_neurons(search))


def like(
    warehouse: Warehouse,
    layer: neuron_arguments.Layer = None,
    unit: neuron_arguments.Unit = None,
    layer_option: neuron_arguments.LayerOption = None,
    unit_option: neuron_arguments.UnitOption = None,
    dataset: OneDataset = None,
    run: OneRun = None,
    k: Shown = Answers.k,
) -> None:
    """Find neurons that answer like one neuron.

    In its layer, other layers, models and datasets, by Pearson's correlation over the images that two
    runs share. Layers that store positive activations only count the others as 0; extract with
    --store all to have them too.
    """
    from pipeline.search.like import find_like

    named = neuron_arguments.which_neuron(layer, unit, layer_option, unit_option, run, dataset)
    _print(find_like(warehouse, named, Answers(k=k).k))


@settings_as_options("concept")
def neuron_sum(question: SumQuestion) -> None:
    """Write a concept as a sum of a few neurons."""
    from pipeline.search.sum import find_neuron_sum

    _print([find_neuron_sum(question).table])


def _print(tables: Iterable[Found]) -> None:
    for number, table in enumerate(tables):
        if number:
            say("")
        say(table.title, *(f"  {note}" for note in table.notes))
        if table.rows:
            print_table(table.columns, iter(table.rows))
