"""A run's samples and all that their bins rest on, from the real sketches of its shards."""

from __future__ import annotations

import numpy as np
import torch
from sql_world import empty_world

from pipeline.extract.reservoir import priorities as torch_priorities
from pipeline.extract.sketch import sketch

VIEWS = ("stg_samples", "drawn_examples", "neuron_samples")
KINDS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "rectified": lambda rng, shape: np.maximum(rng.normal(size=shape), 0),
    "heavy": lambda rng, shape: rng.standard_t(1.5, shape),
    "tied": lambda rng, shape: rng.integers(-2, 3, shape).astype(float),
    "shifted": lambda rng, shape: rng.normal(-3, 0.5, shape),
}
"""How activations are drawn."""


def priorities(ids):
    return torch_priorities(torch.from_numpy(ids)).numpy().astype(np.uint32)


def draw_values(rng, kind, shape, dtype):
    return KINDS[kind](rng, shape).clip(-6e4, 6e4).astype(dtype)


def make_world(axis="sd", **changes):
    world = empty_world(VIEWS, threads=1, **changes)
    world.add("layer_axes", "axis", axis)
    return world


def place_run(world, values, ids, shards, twice, top_k, only_signed):
    """What a run leaves behind of one layer: ``values`` of units and examples, the rest of examples."""
    world.add("stg_runs", "top_k", top_k)
    for unit, row in enumerate(values.astype(np.float64)):
        figures = (row.mean(), row.std(), row.min(), row.max())
        world.add("neuron_stats", "mean sd min max", figures, unit=unit)
        for polarity, sign in (("positive", 1), ("negative", -1)):
            order = [i for i in np.lexsort((ids, -sign * row)) if not twice[i]]
            best = [i for i in order if not only_signed or sign * row[i] > 0][:top_k]
            tops = [(rank, int(ids[i]), float(row[i])) for rank, i in enumerate(best, 1)]
            names = "example_rank example_id activation"
            world.add("top_examples", names, *tops, unit=unit, polarity=polarity)
    for shard in np.unique(shards):
        inside = np.flatnonzero(shards == shard)
        arrays = (
            torch.from_numpy(a) for a in (values[:, inside].copy(), ids[inside], twice[inside])
        )
        samples = sketch(*arrays, top_k, only_signed).samples
        counts = samples.counts[samples.unit, samples.bin + 32]
        columns = (samples.unit, samples.bin, counts, samples.example_id, samples.activation)
        world.add(
            "raw_shard_samples",
            "unit bin bin_example_count example_id activation",
            *zip(*(column.tolist() for column in columns), strict=True),
            shard_ordinal=int(shard),
        )
