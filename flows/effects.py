"""``effect`` and ``ablate``: neurons of a run are set, what follows them runs again."""

from __future__ import annotations

from prefect import flow

from flows.runners import one_at_a_time
from flows.server import guarded
from flows.steps import Tasks
from pipeline.base.effect_settings import AblationConfig, EffectConfig
from pipeline.effects.steps import ablate_step, effect_step


@guarded
@flow(name="effect", task_runner=one_at_a_time())
def effect_flow(config: EffectConfig) -> list[str]:
    """Measure what neurons of a run do to what its images are taken for; a second run does what is left.

    Args:
        config: As ``neurons effect`` takes it.

    Returns:
        A line for each layer; ``neuron_effects`` holds its rows.

    Raises:
        NeuronsError: It could not be done.
    """
    return [str(done) for done in Tasks().do(effect_step(config))]


@guarded
@flow(name="ablate", task_runner=one_at_a_time())
def ablate_flow(config: AblationConfig) -> list[str]:
    """Try typographic attacks without the neurons that they move; a second run does what is left.

    Args:
        config: As ``neurons ablate`` takes it.

    Returns:
        A line for each layer and class set; ``attack_ablations`` holds its rows.

    Raises:
        WarehouseError: The run has no attack.
        NeuronsError: It could not be done.
    """
    return [str(done) for done in Tasks().do(ablate_step(config))]
