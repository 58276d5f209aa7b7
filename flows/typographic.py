"""``attack``: images with and without written words, classified; and the neurons, in one pass."""

from __future__ import annotations

from prefect import flow

from flows.classify import run_probe_tasks
from flows.runners import one_at_a_time
from flows.server import guarded
from pipeline.base.settings import ClassChoice, ExtractConfig
from pipeline.probes.attack import ATTACK


@guarded
@flow(name="attack", task_runner=one_at_a_time())
def attack_flow(
    config: ExtractConfig,
    choice: ClassChoice | None = None,
    shards_per_task: int = 8,
    tasks_at_once: int = 4,
) -> str:
    """Run a typographic attack on a dataset of typographic stimuli; a second run does what is left.

    Args:
        config: What to extract; the same fields as ``neurons extract`` takes.
        choice: Classes and prompts; see `ClassChoice` for what is left out.
        shards_per_task: Shards in one task.
        tasks_at_once: Tasks handed to the task runner at once.

    Returns:
        The class set's name: ``typographic_attacks`` and ``typographic_neurons`` hold its rows.

    Raises:
        WarehouseError: The dataset holds no typographic stimuli.
        ShardError: Some shards failed; all others are extracted, none is classified.
        NeuronsError: A step could not be done.
    """
    return run_probe_tasks(ATTACK, config, choice or ClassChoice(), shards_per_task, tasks_at_once)
