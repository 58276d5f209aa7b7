"""The text of a neuron: phrases by the cosine of each with what the neuron writes into the embedding.

The other way round than `texts.weigh_text`, with the same cosines: there one text is held against all neurons,
here one neuron against all phrases. Beside each neuron stands a random direction of its layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pipeline.clip.model import Clip
from pipeline.clip.zero_shot import choose_readable, embed_classes
from pipeline.evidence.texts import TEMPLATES, background_texts
from pipeline.tables.schema import TABLES

KEPT = 20
"""Phrases of each neuron in the table."""

UNITS_AT_ONCE = 1024

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Phrases:
    """Phrases in the embedding space of a model."""

    names: tuple[str, ...]
    vectors: torch.Tensor
    """Float64 ``[P, D]``, L2 norm 1: each is its prompts' mean less that of the background, as
    `zero_shot.embed_text` makes it."""
    unread: tuple[str, ...] = ()
    """Phrases that the model cannot read to their end, or cannot tell from another one."""


def embed_phrases(
    clip: Clip, names: Sequence[str], templates: Sequence[str] = TEMPLATES
) -> Phrases:
    """Embed phrases as `texts.find_direction` embeds each of them.

    Raises:
        ModelError: The model gives NaN or infinity.
    """
    kept, left = choose_readable(clip, names, templates)
    background = background_texts()
    every = clip.tokenizer([*kept, *background]).tolist()
    places: dict[tuple[int, ...], int] = {}
    for place, row in enumerate(every):  # "Guitar" and "guitar" are one text to most models
        places.setdefault(tuple(row), place)
    texts = [*kept, *background]
    firsts = sorted(places.values())
    embedded = embed_classes(clip, [texts[place] for place in firsts], templates).double()
    at = {place: number for number, place in enumerate(firsts)}
    others = torch.tensor([at[places[tuple(row)]] for row in every[len(kept) :]])
    total = embedded[others].sum(dim=0)
    own = torch.isin(torch.arange(len(kept)), others)  # one of the background is not its own
    vectors = embedded[: len(kept)]
    means = (total - own[:, None] * vectors) / (len(others) - own.double())[:, None]
    return Phrases(tuple(kept), torch.nn.functional.normalize(vectors - means, dim=1), tuple(left))


def weigh_phrases(directions: torch.Tensor, phrases: Phrases) -> torch.Tensor:
    """Cosines, float64 ``[U, P]``; 0 for a neuron that writes nothing."""
    return torch.nn.functional.normalize(directions, dim=1) @ phrases.vectors.T


def draw_directions(directions: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Random directions, as many as neurons: each a sum of what all neurons of the layer write, with weights
    drawn from a normal distribution. They lie where the layer writes, and are of no neuron.
    """
    generator = torch.Generator().manual_seed(seed)
    count = len(directions)
    mixed = torch.randn(count, count, generator=generator, dtype=torch.float64)
    unit = torch.nn.functional.normalize(directions, dim=1)
    return mixed @ unit


def tabulate_phrases(
    directions: torch.Tensor, phrases: Phrases, categories: Mapping[str, str]
) -> pa.Table:
    """Rows of ``weight_texts``: of each neuron that writes anything, the phrases that come first.

    Args:
        directions: Float64 ``[U, D]``.
        phrases: What is ranked; ties go by their order.
        categories: Of each phrase.
    """
    kept = min(KEPT, len(phrases.names))
    units = torch.nonzero(torch.linalg.vector_norm(directions, dim=1) > 0).flatten()
    random = draw_directions(directions)
    schema = TABLES["weight_texts"].arrow_schema()
    tables = [schema.empty_table()]
    names = np.array(phrases.names, dtype=object)
    families = np.array([categories.get(name, "") for name in phrases.names], dtype=object)
    for some in torch.split(units, UNITS_AT_ONCE):
        cosines, order = weigh_phrases(directions[some], phrases).sort(
            dim=1, descending=True, stable=True
        )
        chance = weigh_phrases(random[some], phrases).topk(kept, dim=1).values
        first = order[:, :kept].reshape(-1).numpy()
        columns = [
            np.repeat(some.numpy().astype(np.int32), kept),
            np.tile(np.arange(1, kept + 1, dtype=np.int32), len(some)),
            pa.array(names[first], pa.string()),
            pa.array(families[first], pa.string()),
            cosines[:, :kept].reshape(-1).numpy().astype(np.float32),
            chance.reshape(-1).numpy().astype(np.float32),
        ]
        tables.append(pa.table(columns, schema=schema))
    return pa.concat_tables(tables)
