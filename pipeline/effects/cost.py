"""What a measurement costs: counted from what is meant, and measured on some variants on this device."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline.base.effect_settings import EffectConfig
from pipeline.base.progress import NoProgress
from pipeline.base.storage import Store
from pipeline.clip.replay import Replay, set_units
from pipeline.effects.blocks import BLOCK_UNITS
from pipeline.effects.choose import NeuronPlan, plan_neurons, tested_names
from pipeline.effects.run import check_levels, choose_layers
from pipeline.effects.work import Work
from pipeline.tables.datasets import read_dataset
from pipeline.warehouse.connect import connect


@dataclass(frozen=True)
class Passes:
    """What forward passes cost on this device."""

    flops: int
    """Of what follows the layer, for one variant."""
    image_flops: int
    """Of the whole tower, for one image."""
    variant_s: float
    """Seconds for one variant, in batches, on this device."""
    image_s: float
    device: str
    is_whole: bool
    """The whole tower runs for every variant."""

    def tell(self, what: str, variants: int, images: int) -> str:
        """Two lines: what is counted, and how long it takes.

        Args:
            what: Of what it is.
            variants: Times that what follows the layer runs.
            images: Times that the whole tower runs, for one image.
        """
        after = "the whole tower" if self.is_whole else "what follows it"
        total = variants * self.flops + images * self.image_flops
        seconds = variants * self.variant_s + images * self.image_s
        return (
            f"{what}, {variants:,} variants through {after} ({self.flops / 1e9:.3g} GFLOP each), "
            f"{images:,} images through the tower ({self.image_flops / 1e9:.3g} GFLOP each): "
            f"{total / 1e12:.3g} TFLOP\n"
            f"measured on {self.device}: {self.variant_s * 1e3:.3g} ms a variant, "
            f"{self.image_s * 1e3:.3g} ms an image: {seconds:.3g} s in all"
        )


@dataclass(frozen=True)
class LayerCost:
    """What the neurons of a layer cost."""

    layer: str
    neuron_count: int
    variant_count: int
    """Neurons x examples x levels x 2, with the direction."""
    image_count: int
    passes: Passes

    def __str__(self) -> str:
        what = f"{self.layer}: {self.neuron_count} neurons"
        return self.passes.tell(what, self.variant_count, self.image_count)


@dataclass(frozen=True)
class EffectCost:
    """What a measurement costs, if nothing of it is done yet."""

    layers: tuple[LayerCost, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.layers))


def estimate_effects(config: EffectConfig) -> EffectCost:
    """Reckon what `run.measure_effects` takes, and write nothing.

    Raises:
        NeuronsError: What would stop the measurement as well.
    """
    check_levels(config.levels)
    store = Store(config.warehouse)
    read_dataset(store, config.dataset)
    with connect(config.warehouse) as connection:
        layers = choose_layers(connection, config)
        concepts = tested_names(connection, config.dataset, config.run)
        work = Work(store, connection, config, concepts, NoProgress())
        return EffectCost(
            tuple(
                measure_cost(
                    work.replay(layer.layer),
                    plan_neurons(connection, layer, config, concepts).neurons,
                    len(config.levels),
                    config.batch_size,
                )
                for layer in layers
            )
        )


def measure_cost(
    replay: Replay, neurons: Sequence[NeuronPlan], level_count: int, batch_size: int
) -> LayerCost:
    """Count and time the forward passes of a measurement.

    Args:
        replay: Runs what follows the layer.
        neurons: Which are meant.
        level_count: Levels that each is set to.
        batch_size: Variants that go through at once.
    """
    variants = sum(len(p.hidden) + len(p.shown) for p in neurons) * level_count * 2
    images = 0
    for block in sorted({p.unit // BLOCK_UNITS for p in neurons}):
        mine = [p for p in neurons if p.unit // BLOCK_UNITS == block]
        used = [i for p in mine for i in (*p.hidden, *p.shown)]
        images += sum(-(-2 * level_count * used.count(i) // batch_size) for i in set(used))
    passes = measure_passes(replay, max(2, min(batch_size, variants)))
    return LayerCost(replay.layer.name, len(neurons), variants, images, passes)


def measure_passes(replay: Replay, count: int) -> Passes:
    """Count and time the passes of one variant and of one image.

    Args:
        replay: Runs what follows the layer.
        count: Variants that go through at once; 2 or more.
    """
    pixels = torch.zeros(1, 3, *replay.clip.setup.image.size_px, device=replay.clip.device)
    flops = [_count_flops(replay, pixels, n) for n in (1, 2)]
    one, many = _time(replay, pixels, 1), _time(replay, pixels, count)
    each = max(0.0, many - one) / (count - 1)
    after, device = flops[1] - flops[0], replay.clip.device
    return Passes(
        after,
        flops[0] if replay.is_whole else flops[0] - after,
        each,
        max(0.0, one - each),
        torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        replay.is_whole,
    )


def _run(replay: Replay, pixels: torch.Tensor, count: int) -> None:
    units = torch.arange(count, device=pixels.device) % replay.layer.unit_count
    values = torch.ones(count, device=pixels.device)
    replay.embed_variants(
        pixels, count, lambda base: set_units(base, replay.layer, units, values)
    ).sum().item()  # waits for the device


def _time(replay: Replay, pixels: torch.Tensor, count: int) -> float:
    """Seconds for some variants of one image: the second of two times."""
    _run(replay, pixels, count)
    began = time.perf_counter()
    _run(replay, pixels, count)
    return time.perf_counter() - began


def _count_flops(replay: Replay, pixels: torch.Tensor, count: int) -> int:
    was_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # as one operation attention is not counted
    try:
        with FlopCounterMode(display=False) as counter:
            _run(replay, pixels, count)
    finally:
        torch.backends.mha.set_fastpath_enabled(was_fast)
    return int(counter.get_total_flops())
