"""The commands ``neurons attack`` and ``neurons stroop``: arguments in, tables out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.base.display import print_table, say
from pipeline.base.errors import ConfigError
from pipeline.base.progress import choose_progress
from pipeline.base.settings import ClassChoice, ExtractConfig
from pipeline.base.steps import Here
from pipeline.cli.options import examples, settings_as_options

if TYPE_CHECKING:
    from pipeline.probes.probe import Probe, ProbeSummary

ClassFile = Annotated[
    Path | None,
    typer.Option("--classes", help="Text file with one class a line, besides those of --class."),
]
LAYERS = ("goh2021",)


def add_commands(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command(
        epilog=examples(
            "neurons attack --warehouse warehouse --dataset attacked --model nano",
            "neurons attack --warehouse warehouse --dataset attacked --model nano "
            "--class cat --class dog --class pizza",
        )
    )(attack)
    app.command(
        epilog=examples("neurons stroop --warehouse warehouse --dataset colours --model nano")
    )(stroop)


@settings_as_options(layers=LAYERS)
def attack(config: ExtractConfig, choice: ClassChoice, class_file: ClassFile = None) -> None:
    """Classify images with and without words on them. Repeat it to resume.

    The typographic attack of Goh et al. 2021: does a written word win over what the image shows?
    """
    from pipeline.probes.attack import ATTACK

    _run_and_print(ATTACK, config, choice, class_file)


@settings_as_options(layers=LAYERS)
def stroop(config: ExtractConfig, choice: ClassChoice, class_file: ClassFile = None) -> None:
    """Test whether a colour word is taken for its ink. Repeat it to resume.

    The Stroop test: a colour word stands in some ink; does the model name the word or the ink?
    """
    from pipeline.probes.stroop import STROOP

    _run_and_print(STROOP, config, choice, class_file)


def read_classes(names: tuple[str, ...], file: Path | None) -> tuple[str, ...]:
    """Classes of a file and of the command line, each once, in that order.

    Raises:
        ConfigError: The file cannot be read.
    """
    lines: list[str] = []
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{file} cannot be read: {error}.", "Give a UTF-8 text file, one class a line."
            ) from error
    return tuple(dict.fromkeys([*(line.strip() for line in lines if line.strip()), *names]))


def _run_and_print(
    probe: Probe, config: ExtractConfig, choice: ClassChoice, class_file: Path | None
) -> None:
    from pipeline.probes.probe import run_probe

    choice = replace(choice, classes=read_classes(choice.classes, class_file))
    done = run_probe(probe, config, choice, Here(choose_progress()))
    say(f"run {done.run_id}, class set {done.class_set}: {done.class_count} classes")
    print_probe(done)


def print_probe(done: ProbeSummary) -> None:
    """Say what a test found, as tables."""
    if done.is_random:
        say("The model's weights are RANDOM: these numbers show the machinery alone.")
    for table in done.tables:
        say("", table.title)
        print_table(table.columns, iter(table.rows))
