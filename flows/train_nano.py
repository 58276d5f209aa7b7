"""``train-nano``: the embedded model, from packages alone. One command: python -m flows.train_nano FOLDER."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import flow, task
from prefect.logging import get_run_logger

from flows.artifacts import ArtifactProgress, show_markdown
from flows.retries import TASK_OPTIONS
from flows.server import guarded
from pipeline.base.display import complain, say
from pipeline.base.errors import NeuronsError
from pipeline.base.fields import list_fields
from pipeline.base.settings import TrainConfig

if TYPE_CHECKING:
    from pipeline.train.job import Shipped


@task(name="train nano", **TASK_OPTIONS)
def train_model(folder: str, config: TrainConfig | None, is_smoke: bool) -> Shipped:
    """Train or go on from the checkpoint, measure, and write what ships."""
    from pipeline.train.job import SMOKE, train_nano

    chosen = SMOKE if is_smoke else config or TrainConfig()
    return train_nano(Path(folder), chosen, is_smoke, ArtifactProgress("Training nano"))


@guarded
@flow(name="train-nano")
def train_nano_flow(folder: str, config: TrainConfig | None = None, is_smoke: bool = False) -> str:
    """Train the embedded model; run it again to go on after a kill.

    Args:
        folder: Where packages, checkpoint and result go.
        config: How long, how fast; nano's own if not given.
        is_smoke: A few steps on what is installed, for a test.

    Returns:
        The folder with the weights and the model card.
    """
    done = train_model.submit(folder, config, is_smoke).result()
    get_run_logger().info("Shipped: %s", done.folder)
    card = (done.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    show_markdown("nano-model-card", card, "The model card")
    return str(done.folder)


def make_parser() -> argparse.ArgumentParser:
    """The command line: the folder, and an option for each field of the settings."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.train_nano",
        description="Train nano from packages alone. Repeat the command to go on after an interruption.",
    )
    parser.add_argument("folder", help="Where packages, checkpoint and result go.")
    for field in list_fields(TrainConfig):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=type(field.default),
            choices=field.choices or None,
            default=field.default,
            help=field.help,
        )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, or say what is wrong."""
    given = vars(make_parser().parse_args(arguments))
    try:
        say(train_nano_flow(given.pop("folder"), TrainConfig(**given)))
    except NeuronsError as error:
        complain(f"{type(error).__name__}: {error}")
        sys.exit(2)


if __name__ == "__main__":
    main()
