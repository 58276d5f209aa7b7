"""All commands, and which file has which: one that is named is made alone.

To import all files and to make all commands takes longer than to answer a question.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Annotated

import typer

from pipeline import __version__
from pipeline.base.display import say
from pipeline.cli.options import examples, say_words

MODULES = {
    "extraction": ("ingest", "wit-urls", "layers", "extract", "budget", "similarity"),
    "stimuli": ("stimuli",),
    "probes": ("attack", "stroop"),
    "effect": ("effect", "ablate"),
    "support": ("support",),
    "facets": ("facet-probes",),
    "visualise": ("visualise",),
    "figures": ("figures", "phrases"),
    "upkeep": ("build", "check", "repair", "compact"),
    "keep": ("info", "vacuum", "move-shards", "delete", "rename"),
    "ask": ("sql", "top"),
    "search": ("find", "like", "sum"),
    "report": ("card", "report"),
    "paper": ("paper",),
    "where": ("where",),
    "look": ("look",),
    "explore": ("explore", "mcp"),
    "site": ("site",),
    "label": ("label",),
    "concepts": ("concepts",),
    "jobs": ("run", "demo"),
}
"""Files of this package in the order of the help, and their commands."""


def make_app(name: str = "") -> typer.Typer:
    """The command line.

    Args:
        name: Of a command: only the file that has it is imported. All are, if it is that of none.
    """
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
    app.callback()(_options)
    named = [module for module, names in MODULES.items() if name in names]
    for module in named or MODULES:
        import_module(f"pipeline.cli.{module}").add_commands(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        say(__version__)
        raise typer.Exit


def _options(
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
