"""The commands ``neurons concepts ...``: phrases of one's own, and what a caption is read as."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.base.display import complain, print_table, say
from pipeline.base.errors import ConfigError
from pipeline.base.local_file import local_file
from pipeline.cli.options import Warehouse, examples

if TYPE_CHECKING:
    from pipeline.warehouse.matching import Explained

concepts = typer.Typer(
    name="concepts",
    help="Give a warehouse concepts of your own.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def add_commands(app: typer.Typer) -> None:
    """Give the command line this group of commands."""
    app.add_typer(concepts)


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
    """Forget all concepts of your own."""
    from pipeline.upkeep.own_concepts import drop_own_concepts

    count = drop_own_concepts(warehouse)
    say(f"{count} phrases forgotten." if count else "The warehouse has no concepts of its own.")


@concepts.command(
    epilog=examples(
        'neurons concepts explain "A kea sits on a car" --language en',
        'neurons concepts explain "Ein Kea im Schnee" --language de --warehouse warehouse',
    )
)
def explain(
    text: Annotated[
        str, typer.Argument(metavar="CAPTION", help="A text as it comes with an image.")
    ],
    language: Annotated[
        str, typer.Option(help="The language of the text, as a code such as en, de or ja.")
    ] = "en",
    warehouse: Annotated[
        str | None,
        typer.Option(
            envvar="NEURONS_WAREHOUSE",
            help="A warehouse, to look the text up in its own concepts as well. If not given: in ours alone.",
        ),
    ] = None,
) -> None:
    """Show which concepts a caption names, and by which rule.

    No warehouse is needed, and none is changed.
    """
    from pipeline.sources.texts.languages import is_language
    from pipeline.warehouse.connect import connect
    from pipeline.warehouse.matching import explain as explain_text

    if not is_language(language):
        raise ConfigError(
            f"--language is {language!r}, which is no language that is known.",
            "Give the code of one, as en, de, pt-BR or ja.",
        )
    if warehouse is None:
        found = explain_text(text, language)
    else:
        with connect(warehouse) as connection:
            found = explain_text(text, language, connection)
    if not found:
        say("No phrase of this text is known in its language.")
        return
    rows = (
        (one.words, one.concept or "", one.category or "", one.phrase or "", _say_rule(one))
        for one in found
    )
    print_table(("words", "concept", "category", "phrase", "rule"), rows)


def _say_rule(one: Explained) -> str:
    """Why a phrase names its concept, or names none."""
    if one.refused_by is not None:
        return f"not found: {one.refused_by}"
    return "found: a form of the phrase" if one.is_form else "found: the phrase"
