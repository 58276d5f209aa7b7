"""The commands ``neurons attack`` and ``neurons stroop``: arguments in, tables out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.base.display import print_table, say
from pipeline.base.errors import ConfigError
from pipeline.base.progress import choose_progress
from pipeline.base.settings import ClassChoice, ExtractConfig

if TYPE_CHECKING:
    from pipeline.probes.probe import Probe

Warehouse = Annotated[
    str, typer.Option(envvar="NEURONS_WAREHOUSE", help="Folder or URL of the warehouse.")
]
Dataset = Annotated[str, typer.Option(help="Name of a dataset that holds such stimuli.")]
Model = Annotated[
    str,
    typer.Option(
        help="nano, ARCH:TAG, ARCH:TAG@FILE, hf-hub:ORG/NAME, local-dir:DIR, ARCH:random."
    ),
]
Layers = Annotated[list[str], typer.Option("--layer", help="Layers, as extract takes them.")]
Classes = Annotated[
    list[str],
    typer.Option(
        "--class", help="A class to choose from; several. Else all that the stimuli name."
    ),
]
ClassFile = Annotated[
    Path | None, typer.Option("--classes", help="A text file with one class a line.")
]
Templates = Annotated[
    list[str], typer.Option("--template", help='Prompt with {}, as "a photo of a {}."; several.')
]
ClassSet = Annotated[str, typer.Option(help="Name of the class set; else a hash of it.")]
Run = Annotated[str, typer.Option(help="Name of the run; else a hash of its settings.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
BatchSize = Annotated[int, typer.Option(help="Images in one forward pass.")]
Workers = Annotated[int, typer.Option(help="Decoding threads; 0: one a core.")]


def attack(
    warehouse: Warehouse,
    dataset: Dataset,
    model: Model,
    layer: Layers = ["goh2021"],  # noqa: B006  # typer copies it
    one_class: Classes = [],  # noqa: B006
    classes: ClassFile = None,
    template: Templates = [],  # noqa: B006
    class_set: ClassSet = "",
    run: Run = "",
    device: Device = "auto",
    batch_size: BatchSize = 64,
    workers: Workers = 0,
) -> None:
    """Typographic attack: classify images with and without words on them. Repeat it to resume."""
    from pipeline.probes.attack import ATTACK

    config = ExtractConfig(
        warehouse,
        dataset,
        model,
        tuple(layer),
        run=run,
        device=device,
        batch_size=batch_size,
        workers=workers,
    )
    choice = ClassChoice(read_classes(one_class, classes), tuple(template), class_set)
    _run_and_print(ATTACK, config, choice)


def stroop(
    warehouse: Warehouse,
    dataset: Dataset,
    model: Model,
    layer: Layers = ["goh2021"],  # noqa: B006
    one_class: Classes = [],  # noqa: B006
    classes: ClassFile = None,
    template: Templates = [],  # noqa: B006
    class_set: ClassSet = "",
    run: Run = "",
    device: Device = "auto",
    batch_size: BatchSize = 64,
    workers: Workers = 0,
) -> None:
    """Stroop: is a colour word in coloured ink taken for the word or the ink? Repeat it to resume."""
    from pipeline.probes.stroop import STROOP

    config = ExtractConfig(
        warehouse,
        dataset,
        model,
        tuple(layer),
        run=run,
        device=device,
        batch_size=batch_size,
        workers=workers,
    )
    choice = ClassChoice(read_classes(one_class, classes), tuple(template), class_set)
    _run_and_print(STROOP, config, choice)


def read_classes(names: list[str], file: Path | None) -> tuple[str, ...]:
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


def _run_and_print(probe: Probe, config: ExtractConfig, choice: ClassChoice) -> None:
    from pipeline.probes.probe import run_probe

    done = run_probe(probe, config, choice, choose_progress())
    say(f"run {done.run_id}, class set {done.class_set}: {done.class_count} classes")
    if done.is_random:
        say("The model's weights are RANDOM: these numbers show the machinery alone.")
    for table in done.tables:
        say("", table.title)
        print_table(table.columns, iter(table.rows))
