"""``visualise`` and ``facet-probes``: neurons of a run draw, and what steers them is trained."""

from __future__ import annotations

from prefect import flow

from flows.runners import one_at_a_time
from flows.server import guarded
from flows.steps import Tasks
from pipeline.base.facet_settings import FacetProbeConfig
from pipeline.base.visualise_settings import VisualiseConfig
from pipeline.visualise.steps import facet_probes_step, visualise_step


@guarded
@flow(name="facet-probes", task_runner=one_at_a_time())
def facet_probes_flow(config: FacetProbeConfig) -> list[str]:
    """Train what tells facets apart in a layer below the neurons of a run; a second run trains what is left.

    Args:
        config: As ``neurons facet-probes`` takes it.

    Returns:
        A line for each layer and facet; ``facet_probes`` holds its rows.

    Raises:
        NeuronsError: It could not be done.
    """
    return [str(done) for done in Tasks().do(facet_probes_step(config))]


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
