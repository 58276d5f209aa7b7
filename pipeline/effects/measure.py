"""Setting neurons and reading what the model says then: the arithmetic, block by block.

On each example, for each level: the neuron is set to so many times its maximum (`replay.set_units`), and once
more what that changes is added along a random direction of the same length instead. What is read is the
cosine of the image's embedding with each tested concept's prompts, and the softmax over all of them at the
model's own scale.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from pipeline.clip.replay import Replay, set_units
from pipeline.clip.zero_shot import logit_scale
from pipeline.effects.choose import NeuronPlan
from pipeline.tables.schema import TABLES

SET, DIRECTION = 0, 1
"""What a variant is: the neuron set, or the random direction."""


@dataclass(frozen=True)
class Prompts:
    """The tested concepts as the model reads them."""

    names: tuple[str, ...]
    embeddings: torch.Tensor
    """Float32 ``[K, D]``, L2 norm 1, where the model is."""


@dataclass
class _Sums:
    """Sums over the examples of a block's neurons; ``N`` neurons, 2 kinds of variant, ``L`` levels."""

    cosines: np.ndarray
    """Hidden: changes, ``[N, 2, L, K]``."""
    plain: np.ndarray
    """``[2, 2, N]``: hidden and shown; of the concept and the other one."""
    varied: np.ndarray
    """``[2, 2, N, 2, L]``: the same of the variants."""
    shown_cosines: np.ndarray
    """Shown: changes of the concept, ``[N, 2, L]``."""

    @classmethod
    def zero(cls, neurons: int, levels: int, concepts: int) -> _Sums:
        return cls(
            np.zeros((neurons, 2, levels, concepts)),
            np.zeros((2, 2, neurons)),
            np.zeros((2, 2, neurons, 2, levels)),
            np.zeros((neurons, 2, levels)),
        )


def measure_block(
    replay: Replay,
    prompts: Prompts,
    neurons: Sequence[NeuronPlan],
    levels: Sequence[float],
    images: Mapping[int, torch.Tensor],
    seed: int,
    batch_size: int,
) -> tuple[pa.Table, pa.Table]:
    """Rows of ``effects`` and of ``concept_effects`` of some neurons, by unit, level and concept.

    Args:
        replay: Runs what follows the layer.
        prompts: The tested concepts.
        neurons: Which.
        levels: What each is set to, in its maxima.
        images: By example id, normalised pixels ``[1, 3, H, W]``, where the model is.
        seed: Of the directions.
        batch_size: Variants that go through at once.
    """
    layer = replay.layer
    place = {name: n for n, name in enumerate(prompts.names)}
    columns = np.array(
        [[place.get(p.concept or "", 0), place.get(p.other or "", 0)] for p in neurons]
    )
    directions = torch.stack(
        [draw_direction(f"{seed}/{layer.name}/{p.unit}", layer.unit_count) for p in neurons]
    ).to(replay.clip.device)
    sums = _Sums.zero(len(neurons), len(levels), len(prompts.names))
    roles = [(example_id, 0, n) for n, p in enumerate(neurons) for example_id in p.hidden]
    roles += [(example_id, 1, n) for n, p in enumerate(neurons) for example_id in p.shown]
    for example_id in sorted({example_id for example_id, _, _ in roles}):
        shown, who = np.array([(role, n) for one, role, n in roles if one == example_id]).T
        variants = [
            (n, role, kind, level)
            for kind in (SET, DIRECTION)
            for n, role in zip(who, shown, strict=True)
            for level in range(len(levels))
        ]
        plain = np.zeros(len(prompts.names))
        for number, some in enumerate(_chunks(variants, batch_size)):
            is_first = number == 0  # the image as it is goes with it
            embeddings = _embed(
                replay, images[example_id], neurons, levels, directions, some, is_first
            )
            cosines, p = _read(replay, prompts, embeddings)
            if is_first:
                plain, plain_p = cosines[0], p[0]
                cosines, p = cosines[1:], p[1:]
                for which in (0, 1):
                    sums.plain[shown, which, who] += plain_p[columns[who, which]]
            n, role, kind, level = np.array(some).T  # each of them once: nothing is added twice
            hides, own = role == 0, columns[n, 0]
            places = n[hides], kind[hides], level[hides]
            sums.cosines[places] += cosines[hides] - plain
            changes = np.take_along_axis(cosines, own[:, None], 1)[:, 0] - plain[own]
            sums.shown_cosines[n[~hides], kind[~hides], level[~hides]] += changes[~hides]
            for which in (0, 1):
                mine = np.take_along_axis(p, columns[n, which][:, None], 1)[:, 0]
                sums.varied[role, which, n, kind, level] += mine
    return _effects(neurons, levels, sums, len(prompts.names)), _concepts(
        neurons, levels, sums, prompts
    )


def draw_direction(key: str, count: int) -> torch.Tensor:
    """Float32 ``[count]`` of length one, uniform over directions; the same on every device."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:7])
    drawn = torch.randn(count, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=0)


def _embed(
    replay: Replay,
    pixels: torch.Tensor,
    neurons: Sequence[NeuronPlan],
    levels: Sequence[float],
    directions: torch.Tensor,
    variants: Sequence[tuple[int, int, int, int]],
    with_plain: bool,
) -> torch.Tensor:
    """Embeddings of variants of one image, those with a neuron set first; before them of the image as it is."""
    device = directions.device
    split = sum(kind == SET for _, _, kind, _ in variants)
    who = torch.tensor([n for n, *_ in variants], device=device)
    units = torch.tensor([neurons[n].unit for n, *_ in variants], device=device)
    values = torch.tensor([neurons[n].peak * levels[level] for n, _, _, level in variants])
    values = values.to(device)

    def change(base: torch.Tensor) -> torch.Tensor:
        parts = [base] if with_plain else []
        if split:
            parts.append(set_units(base, replay.layer, units[:split], values[:split]))
        if split < len(variants):
            rest = directions[who[split:]]
            parts.append(set_units(base, replay.layer, units[split:], values[split:], rest))
        return torch.cat(parts, 1 if replay.layer.layout == "tokens_first" else 0)

    return replay.embed_variants(pixels, len(variants) + with_plain, change)


def _read(
    replay: Replay, prompts: Prompts, embeddings: torch.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Cosines with each concept and their softmax at the model's scale, each ``[N, K]``, float64."""
    cosines = embeddings.float() @ prompts.embeddings.T
    p = (logit_scale(replay.clip) * cosines).softmax(1)
    return cosines.cpu().double().numpy(), p.cpu().double().numpy()


def _chunks(
    items: list[tuple[int, int, int, int]], size: int
) -> Iterator[list[tuple[int, int, int, int]]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _effects(
    neurons: Sequence[NeuronPlan], levels: Sequence[float], sums: _Sums, concept_count: int
) -> pa.Table:
    counts = np.array([[len(p.hidden) for p in neurons], [len(p.shown) for p in neurons]])
    is_labelled = np.array([p.concept is not None for p in neurons])
    with np.errstate(invalid="ignore"):
        plain = sums.plain / counts[:, None]
        varied = sums.varied / counts[:, None, :, None, None]
        shown_cosines = sums.shown_cosines / counts[1][:, None, None]
    plain[..., ~is_labelled], varied[:, :, ~is_labelled] = np.nan, np.nan
    by_level = {
        "hidden_set": varied[0, 0, :, SET],
        "hidden_direction": varied[0, 0, :, DIRECTION],
        "hidden_other_set": varied[0, 1, :, SET],
        "shown_set": varied[1, 0, :, SET],
        "shown_direction": varied[1, 0, :, DIRECTION],
        "shown_other_set": varied[1, 1, :, SET],
        "shown_cosine_change": shown_cosines[:, SET],
        "shown_cosine_direction": shown_cosines[:, DIRECTION],
    }
    by_neuron = {
        "unit": [p.unit for p in neurons],
        "concept": [p.concept for p in neurons],
        "other_concept": [p.other for p in neurons],
        "concept_count": [concept_count] * len(neurons),
        "hidden_count": counts[0],
        "shown_count": counts[1],
        "held_out_count": [p.held_out for p in neurons],
        "hidden_plain": plain[0, 0],
        "hidden_other_plain": plain[0, 1],
        "shown_plain": plain[1, 0],
        "shown_other_plain": plain[1, 1],
        "made_from": [p.made_from for p in neurons],
    }
    values = {name: np.repeat(np.array(v, object), len(levels)) for name, v in by_neuron.items()}
    values |= {name: v.reshape(-1) for name, v in by_level.items()}
    values["level"] = np.tile(np.array(levels), len(neurons))
    values["activation"] = np.outer([p.peak for p in neurons], levels).reshape(-1)
    schema = TABLES["effects"].arrow_schema()
    arrays = [pa.array(values[f.name], f.type, from_pandas=True) for f in schema]
    return pa.table(arrays, schema=schema)


def _concepts(
    neurons: Sequence[NeuronPlan], levels: Sequence[float], sums: _Sums, prompts: Prompts
) -> pa.Table:
    means = sums.cosines / np.array([len(p.hidden) for p in neurons])[:, None, None, None]
    size = len(levels) * len(prompts.names)
    names = pa.array(prompts.names, pa.string())
    arrays = [
        np.repeat([p.unit for p in neurons], size),
        np.tile(np.repeat(levels, len(names)), len(neurons)),
        names.take(pa.array(np.tile(np.arange(len(names)), len(neurons) * len(levels)))),
        means[:, SET].reshape(-1),
        means[:, DIRECTION].reshape(-1),
    ]
    schema = TABLES["concept_effects"].arrow_schema()
    return pa.table(
        [pa.array(a, f.type, safe=False) for a, f in zip(arrays, schema, strict=True)],
        schema=schema,
    )
