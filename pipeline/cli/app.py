"""The command line. Every command is a few lines: it reads arguments and calls the pipeline.

Exit status: 0 done; 1 checks found violations; 2 a usage or input error, told without a traceback;
3 a bug of ours, with one; 130 interrupted.
Heavy imports (torch, DuckDB) are inside the commands, so that ``neurons --help`` is quick.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from pipeline import __version__
from pipeline.base.display import complain, guard_terminal, say
from pipeline.base.errors import ConfigError
from pipeline.base.open_files import raise_open_file_limit
from pipeline.cli import (
    ask,
    effect,
    explore,
    extraction,
    facets,
    figures,
    jobs,
    keep,
    look,
    paper,
    probes,
    report,
    search,
    site,
    support,
    upkeep,
    visualise,
    where,
)
from pipeline.cli.concepts import concepts
from pipeline.cli.explain import explain
from pipeline.cli.label import label
from pipeline.cli.options import examples, say_words
from pipeline.cli.stimuli import stimuli
from pipeline.warehouse.interrupts import STATUS as INTERRUPTED
from pipeline.warehouse.interrupts import watch_interrupts

app = typer.Typer(
    name="neurons",
    help="What do the neurons of a CLIP model see? Shards of images in, labelled neurons out.",
    epilog=say_words()
    + "\n\n"
    + examples(
        "neurons demo",
        "neurons ingest folder photos/ --dataset photos --warehouse warehouse",
        "neurons extract --dataset photos --model nano --layer goh2021 --warehouse warehouse",
        "neurons build --warehouse warehouse",
        "neurons top goh2021 29 --warehouse warehouse",
    ),
    context_settings={"max_content_width": 120},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
    max_spill: Annotated[
        str | None,
        typer.Option(
            envvar="NEURONS_MAX_SPILL",
            help="Most disk space that queries may take while they run, as 200GB.",
        ),
    ] = None,
) -> None:
    """What do the neurons of a CLIP model see? Shards of images in, labelled neurons out."""
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


extraction.add_commands(app)
app.add_typer(stimuli)
probes.add_commands(app)
effect.add_commands(app)
support.add_commands(app)
facets.add_commands(app)
visualise.add_commands(app)
figures.add_commands(app)
upkeep.add_commands(app)
keep.add_commands(app)
ask.add_commands(app)
search.add_commands(app)
report.add_commands(app)
paper.add_commands(app)
where.add_commands(app)
look.add_commands(app)
explore.add_commands(app)
site.add_commands(app)
app.add_typer(label)
app.add_typer(concepts)
jobs.add_commands(app)
