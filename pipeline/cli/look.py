"""The command ``neurons look``: an image in, answers and neurons out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.local_file import local_file
from pipeline.base.question_settings import LookOptions
from pipeline.cli.options import Warehouse, examples, settings_as_options


def add_commands(app: typer.Typer) -> None:
    """Give the command line this command."""
    app.command(
        epilog=examples(
            "neurons look photo.jpg --warehouse warehouse",
            "neurons look photo.jpg --class apple --class iPod --html look.html --warehouse warehouse",
        )
    )(look)


@settings_as_options()
def look(
    warehouse: Warehouse,
    options: LookOptions,
    image: Annotated[str, typer.Argument(help="Image file of your own; - reads standard input.")],
    png: Annotated[
        Path | None,
        typer.Option(parser=local_file, metavar="<path>", help="Picture to draw, a PNG file."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(parser=local_file, metavar="<path>", help="Page to write, an HTML file."),
    ] = None,
) -> None:
    """Look at a picture of your own as a model does.

    What it takes it for, the neurons it excites most in each layer of a run and where they answer, and
    whether a word that is read may have decided. The warehouse is not changed.
    """
    from pipeline.look.tell import tell_look

    tell_look(warehouse, image, options, png, html)
