"""The command line. Every command is a few lines: it reads arguments and calls the pipeline.

Exit status: 0 done; 1 checks found violations; 2 a usage or input error, told without a traceback;
3 a bug of ours, with one; 130 interrupted.
Heavy imports (torch, DuckDB) are inside the commands, so that ``neurons --help`` is quick.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline import __version__
from pipeline.base.display import complain, guard_terminal, say
from pipeline.base.errors import ConfigError
from pipeline.base.local_file import local_file
from pipeline.base.open_files import raise_open_file_limit
from pipeline.cli import (
    extraction,
    jobs,
    neuron_arguments,
    probes,
    report,
    search,
    upkeep,
)
from pipeline.cli.explain import explain
from pipeline.cli.label import label
from pipeline.cli.options import Warehouse, examples
from pipeline.cli.stimuli import stimuli
from pipeline.warehouse.interrupts import STATUS as INTERRUPTED
from pipeline.warehouse.interrupts import watch_interrupts

app = typer.Typer(
    name="neurons",
    help="What do the neurons of a CLIP model see? Shards in, labelled neurons out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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


class Polarity(StrEnum):
    """Which end of a neuron's activations."""

    positive = "positive"
    negative = "negative"


def _print_version(wanted: bool) -> None:
    if wanted:
        say(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="And stop.")
    ] = False,
    max_spill: Annotated[
        str | None,
        typer.Option(envvar="NEURONS_MAX_SPILL", help="Disk that queries may take, as 200GB."),
    ] = None,
) -> None:
    """What do the neurons of a CLIP model see? Shards in, labelled neurons out."""
    if max_spill is not None:
        os.environ["NEURONS_MAX_SPILL"] = max_spill


_HOW_TO_GO_ON = "Interrupted. Finished shards are kept: run the same command again."


def _run_app() -> int:
    for argument in sys.argv[1:]:
        if not argument.isascii() and any("\ud800" <= c <= "\udfff" for c in argument):
            raise ConfigError(
                f"The argument {argument!r} is not UTF-8.",
                "Rename the file or folder that it names.",
            )
    try:
        return app(standalone_mode=False) or 0
    except SystemExit as stop:
        if not isinstance(stop.__context__, OSError):
            raise
        # So typer ends when the reader of our output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing left to flush to
        return 0


def main() -> None:
    """Run the command line and turn our errors into messages."""
    guard_terminal()
    raise_open_file_limit()
    with watch_interrupts():
        try:
            status = _run_app()
        except BaseException as error:
            status = explain(error)
    if status == INTERRUPTED:
        complain(_HOW_TO_GO_ON)
    sys.exit(status)


@app.command(
    epilog=examples(
        "neurons sql 'from neuron_labels limit 5' --warehouse warehouse",
        "neurons sql 'from neuron_stats' --format parquet --out stats.parquet "
        "--warehouse warehouse",
    )
)
def sql(
    warehouse: Warehouse,
    query: Annotated[
        str | None,
        typer.Argument(
            help="SQL over the views; see: show tables. Without it a prompt opens, or what another "
            "program sends is read.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[  # noqa: A002
        Format | None,
        typer.Option(
            help="Form of the result. A table if not given; vertical, one line a column, where a "
            "terminal is too narrow for it.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=local_file, metavar="<path>", help="File to write; needed for parquet."
        ),
    ] = None,
    stale: Annotated[
        Stale | None,
        typer.Option(envvar="NEURONS_STALE", help="Where marts are older than the data."),
    ] = None,
) -> None:
    """Run a query over the views. It reads the warehouse and nothing else, and changes nothing."""
    from pipeline.cli.query import run_query

    form, do = format.value if format else "fitting", stale.value if stale else None
    if query is None and sys.stdin.isatty():
        from pipeline.cli.prompt import open_prompt

        open_prompt(warehouse, form, out, do)
    else:
        run_query(warehouse, sys.stdin.read() if query is None else query, form, out, do)


@app.command(
    epilog=examples(
        "neurons top goh2021 29 --warehouse warehouse",
        "neurons top goh2021 29 -k 50 --sheet top.png --warehouse warehouse",
    )
)
def top(
    warehouse: Warehouse,
    layer: neuron_arguments.Layer = None,
    unit: neuron_arguments.Unit = None,
    layer_option: neuron_arguments.LayerOption = None,
    unit_option: neuron_arguments.UnitOption = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many examples.")] = 20,
    polarity: Annotated[Polarity, typer.Option(help="Exciting or inhibiting.")] = Polarity.positive,
    run: neuron_arguments.Run = None,
    dataset: neuron_arguments.Dataset = None,
    sheet: Annotated[
        Path | None,
        typer.Option(parser=local_file, metavar="<path>", help="Also draw them: a PNG file."),
    ] = None,
) -> None:
    """Show the examples that excite (or inhibit) a neuron most."""
    from pipeline.search.top import show_top

    where = neuron_arguments.which_neuron(layer, unit, layer_option, unit_option, run, dataset)
    show_top(warehouse, where, k, polarity.value, sheet)


extraction.add_commands(app)
app.add_typer(stimuli)
probes.add_commands(app)
upkeep.add_commands(app)
search.add_commands(app)
report.add_commands(app)
app.add_typer(label)
jobs.add_commands(app)
