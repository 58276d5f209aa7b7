"""The commands ``neurons concepts ...``: phrases of one's own, and what a caption is read as."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.display import complain, say
from pipeline.base.local_file import local_file
from pipeline.cli.options import Warehouse, examples

concepts = typer.Typer(
    name="concepts",
    help="Give a warehouse concepts of your own.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_SHOWN = 5


@concepts.command(
    epilog=examples(
        "neurons concepts add birds.csv --warehouse warehouse",
        "neurons concepts add birds.csv --instead --warehouse warehouse",
    )
)
def add(
    warehouse: Warehouse,
    file: Annotated[
        Path,
        typer.Argument(
            parser=local_file,
            metavar="FILE.csv",
            help="A CSV with the columns concept, category, language and phrase; and, if you like, kind_of.",
        ),
    ],
    instead: Annotated[
        bool | None,
        typer.Option(
            "--instead/--beside",
            help="Look texts up in your concepts alone, or in ours as well. If not given: as it was, "
            "beside ours at first.",
        ),
    ] = None,
) -> None:
    """Add concepts of your own, each with phrases that name it in texts.

    They stay with the warehouse, and what rests on them is stale until neurons build has run. Kind_of says
    that what names a kea names a bird, too.
    """
    from pipeline.upkeep.own_concepts import add_own_concepts

    done = add_own_concepts(warehouse, file, instead)
    where = "instead of ours" if done.replaces else "beside ours"
    say(
        f"{done.read.row_count} rows: {done.added} phrases are new, {done.known} were there, "
        f"{len(done.read.rejects)} rows are not used. The warehouse has {done.total} phrases of its own, "
        f"{where}.",
        "Marts that rest on texts are stale: neurons build",
    )
    for reject in done.read.rejects[:_SHOWN]:
        complain(f"{file}: {reject}.")
    if len(done.read.rejects) > _SHOWN:
        complain(f"{file}: {len(done.read.rejects) - _SHOWN} more rows are not used.")


@concepts.command(epilog=examples("neurons concepts drop --warehouse warehouse"))
def drop(warehouse: Warehouse) -> None:
    """Forget all concepts of your own; texts are looked up in ours alone again."""
    from pipeline.upkeep.own_concepts import drop_own_concepts

    count = drop_own_concepts(warehouse)
    say(f"{count} phrases forgotten." if count else "The warehouse has no concepts of its own.")
