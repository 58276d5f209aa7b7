"""What ``neurons ablate`` costs: counted from the attacks that there are, and measured on some variants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.base.effect_settings import AblationConfig
from pipeline.base.storage import Store
from pipeline.clip.layers import resolve_layers
from pipeline.clip.replay import Replay
from pipeline.effects.ablate import check_counts, kept_layers
from pipeline.effects.attacks import AttackPlan, find_class_sets, plan_attacks
from pipeline.effects.cost import Passes, measure_passes
from pipeline.evidence.classify import load_run_model
from pipeline.tables.datasets import read_dataset, run_folder
from pipeline.tables.runs import read_run
from pipeline.warehouse.connect import connect


@dataclass(frozen=True)
class AblationCost:
    """What the attacks of a class set cost in one layer, if none of them was tried yet."""

    layer: str
    class_set: str
    attack_count: int
    idle_count: int
    """Others, which cannot be tried."""
    variant_count: int
    """Images x sets of neurons: for each number of neurons those that move most, and every draw."""
    image_count: int
    passes: Passes

    def __str__(self) -> str:
        idle = f" ({self.idle_count} more cannot be tried)" * bool(self.idle_count)
        what = f"{self.layer}, class set {self.class_set}: {self.attack_count} attacks{idle}"
        return self.passes.tell(what, self.variant_count, self.image_count)


def estimate_ablations(config: AblationConfig) -> list[AblationCost]:
    """Reckon what `ablate.measure_ablations` takes, by layer and class set, and write nothing.

    Raises:
        NeuronsError: What would stop the measurement as well.
    """
    check_counts(config.counts)
    store = Store(config.warehouse)
    read_dataset(store, config.dataset)
    with connect(config.warehouse) as connection:
        layers = kept_layers(connection, config)
        class_sets = find_class_sets(connection, config)
        run = read_run(store, run_folder(config.dataset, config.run))
        clip = load_run_model(run, config.model, config.device)
        found = []
        for layer in layers:
            replay = Replay(clip, resolve_layers(clip, (layer.layer,))[0])
            passes = measure_passes(replay, max(2, config.batch_size))
            for one in class_sets:
                plans, idle = plan_attacks(connection, layer, one.name, config)
                variants, images = count_passes(plans, config)
                found.append(
                    AblationCost(layer.layer, one.name, len(plans), idle, variants, images, passes)
                )
        return found


def count_passes(plans: Sequence[AttackPlan], config: AblationConfig) -> tuple[int, int]:
    """Variants through what follows the layer, and images through the whole tower: each as it is, and once
    more for every batch of its variants."""
    variants = images = 0
    for plan in plans:
        sets = sum(count <= len(plan.units) for count in config.counts) * (1 + config.draws)
        tried = len(plan.flipped) + len(plan.clean)
        variants += tried * sets
        images += tried * (1 + -(-sets // config.batch_size))
    return variants, images
