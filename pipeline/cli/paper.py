"""The command ``neurons paper``: the figures of Goh et al. 2021 on a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.display import say
from pipeline.base.local_file import local_file
from pipeline.base.progress import choose_progress
from pipeline.cli.options import OneDataset, OneRun, Warehouse, examples


def add_commands(app: typer.Typer) -> None:
    """Give the command line this command."""
    app.command(
        epilog=examples(
            "neurons paper --out paper.html --warehouse warehouse",
            "neurons paper --judged sample --out paper.html --warehouse warehouse",
        )
    )(paper)


def paper(
    warehouse: Warehouse,
    out: Annotated[
        Path, typer.Option(parser=local_file, metavar="<path>", help="File to write, named .html.")
    ],
    judged: Annotated[
        Path | None,
        typer.Option(
            parser=local_file,
            metavar="<path>",
            help="Folder of a sample of neurons that a person has judged; see neurons label sample.",
        ),
    ] = None,
    run: OneRun = None,
    dataset: OneDataset = None,
) -> None:
    """Set the paper's figures beside a run's.

    One self-contained page: every figure and table of Goh et al. 2021 that the run can give, the published
    number beside ours, with a control; and what is missing for the others.
    """
    from pipeline.paper.write import write_paper

    say(*write_paper(warehouse, dataset, run, out, judged, choose_progress()))
