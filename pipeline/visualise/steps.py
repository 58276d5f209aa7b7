"""Drawing as a step of a job."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pipeline.base.progress import ProgressCallback
from pipeline.base.steps import Step
from pipeline.base.visualise_settings import VisualiseConfig

if TYPE_CHECKING:
    from pipeline.visualise.run import VisualiseSummary


def visualise_step(config: VisualiseConfig) -> Step[list[VisualiseSummary]]:
    """Let neurons of a run draw."""
    return Step("draw pictures", f"Pictures of {config.run}", partial(_draw, config), config.device)


def _draw(config: VisualiseConfig, progress: ProgressCallback | None) -> list[VisualiseSummary]:
    from pipeline.visualise.run import visualise_neurons  # torch only when it is needed

    return visualise_neurons(config, progress)
