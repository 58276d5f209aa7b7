"""What can be set of what figures of the paper ask of a run's model: ``neurons figures``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.base.fields import Settings
from pipeline.base.question_settings import Answers, Polarity
from pipeline.base.settings import Count

Figure = Literal["weights", "second-order", "words", "countries", "maps"]
"""The phrases that each neuron writes, by the weights alone; those of what it does, on its images, through the
attention layers that come after it; words drawn as images, and their embeddings; what
neurons answer to the drawn names of countries and other regions; and to crops of a map of the world."""


@dataclass(frozen=True)
class FigureChoice(Settings):
    """What a run's model is asked."""

    figures: tuple[Figure, ...] = ()
    """What to ask: ``weights``, the phrases that each neuron writes into the embedding; ``second-order``, the
    phrases of what a ViT's neuron does through later attention layers, on its own images; ``words``, the image
    embeddings of words drawn as images; ``countries``, what neurons answer to the names of countries, drawn
    so; ``maps``, to crops of a map of the world; all if not given."""
    layer: str = ""
    """Layer that is meant: its name, its path, or a preset as ``goh2021``; all of the run if not given."""
    list: str = ""
    """File of the words to draw, one a line, or a CSV with a column ``word``; if not given, the names of the
    lexicon's concepts and of the run's own."""
    model: str = ""
    """The run's own model, if its checkpoint is no longer where the run's record says; another one is an
    error."""
    device: str = "auto"
    """Where the model runs: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` takes the best one present."""


@dataclass(frozen=True, kw_only=True)
class FigureConfig(FigureChoice):
    """The same, of one run."""

    warehouse: str
    """Folder or URL of the warehouse, where everything is kept."""
    dataset: str
    """Name of a dataset that was ingested."""
    run: str
    """Name (id) of the run."""
    words: tuple[str, ...] = ()
    """The words themselves, in place of a list."""


@dataclass(frozen=True, kw_only=True)
class PhraseQuestion(Settings):
    """The phrases that a neuron writes: ``phrases``."""

    k: Count = Answers.k
    """How many are shown."""
    polarity: Polarity = "positive"
    """Which end: ``positive`` is what the neuron writes, ``negative`` what it takes away."""
    order: Literal["first", "second"] = "first"
    """Which effect on the embedding: ``first``, straight, by the weights alone; ``second``, of a ViT's neuron
    through the attention layers that come after it, on the images of the run that excite it most."""
    model: str | None = None
    """The run's own model, if it is no longer where it was; or any model, if there is no warehouse."""
    device: str = "auto"
    """Where the text tower runs: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` takes the best one
    present."""
