"""A free text as a direction in a model's embedding space, and the neurons that point along it.

Two ways that need no concept statistics: the correlation of each neuron with the similarity of the
text over all images; and, for towers with an attention pool, the weights alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import torch

from pipeline.base.errors import ModelError
from pipeline.clip.model import Clip, load_clip
from pipeline.clip.zero_shot import embed_text
from pipeline.evidence.classify import refuse_another_model
from pipeline.evidence.matrix import read_embeddings
from pipeline.tables.runs import ModelIdentity

TEMPLATES = ("{}", "a picture of {}", "a photo of {}", "a drawing of {}")
"""Prompts for a free text: without an article, since it may be a plural or a sentence."""

BACKGROUND = """
bed; Slovenia; carrot; Jayapura; Hermosillo; tomato; sheaf of rice; Rarotonga; fire;
badminton; Abidjan; Bulgaria; Maputo; dagger; police car; France; Super Mario; dinosaur;
carousel horse; innocence; pen; Bujumbura; blurred; postbox; soft ice cream; artist; Tunis;
diamond suit; sign; Halifax; Asterix; singer; Kuwait; Kiritimati; window; musician; postage
stamp; photograph; cityscape; Ford Motor; Luxembourg; Brussels; Cambodia; Yerevan; dog;
Ireland; syringe; burrito; Norse mythology; Nintendo; Baroque; railway station; Mauritius;
jealousy; Samoa; steaming bowl; magic wand; scroll; cloud with lightning and rain; mineral;
snowflake; graffiti; Dakar; desktop computer
"""
"""Texts whose mean is taken away, see `embed_text`: 64 concepts of the lexicon by a hash of their name.

They stay these, whatever the lexicon comes to hold, so that a figure is the same tomorrow.
"""

Ids = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class TextDirection:
    """A free text in the embedding space of a model."""

    text: str
    clip: Clip
    vector: torch.Tensor
    """Float32 ``[D]``; see `pipeline.clip.zero_shot.embed_text`."""


def background_texts() -> list[str]:
    """Those of `BACKGROUND`, one by one."""
    return " ".join(BACKGROUND.split()).split("; ")


def load_run_model(model: str, run: ModelIdentity | None, device: str) -> Clip:
    """The model of a run.

    Args:
        model: Named as for ``extract``.
        run: The run's identity; None takes any model.
        device: Where the text tower runs.

    Raises:
        ModelError: It cannot be loaded.
        ConfigMismatchError: It is not the run's.
    """
    clip = load_clip(model, device)
    if run is not None:
        refuse_another_model(clip, run)
    return clip


def find_direction(clip: Clip, text: str, templates: tuple[str, ...] = ()) -> TextDirection:
    """Embed a free text.

    Raises:
        ConfigError: The text is empty or too long, or a template cannot work.
    """
    vector = embed_text(clip, text, templates or TEMPLATES, background_texts())
    return TextDirection(text, clip, vector)


def text_similarities(
    connection: duckdb.DuckDBPyConnection,
    dataset: str,
    run_id: str,
    ids: Ids,
    direction: TextDirection,
) -> Floats:
    """How much each image is like the text, float64 ``[N]``, from the embeddings that a run stores.

    Args:
        connection: With the views.
        dataset: Its dataset.
        run_id: The run.
        ids: int64 ``[N]``, ascending: the images.
        direction: Of the run's own model.
    """
    found = np.zeros(len(ids))
    for places, embeddings in read_embeddings(connection, dataset, run_id, ids):
        found[places] = (torch.from_numpy(embeddings) @ direction.vector).double().numpy()
    return found


def weigh_text(direction: TextDirection) -> tuple[str, Ids, Floats]:
    """Neurons of the layer before the attention pool, by what they write into the embedding.

    With the attention held fixed, the pool is linear: one more unit of activation of channel ``u`` in
    every place adds ``(W_c W_v)[:, u]`` to the embedding, since a head's attention sums to 1 (``W_v``
    the value, ``W_c`` the output projection). The score is the cosine of that column with the text,
    so that channels compare whatever the scale of their activations (Goh et al. 2021,
    doi:10.23915/distill.00030: zero-shot neuron search). It holds for what follows the last ReLU;
    the units are also those of the ReLU's input.

    Returns:
        The layer's path; units, int64 ``[U]``, without those that write nothing; and cosines,
        float64 ``[U]``, in -1..1.

    Raises:
        ModelError: The tower has no attention pool, so that nothing leads from a channel straight to
            the embedding.
    """
    visual = direction.clip.model.visual
    pool = getattr(visual, "attnpool", None)
    if pool is None or not all(hasattr(pool, name) for name in ("v_proj", "c_proj")):
        raise ModelError(
            f"The image tower of {direction.clip.model_id} ({type(visual).__name__}) has no attention "
            "pool: no channel leads straight to the embedding.",
            "The search by weights is for open_clip's ResNets (RN50, RN101, RN50x4, ..., nano). For "
            "other towers use --by concepts and --by similarity.",
        )
    written = (pool.c_proj.weight.double() @ pool.v_proj.weight.double()).cpu()
    lengths = torch.linalg.vector_norm(written, dim=0)
    text = torch.nn.functional.normalize(direction.vector.double(), dim=0)
    units = torch.nonzero(lengths > 0).flatten()
    cosines = (text @ written[:, units]) / lengths[units]
    layer = f"visual.layer4.{len(visual.layer4) - 1}.act3"
    return layer, units.numpy(), cosines.clamp(-1, 1).numpy()
