"""What a run of any size takes: bytes by table, files, hours, machines; from measured rates, without the run.

Bytes are those of a sample that is written for it: normal activations of one layer, of which the right share
is above zero. Their order in the images is random, so sorted and real ones take a little less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import torch

from pipeline.base.budget_settings import BudgetQuestion
from pipeline.base.display import show_bytes
from pipeline.clip.hooks import Layer, LayerSpec
from pipeline.extract.estimate import lay_out_sizes
from pipeline.extract.kept import NONE
from pipeline.extract.results import LayerOutput, Results
from pipeline.extract.sizes import CHOICES, Sizes, measure_sizes
from pipeline.tables.merged import PARTIALS

SAMPLE_EXAMPLES = 512
SAMPLE_UNITS = 1024
"""Units that are written for it at most; more take as much each."""

PLACES = 81
"""Positions that the sample's maxima lie at, each as often: the map of RN50x4's last block."""

OTHER_FILES = 3
"""Of each shard: embeddings, rejects, manifest."""


@dataclass(frozen=True)
class Budget:
    """The answer to a question."""

    question: BudgetQuestion
    sizes: Sizes
    """Of one layer."""
    sampled_units: int

    def bytes_of(self, store: str, is_merged: bool = False) -> dict[str, float]:
        """By table, of all layers; after partials of many shards have become one, if asked."""
        asked = self.question
        found = self.sizes.of_shards(store, self.shard_sizes())
        if is_merged:
            wide = self.sizes.of_shards(
                store, self.shard_sizes(asked.merge_width * asked.shard_size)
            )
            found |= {table: min(found[table], wide[table]) for table in PARTIALS}
        per_layer = asked.layers * asked.units / self.sampled_units
        return {
            table: size * (1 if table == "embeddings" else per_layer)
            for table, size in found.items()
        }

    def shard_sizes(self, size: int = 0) -> Sequence[int]:
        """Images in each shard; of the asked size, or of another one."""
        whole, rest = divmod(self.question.images, size or self.question.shard_size)
        return [size or self.question.shard_size] * whole + [rest] * bool(rest)

    def count_files(self, is_merged: bool = False) -> int:
        """Files of the run, as extracted or after partials of many shards have become one."""
        asked, shards = self.question, len(self.shard_sizes())
        stored = asked.layers * (asked.store != NONE)
        partials = len(PARTIALS) * asked.layers
        merges = math.ceil(shards / asked.merge_width) if is_merged else shards
        return shards * (stored + OTHER_FILES) + merges * partials

    @property
    def device_hours(self) -> float:
        """Hours of one device."""
        return self.question.images / self.question.rate / 3600

    def __str__(self) -> str:
        asked = self.question
        hours, shards = self.device_hours, len(self.shard_sizes())
        machines = math.ceil(hours / (24 * asked.days))
        total, merged = (
            sum(self.bytes_of(asked.store, is_merged).values()) for is_merged in (False, True)
        )
        lines = [
            f"{asked.images:,} images in {shards:,} shards of {asked.shard_size:,}; "
            f"{asked.layers * asked.units:,} units",
            *lay_out_sizes({store: self.bytes_of(store) for store in self.sizes.by_store}),
            f"as extracted with --store {asked.store}: {show_bytes(round(total))} in "
            f"{self.count_files():,} files",
            f"partials of {asked.merge_width} shards merged: about {show_bytes(round(merged))} in "
            f"{self.count_files(True):,} files",
            f"at {asked.rate:,.0f} images/s: {hours:,.1f} device hours; in {_count(asked.days, 'day')} "
            f"{_count(machines, 'device')} with {math.ceil(shards / machines):,} shards each",
        ]
        if asked.write_rate:
            cores = asked.rate / asked.write_rate
            lines.append(
                f"cores that write for one device, at {asked.write_rate:,.0f}: {cores:.1f}"
            )
        return "\n".join(lines)


def _count(number: float, name: str) -> str:
    return f"{number:g} {name}" + "s" * (number != 1)


def reckon(question: BudgetQuestion) -> Budget:
    """Write the sample and count."""
    units = min(SAMPLE_UNITS, question.units)
    count = min(SAMPLE_EXAMPLES, question.shard_size, question.images)
    spec = LayerSpec("sample", "output", "max")
    layer = Layer(spec, "visual", "", "flat", units, is_rectified=not question.dense)
    output = LayerOutput(layer, question.store, torch.float16)
    generator = torch.Generator().manual_seed(0)
    share = min(max(question.active, 1e-6), 1 - 1e-6)
    values = torch.randn(count, units, generator=generator) + NormalDist().inv_cdf(share)
    vectors = torch.randn(count, question.embedding, generator=generator)
    held = Results(
        torch.arange(count),
        {layer.name: values.half()},
        torch.nn.functional.normalize(vectors, dim=1).half(),
        torch.ones(count, dtype=torch.bool),
        {
            layer.name: torch.randint(
                0, PLACES, values.shape, generator=generator, dtype=torch.uint8
            )
        },
    )
    stores = dict.fromkeys((question.store, *CHOICES))
    none = torch.zeros(0, dtype=torch.int64)
    sizes = measure_sizes([held], [output], stores, none, question.top_k)
    return Budget(question, sizes, units)
