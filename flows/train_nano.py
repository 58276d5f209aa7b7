"""``train-nano``: the embedded model, from packages alone. One command: python -m flows.train_nano FOLDER."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from prefect import flow, task
from prefect.logging import get_run_logger

from flows.artifacts import ArtifactProgress, show_markdown
from flows.retries import TASK_OPTIONS
from flows.server import guarded
from pipeline.base.display import complain, say
from pipeline.base.errors import NeuronsError
from pipeline.train.job import SMOKE, Shipped, train_nano
from pipeline.train.run import TrainConfig


@task(name="train nano", **TASK_OPTIONS)
def train_model(folder: str, config: TrainConfig, is_smoke: bool) -> Shipped:
    """Train or go on from the checkpoint, measure, and write what ships."""
    return train_nano(Path(folder), config, is_smoke, ArtifactProgress("Training nano"))


@guarded
@flow(name="train-nano")
def train_nano_flow(
    folder: str,
    steps: int = TrainConfig.steps,
    precision: str = TrainConfig.precision,
    seed: int = TrainConfig.seed,
    is_smoke: bool = False,
) -> str:
    """Train the embedded model; run it again to go on after a kill.

    Args:
        folder: Where packages, checkpoint and result go.
        steps: Steps in all.
        precision: float32, or bfloat16 on processors that multiply it fast.
        seed: Of weights and data.
        is_smoke: A few steps on what is installed, for a test.

    Returns:
        The folder with the weights and the model card.
    """
    full = replace(TrainConfig(), steps=steps, precision=precision, seed=seed)
    config = SMOKE if is_smoke else full
    done = train_model.submit(folder, config, is_smoke).result()
    get_run_logger().info("Shipped: %s", done.folder)
    card = (done.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    show_markdown("nano-model-card", card, "The model card")
    return str(done.folder)


def main(
    folder: Annotated[str, typer.Argument(help="Where packages, checkpoint and result go.")],
    steps: Annotated[int, typer.Option(help="Steps in all.")] = TrainConfig.steps,
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = TrainConfig.precision,
    seed: Annotated[int, typer.Option(help="Of weights and data.")] = TrainConfig.seed,
) -> None:
    """Train nano from packages alone. Repeat the command to go on after an interruption."""
    try:
        say(train_nano_flow(folder, steps, precision, seed))
    except NeuronsError as error:
        complain(f"{type(error).__name__}: {error}")
        raise typer.Exit(2) from error


if __name__ == "__main__":
    typer.run(main)
