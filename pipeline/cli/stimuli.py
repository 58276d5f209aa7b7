"""The commands ``neurons stimuli ...``: controlled stimuli become a dataset like any other."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from pipeline.base.display import say
from pipeline.base.job_settings import StimuliConfig
from pipeline.base.progress import choose_progress
from pipeline.base.settings import IngestConfig
from pipeline.base.stimulus_settings import (
    FormOptions,
    PictureOptions,
    StroopOptions,
    TypographicOptions,
    WordOptions,
)
from pipeline.cli.options import examples, settings_as_options

stimuli = typer.Typer(
    name="stimuli",
    help="Make images whose content is known, as a dataset.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def add_commands(app: typer.Typer) -> None:
    """Give the command line this group of commands."""
    app.add_typer(stimuli)


@stimuli.command(
    epilog=examples(
        "neurons stimuli pictures --dataset pictures --form silhouette --warehouse warehouse"
    )
)
@settings_as_options()
def pictures(config: IngestConfig, options: PictureOptions) -> None:
    """Make drawings of concepts, in several forms."""
    _make(config, pictures=options)


@stimuli.command(
    epilog=examples("neurons stimuli words --dataset words --list words.txt --warehouse warehouse")
)
@settings_as_options()
def words(config: IngestConfig, options: WordOptions) -> None:
    """Write any words in any fonts.

    A word that no font can draw is rejected, never drawn as boxes.
    """
    _make(config, words=options)


@stimuli.command(
    epilog=examples(
        "neurons stimuli typographic photos/ --text pizza --dataset attacked --warehouse warehouse"
    )
)
@settings_as_options("images")
def typographic(config: IngestConfig, options: TypographicOptions) -> None:
    """Write texts on images.

    Beside each stand the clean image, a blank patch, and the patch with the right word.
    """
    _make(config, typographic=options)


@stimuli.command(epilog=examples("neurons stimuli stroop --dataset colours --warehouse warehouse"))
@settings_as_options()
def stroop(config: IngestConfig, options: StroopOptions) -> None:
    """Write colour words in coloured inks.

    The same colour and others, and letters that are no word.
    """
    _make(config, stroop=options)


@stimuli.command(
    epilog=examples("neurons stimuli forms photos/ --dataset shapes --warehouse warehouse")
)
@settings_as_options("images")
def forms(config: IngestConfig, options: FormOptions) -> None:
    """Make line drawings and silhouettes of any images."""
    _make(config, forms=options)


def _make(limits: IngestConfig, **kind: Any) -> None:
    from pipeline.stimuli.make import make_stimuli

    done = make_stimuli(StimuliConfig(**asdict(limits), **kind), choose_progress())
    say(
        f"{done.dataset}: {done.shard_count} shards, {done.read_count} read = "
        f"{done.written_count} written + {done.rejected_count} rejected; "
        f"{done.duplicate_count} repeated images"
    )
