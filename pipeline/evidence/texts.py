"""A free text as a direction in a model's embedding space, and the neurons that point along it.

Two ways that need no concept statistics: the correlation of each neuron with the similarity of the
text over all images; and the weights alone, of ResNets and of ViTs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import torch

from pipeline.clip.model import Clip, load_clip
from pipeline.clip.writes import choose_writing, iter_written
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


@dataclass(frozen=True)
class Weighed:
    """The neurons of one layer, by what they write into the embedding."""

    path: str
    """Of the layer."""
    units: Ids
    """int64 ``[U]``, without those that write nothing."""
    cosines: Floats
    """Float64 ``[U]``, in -1..1."""


def weigh_text(direction: TextDirection, named: Sequence[str] = ()) -> list[Weighed]:
    """Neurons by the cosine of a text with what each writes into the embedding, see `pipeline.clip.writes`.

    A cosine compares neurons whatever the scale of their activations. Of a ResNet it holds for what follows
    the last ReLU; the units are also those of the ReLU's input.

    Args:
        direction: The text.
        named: Layers that are meant, see `writes.choose_writing`.

    Raises:
        ModelError: No neuron of the tower leads straight to the embedding.
    """
    text = torch.nn.functional.normalize(direction.vector.double(), dim=0)
    found = []
    for written in iter_written(direction.clip, choose_writing(direction.clip, named)):
        lengths = torch.linalg.vector_norm(written.directions, dim=1)
        units = torch.nonzero(lengths > 0).flatten()
        cosines = (written.directions[units] @ text) / lengths[units]
        found.append(Weighed(written.path, units.numpy(), cosines.clamp(-1, 1).numpy()))
    return found
