"""Measurements as steps of a job."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pipeline.base.effect_settings import AblationConfig, EffectConfig
from pipeline.base.progress import ProgressCallback
from pipeline.base.steps import Step

if TYPE_CHECKING:
    from pipeline.effects.ablate import AblationSummary
    from pipeline.effects.run import LayerSummary


def effect_step(config: EffectConfig) -> Step[list[LayerSummary]]:
    """Set neurons of a run, and keep what the model says then."""
    title = f"Effects of {config.run}"
    return Step("measure effects", title, partial(_measure, config), config.device)


def ablate_step(config: AblationConfig) -> Step[list[AblationSummary]]:
    """Set the neurons that attacks move most to 0, and keep what images are taken for then."""
    title = f"Ablations of {config.run}"
    return Step("ablate neurons", title, partial(_ablate, config), config.device)


def _measure(config: EffectConfig, progress: ProgressCallback | None) -> list[LayerSummary]:
    from pipeline.effects.run import measure_effects  # torch only when it is needed

    return measure_effects(config, progress)


def _ablate(config: AblationConfig, progress: ProgressCallback | None) -> list[AblationSummary]:
    from pipeline.effects.ablate import measure_ablations

    return measure_ablations(config, progress)
