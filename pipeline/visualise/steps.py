"""Drawing, and training what steers it, as steps of a job."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pipeline.base.facet_settings import FacetProbeConfig
from pipeline.base.progress import ProgressCallback
from pipeline.base.steps import Step
from pipeline.base.visualise_settings import VisualiseConfig

if TYPE_CHECKING:
    from pipeline.visualise.facet_run import FacetProbeSummary
    from pipeline.visualise.run import VisualiseSummary


def facet_probes_step(config: FacetProbeConfig) -> Step[list[FacetProbeSummary]]:
    """Train what tells facets apart in a layer below the neurons of a run."""
    title = f"Facet probes of {config.run}"
    return Step("train facet probes", title, partial(_train, config), config.device)


def visualise_step(config: VisualiseConfig) -> Step[list[VisualiseSummary]]:
    """Let neurons of a run draw."""
    return Step("draw pictures", f"Pictures of {config.run}", partial(_draw, config), config.device)


def _train(config: FacetProbeConfig, progress: ProgressCallback | None) -> list[FacetProbeSummary]:
    from pipeline.visualise.facet_run import train_facet_probes  # torch only when it is needed

    return train_facet_probes(config, progress)


def _draw(config: VisualiseConfig, progress: ProgressCallback | None) -> list[VisualiseSummary]:
    from pipeline.visualise.run import visualise_neurons

    return visualise_neurons(config, progress)
