"""What a GPU needs, as far as a CPU can show it: nothing is waited for, and the right sorts are used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.base.settings import ExtractConfig
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import load_clip
from pipeline.extract import primitives
from pipeline.extract.device import beside, bound_memory, to_host
from pipeline.extract.encode import Encoder
from pipeline.extract.plan import Example, ShardPlan
from pipeline.extract.results import LayerOutput
from pipeline.extract.stream import Batch
from pipeline.tables.datasets import Shard

CPU = torch.device("cpu")
WAITING = {"_local_scalar_dense", "nonzero", "equal", "masked_select", "_unique2", "bincount"}
"""Operations whose result, or its size, the host must know."""


class Waits(TorchDispatchMode):
    """Collects the operations that would make the host wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        self.found |= {func.overloadpacket.__name__} & WAITING
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("model", ["RN-small:random", "ViT-small:random"])
def test_a_batch_is_encoded_without_asking_for_a_value(model: str) -> None:
    layer = "visual.layer4.2.act3" if model.startswith("RN") else "visual.transformer.resblocks.1"
    clip = load_clip(model)
    outputs = tuple(LayerOutput(n, "all", torch.float16) for n in resolve_layers(clip, (layer,)))
    spec = ImageSpec.from_model(clip.model)
    shard = Shard(0, "s", "s.tar", 0)
    examples = [Example(n, n, f"{n}", 0, 1, "") for n in range(3)]
    images = torch.randint(0, 256, (3, 3, *spec.size_px), dtype=torch.uint8)
    encoder = Encoder(clip, outputs, spec, ExtractConfig("w", "d", model, (layer,)))
    with encoder.hooked(), Waits() as waits:
        pending = encoder.encode(Batch(ShardPlan(shard, "", []), examples, images, True))
    assert waits.count > 20 and not waits.found
    with Waits() as waits:
        assert bool(pending.wait().is_finite.all())
    assert waits.found == {"_local_scalar_dense"}  # so it does notice


def test_primitives_of_the_cpu_are_those_of_torch() -> None:
    rng = np.random.default_rng(0)
    keys = torch.from_numpy(rng.permutation(700).reshape(7, 100).astype(np.int32) - 350)
    mask, counts = keys % 3 == 0, torch.from_numpy(rng.integers(0, 4, 7))
    assert torch.equal(primitives.find_true(mask), mask.flatten().nonzero().flatten())
    values = torch.arange(7) * 5
    assert torch.equal(primitives.repeat(values, counts), values.repeat_interleave(counts))
    expected = [(n, 10 * n + i) for n, count in enumerate(counts.tolist()) for i in range(count)]
    groups, places = primitives.take_first(10 * torch.arange(7), counts)
    assert list(zip(groups.tolist(), places.tolist(), strict=True)) == expected
    sorted_keys = keys.sort(dim=1).values
    assert torch.equal(primitives.sort_rows(keys), sorted_keys)


def test_a_cpu_has_no_streams_and_no_limit() -> None:
    tensor = torch.arange(3)
    with beside(CPU):
        (copy,) = to_host([tensor])
    assert copy is tensor and bound_memory(1 << 60, CPU) == 1 << 60
