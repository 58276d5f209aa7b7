"""Questions to a warehouse: ``sql``, and ``top`` examples of a neuron."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.local_file import local_file
from pipeline.base.question_settings import Answers
from pipeline.cli.neuron_arguments import (
    Layer,
    LayerOption,
    Unit,
    UnitOption,
    which_neuron,
)
from pipeline.cli.options import OneDataset, OneRun, Shown, Warehouse, WhichEnd, examples


class Format(StrEnum):
    """Forms of a query's result."""

    table = "table"
    vertical = "vertical"
    csv = "csv"
    json = "json"
    parquet = "parquet"


class Stale(StrEnum):
    """What to do where marts are older than the data."""

    answer = "answer"
    stop = "stop"


def add_commands(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command(
        epilog=examples(
            "neurons sql 'from neuron_labels limit 5' --warehouse warehouse",
            "neurons sql 'from neuron_stats' --format parquet --out stats.parquet "
            "--warehouse warehouse",
            "neurons sql --warehouse warehouse",
        )
    )(sql)
    app.command(
        epilog=examples(
            "neurons top goh2021 29 --warehouse warehouse",
            "neurons top goh2021 29 -k 50 --sheet top.png --warehouse warehouse",
        )
    )(top)


def sql(
    warehouse: Warehouse,
    query: Annotated[
        str | None,
        typer.Argument(
            help="SQL over the views, which 'show tables' lists. Without it a prompt opens, or what "
            "another program sends is read.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[  # noqa: A002
        Format | None,
        typer.Option(
            help="Form of the result. If not given, a table; or vertical, one line for each column, where "
            "a terminal is too narrow for it.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=local_file,
            metavar="<path>",
            help="File to write the result to; parquet needs one.",
        ),
    ] = None,
    stale: Annotated[
        Stale | None,
        typer.Option(
            envvar="NEURONS_STALE",
            help="What to do where what 'neurons build' wrote is older than the data: answer from it and "
            "warn, or stop.",
            show_default="answer",
        ),
    ] = None,
) -> None:
    """Run a query over the views. It changes nothing."""
    from pipeline.cli.query import run_query

    form, do = format.value if format else "fitting", stale.value if stale else None
    if query is None and sys.stdin.isatty():
        from pipeline.cli.prompt import open_prompt

        open_prompt(warehouse, form, out, do)
    else:
        run_query(warehouse, sys.stdin.read() if query is None else query, form, out, do)


def top(
    warehouse: Warehouse,
    layer: Layer = None,
    unit: Unit = None,
    layer_option: LayerOption = None,
    unit_option: UnitOption = None,
    k: Shown = 20,
    polarity: WhichEnd = Answers.polarity,
    run: OneRun = None,
    dataset: OneDataset = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            parser=local_file, metavar="<path>", help="Also draw them, into this PNG file."
        ),
    ] = None,
) -> None:
    """Show the examples that excite (or inhibit) a neuron most."""
    from pipeline.search.top import show_top

    named = which_neuron(layer, unit, layer_option, unit_option, run, dataset)
    asked = Answers(k=k, polarity=polarity)
    show_top(warehouse, named, asked.k, asked.polarity, sheet)
