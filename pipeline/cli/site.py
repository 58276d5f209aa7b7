"""The command ``neurons site``: the explorer's pages as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.display import say
from pipeline.base.local_file import local_file
from pipeline.base.progress import choose_progress
from pipeline.base.site_settings import SiteOptions
from pipeline.cli.options import Warehouse, examples, settings_as_options


def add_commands(app: typer.Typer) -> None:
    """Give the command line this command."""
    app.command(
        epilog=examples(
            "neurons site --out site --warehouse warehouse",
            "neurons site --out site --layer goh2021 --neurons 29,192 --images blur --warehouse warehouse",
        )
    )(site)


@settings_as_options()
def site(
    warehouse: Warehouse,
    out: Annotated[
        Path,
        typer.Option(
            parser=local_file, metavar="<path>", help="Folder of the site: new, or one of ours."
        ),
    ],
    options: SiteOptions,
) -> None:
    """Write the explorer's pages as files.

    For any web server, GitHub Pages, or to open from the disk: a page for each neuron, lists, and a search.
    Run again, it makes what is not there yet or has changed.
    """
    from pipeline.web.site.make import make_site

    made = make_site(warehouse, out, options, choose_progress())
    say(
        f"Site of {made.neuron_count:,} neurons: {made.file_count:,} files, {made.total_bytes / 1e6:,.1f} MB; "
        f"{made.fresh_count} of {made.job_count} parts were there already.",
        f"Open {out / 'index.html'}, or put the folder on a web server.",
    )
