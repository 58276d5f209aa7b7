"""``stroop``: is a colour word in coloured ink taken for the word or for the ink?"""

from __future__ import annotations

from prefect import flow

from flows.classify import run_probe_tasks
from flows.runners import one_at_a_time
from flows.server import guarded
from pipeline.base.settings import ClassChoice, ExtractConfig
from pipeline.probes.stroop import STROOP


@guarded
@flow(name="stroop", task_runner=one_at_a_time())
def stroop_flow(
    config: ExtractConfig,
    choice: ClassChoice | None = None,
    shards_per_task: int = 8,
    tasks_at_once: int = 4,
) -> str:
    """Run a Stroop test on a dataset of Stroop cards; a second run does what the first left.

    Args:
        config: What to extract; the same fields as ``neurons extract`` takes.
        choice: Classes and prompts; see `ClassChoice` for what is left out.
        shards_per_task: Shards in one task.
        tasks_at_once: Tasks handed to the task runner at once.

    Returns:
        The class set's name: ``stroop_cells`` and ``stroop_summary`` hold its rows.

    Raises:
        WarehouseError: The dataset holds no Stroop cards.
        ShardError: Some shards failed; all others are extracted, none is classified.
        NeuronsError: A step could not be done.
    """
    return run_probe_tasks(STROOP, config, choice or ClassChoice(), shards_per_task, tasks_at_once)
