"""Whether an attacked image is taken for what it shows again, without some neurons: the arithmetic."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import torch

from pipeline.clip.replay import Replay, set_units
from pipeline.clip.zero_shot import score_classes
from pipeline.effects.attacks import AttackPlan
from pipeline.tables.schema import TABLES


@dataclass(frozen=True)
class Classes:
    """The classes of a class set as the model reads them."""

    names: tuple[str, ...]
    """Sorted: of equal logits the first is taken, as in ``class_predictions``."""
    embeddings: torch.Tensor
    """Float32 ``[C, D]`` on the CPU, L2 norm 1."""


class Ablation(NamedTuple):
    """Neurons that are set to 0 at once."""

    size: int
    draw: int
    """0: those that the attack moves most."""
    units: tuple[int, ...]


def list_ablations(
    plan: AttackPlan, counts: Sequence[int], draws: int, key: str, unit_count: int
) -> list[Ablation]:
    """All that are tried for an attack; no count that is more than there are neurons to choose from.

    Args:
        plan: The attack.
        counts: How many neurons at once.
        draws: How many times as many are drawn at random.
        key: What draws follow from; of one draw the first neurons of a larger count are those of a smaller.
        unit_count: Neurons of the layer, which are drawn from.
    """
    orders = [plan.units]
    for draw in range(1, draws + 1):
        hashes = [
            hashlib.sha256(f"{key}/{draw}/{unit}".encode()).digest() for unit in range(unit_count)
        ]
        orders.append(tuple(sorted(range(unit_count), key=hashes.__getitem__)))
    return [
        Ablation(count, draw, order[:count])
        for count in sorted(counts)
        if count <= len(plan.units)
        for draw, order in enumerate(orders)
    ]


def measure_attack(
    replay: Replay,
    classes: Classes,
    plan: AttackPlan,
    ablations: Sequence[Ablation],
    images: Mapping[int, torch.Tensor],
    batch_size: int,
) -> pa.Table:
    """Rows of ``ablations`` of one attack, by number of neurons, draw and image.

    Args:
        replay: Runs what follows the layer.
        classes: What images are classified into.
        plan: The attack and its images.
        ablations: What is set to 0.
        images: By example id, normalised pixels ``[1, 3, H, W]``, where the model is.
        batch_size: Variants that go through at once.
    """
    tried: list[tuple[int, str | None]] = [*plan.flipped, *((i, None) for i in plan.clean)]
    rows = []
    for example_id, wanted in tried:
        pixels = images[example_id]
        plain, *found = predict_without(
            replay, classes, pixels, [one.units for one in ablations], batch_size
        )
        for one, predicted in zip(ablations, found, strict=True):
            rows.append(
                {
                    "attack_text": plan.attack_text,
                    "target_class": plan.target_class,
                    "placement": plan.placement,
                    "chosen_count": plan.chosen_count,
                    "neuron_count": one.size,
                    "draw": one.draw,
                    "units": ",".join(map(str, one.units)),
                    "example_id": example_id,
                    "is_attacked": wanted is not None,
                    "wanted_class": plain if wanted is None else wanted,
                    "plain_class": plain,
                    "predicted_class": predicted,
                }
            )
    rows.sort(key=lambda row: (row["neuron_count"], row["draw"], row["example_id"]))
    return pa.Table.from_pylist(rows, schema=TABLES["ablations"].arrow_schema())


def predict_without(
    replay: Replay,
    classes: Classes,
    pixels: torch.Tensor,
    sets: Sequence[Sequence[int]],
    batch_size: int,
) -> list[str]:
    """The class of an image as it is, then with each set of units at 0.

    Args:
        replay: Runs what follows the layer.
        classes: What it is classified into.
        pixels: Normalised, ``[1, 3, H, W]``.
        sets: Units that are set to 0 at once, one or more in each.
        batch_size: Variants that go through at once.
    """
    width = max(map(len, sets))
    filled = [[*units, *[units[0]] * (width - len(units))] for units in sets]
    found = [replay.embed(pixels)[None].cpu()]
    for start in range(0, len(filled), batch_size):
        units = torch.tensor(filled[start : start + batch_size], device=pixels.device)
        found.append(_embed(replay, pixels, units).cpu())
    logits, _ = score_classes(replay.clip, torch.cat(found), classes.embeddings)
    return [classes.names[place] for place in logits.numpy().argmax(1)]


def _embed(replay: Replay, pixels: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
    zeros = torch.zeros(len(units), device=units.device)
    return replay.embed_variants(
        pixels, len(units), lambda base: set_units(base, replay.layer, units, zeros)
    )
