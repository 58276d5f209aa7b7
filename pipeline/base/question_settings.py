"""What can be said of a question: the options of ``find``, ``like``, ``sum``, ``top`` and of label sheets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from pipeline.base.fields import Settings
from pipeline.base.settings import Count, LabelOrigin

Polarity = Literal["positive", "negative"]
FindWay = Literal["concepts", "similarity", "weights"]
"""By the statistics of the concepts that a text names; by correlation with the model's similarity of images
and text; by the weights alone."""


@dataclass(frozen=True, kw_only=True)
class Which(Settings):
    """Which runs and layers a question is about."""

    dataset: str | None = None
    """Name of the dataset that is meant; any if not given."""
    run: str | None = None
    """Id of the run that is meant, or the first letters of it; any if not given."""
    layer: str | None = None
    """Layer that is meant: its name, its path, or a preset as ``goh2021``; any if not given."""


@dataclass(frozen=True, kw_only=True)
class Answers(Settings):
    """Which end of a list, and how much of it."""

    k: Count = 10
    """How many are shown in each table."""
    polarity: Polarity = "positive"
    """What is looked for: ``positive`` is what excites a neuron, ``negative`` what inhibits it."""


@dataclass(frozen=True, kw_only=True)
class Search(Answers, Which):
    """Neurons for a free text: ``find``."""

    text: str
    """What the neurons should stand for: any text in any language."""
    warehouse: str | None = None
    """Folder or URL of the warehouse; with ``--model`` it can be left out, and the weights alone are asked."""
    by: tuple[FindWay, ...] = ()
    """How to look: by the statistics of ``concepts``, by the model's ``similarity`` of images and text, or by
    its ``weights`` alone; in all three ways if not given."""
    model: str | None = None
    """The runs' own model, if it is no longer where it was; or any model, if there is no warehouse."""
    templates: tuple[str, ...] = ()
    """Prompt with ``{}`` where the text goes, as "a photo of {}."; the embeddings of several are averaged."""
    device: str = "auto"
    """Where the text tower runs: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` takes the best one
    present."""


@dataclass(frozen=True, kw_only=True)
class SumQuestion(Which):
    """A concept as a sparse sum of neurons: ``sum``."""

    concept: str
    """A concept in any language; or a category, which stands for all its concepts."""
    warehouse: str
    """Folder or URL of the warehouse, where everything is kept."""
    neurons: Count = 10
    """How many neurons the sum may have."""
    origin: LabelOrigin | None = None
    """Who says what an image shows: its ``texts``, its making as a ``stimulus``, or the model's
    ``similarity``; if not given, the first of these that knows the concept."""


@dataclass(frozen=True)
class SheetOptions(Settings):
    """A sheet of images to label: ``label export``."""

    per_bin: Count = 20
    """How many images are taken of each step of activation, from the weakest to the strongest."""
    seed: int = 0
    """Number that the order of the images follows from: the same seed gives the same order."""


@dataclass(frozen=True)
class NeuronSampleOptions(Settings):
    """A sample of neurons to judge: ``label sample``."""

    count: Count = 50
    """How many neurons are drawn at random."""
    shams: Annotated[int, Ge(0)] = 10
    """How many sets of images that belong to no neuron are put among them."""
    images: Count = 12
    """How many of its strongest images stand for a neuron, and how many are in such a set."""
    seed: int = 0
    """Number that neurons, images and their order follow from: the same seed gives the same sample."""


@dataclass(frozen=True)
class Labeller(Settings):
    """Whose labels are read: ``label import``."""

    labeller: str = "anonymous"
    """Name of the person who labelled."""


@dataclass(frozen=True)
class WhereOptions(Settings):
    """What a neuron is mapped over: ``where``."""

    examples: Count = 6
    """How many of its strongest examples are shown."""
    polarity: Polarity = "positive"
    """Which end: ``positive`` is what excites the neuron, ``negative`` what inhibits it."""
    image: str | None = None
    """Image file of your own to show instead."""
    text: str | None = None
    """Text of your own to show instead, for a layer of the text tower."""
    model: str | None = None
    """The run's own model, if it is no longer where it was."""
    device: str = "auto"
    """Where the model runs: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` takes the best one present."""


@dataclass(frozen=True, kw_only=True)
class LookOptions(Which):
    """What is asked of a picture of one's own: ``look``."""

    top: Count = 5
    """How many answers are shown, and how many neurons of each layer."""
    classes: tuple[str, ...] = ()
    """Class to choose from; if none is given, the concepts that the run's neurons are tested for."""
    templates: tuple[str, ...] = ()
    """Prompt with ``{}`` where the class goes, as "a photo of {}."; the embeddings of several are averaged.
    If none is given, those that the run's images were read with."""
    model: str | None = None
    """The run's own model, if it is no longer where it was."""
    device: str = "auto"
    """Where the model runs: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` takes the best one present."""
