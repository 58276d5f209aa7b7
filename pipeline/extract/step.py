"""An extraction as a step of a job."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import ExtractConfig
from pipeline.base.steps import Step

if TYPE_CHECKING:
    from pipeline.extract.account import RunSummary


def extract_step(config: ExtractConfig) -> Step[RunSummary]:
    """A model over a dataset."""
    title = f"Images of {config.dataset}"
    return Step("extract", title, partial(_extract, config), config.device, config)


def _extract(config: ExtractConfig, progress: ProgressCallback | None) -> RunSummary:
    from pipeline.extract.run import extract  # torch only when it is needed

    return extract(config, progress)
