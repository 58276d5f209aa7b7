"""``visualise``: neurons of a run draw."""

from __future__ import annotations

from prefect import flow

from flows.runners import one_at_a_time
from flows.server import guarded
from flows.steps import Tasks
from pipeline.base.visualise_settings import VisualiseConfig
from pipeline.visualise.steps import visualise_step


@guarded
@flow(name="visualise", task_runner=one_at_a_time())
def visualise_flow(config: VisualiseConfig) -> list[str]:
    """Let neurons of a run draw what they answer to most; a second run draws what is left.

    Args:
        config: As ``neurons visualise`` takes it.

    Returns:
        A line for each layer; ``visualisations`` holds its rows.

    Raises:
        NeuronsError: It could not be done.
    """
    return [str(done) for done in Tasks().do(visualise_step(config))]
