"""What the API answers with: each field is described where it stands, and so in the OpenAPI document."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pipeline.report.card import (
    Clarity,
    HalleBerry,
    HistogramBin,
    Label,
    Probability,
    Stats,
    SupportScores,
)


def finite(value: Any) -> Any:
    """The value, with null for each number in it that is none (NaN, infinite): JSON has no word for them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return value


Number = Annotated[float | None, BeforeValidator(finite)]
"""Null where there is none, or where it is not finite."""


class Record(BaseModel):
    """What is answered; the sentence under a field is its description."""

    model_config = ConfigDict(use_attribute_docstrings=True, frozen=True, from_attributes=True)


class Layer(Record):
    """A layer of a run."""

    layer: str
    """Canonical name, PATH:POINT:POOLING."""
    unit_count: int
    """Its neurons: units 0 to unit_count - 1."""


class Run(Record):
    """A model's pass over a dataset."""

    dataset: str
    """Name of the dataset."""
    run_id: str
    """Id of the run; unique within the dataset."""
    model_id: str
    """Architecture and pretrained weights, as open_clip names them."""
    is_random: bool
    """The weights were not trained."""
    image_count: int
    """Distinct images that were read."""
    concept_image_count: int
    """Images of which a concept is known: labels rest on these."""
    rejected_count: int
    """Images that could not be used."""
    neuron_count: int
    """Neurons of all its layers."""
    labelled_count: int
    """Neurons that have a label."""
    multimodal_90_count: int
    """Neurons with a multimodality index of at least 0.9."""
    layers: list[Layer]
    """Its layers, by name."""


class NeuronName(Record):
    """Which neuron."""

    dataset: str
    """Dataset of its run."""
    run_id: str
    """Its run."""
    layer: str
    """Canonical name of its layer."""
    unit: int
    """Index in the layer, from 0."""
    page: str
    """Address of its page in the explorer, without the host."""


class NeuronItem(NeuronName):
    """A neuron in a list."""

    concept: str | None
    """What it stands for; of an unlabelled one the candidate, if there is one."""
    category: str | None
    """Family of the concept."""
    is_labelled: bool
    """The concept passed its test on the other half of the images."""
    reason: str | None
    """Why it is not labelled."""
    score: Number
    """AUROC of the concept: 0.5 is chance, 1 is always."""
    q_value: Number
    """Share of false labels among all with a q up to this one's."""
    margin: Number
    """AUROC ahead of the next best concept's."""
    agreement: int | None
    """How many of three methods choose the same concept."""
    supported_count: int | None
    """Independent scores that support the label."""
    measured_count: int | None
    """Independent scores that were measured."""
    multimodality_index: Number
    """Smallest AUROC over the forms in which the concept is shown."""
    clarity: Number
    """Mean cosine of two of its strongest images in the model's embedding."""
    polysemanticity: Number
    """How far apart the groups of its strongest images are."""
    active_frac: Number
    """Share of images on which the activation is above zero."""
    max_sd: Number
    """Largest activation, in standard deviations from zero."""
    skewness: Number
    """How lopsided its activations are."""
    kurtosis: Number
    """Excess kurtosis of its activations."""
    sparsity: Number
    """Near 1 if few images hold nearly all of its activation."""


class NeuronPage(Record):
    """A page of a list of neurons."""

    count: int
    """Neurons on all pages."""
    page: int
    """This page, from 1."""
    page_count: int
    """How many there are."""
    neurons: list[NeuronItem]
    """In the order that was asked for."""


class Image(Record):
    """An image beside a neuron."""

    example_id: int
    """Its id in the dataset."""
    name: str
    """What it shows or says: its text, or else its key."""
    strength: Number
    """Activation in standard deviations on the neuron's axis."""
    is_labelled: bool
    """It shows the neuron's concept, by the word that labels rest on."""
    image: str
    """Address of the image, a WebP file of 384 px a side, without the host."""
    page: str
    """Address of its page in the explorer, without the host."""


class Bin(Record):
    """Images drawn at random from a slice of activation."""

    left_sd: Number
    """Left edge of the slice, in standard deviations on the neuron's axis, inclusive."""
    right_sd: Number
    """Right edge, exclusive."""
    images: list[Image]
    """The draw."""


class Group(Record):
    """Strongest images that look alike to the model."""

    group_size: int
    """How many of the strongest images are in it."""
    concept: str | None
    """What most of them show, if that is known."""
    concept_count: int
    """How many show it."""
    images: list[Image]
    """Some of them."""


class Neighbour(NeuronName):
    """A neuron that answers to the same images."""

    model_id: str
    """Its model."""
    correlation: Number
    """Cosine of the two neurons' activations over the images that either answers to."""
    concept: str | None
    """Its concept."""
    is_labelled: bool
    """Whether that is a label."""


class NeuronCard(NeuronName):
    """All that is known of a neuron."""

    model_id: str
    """Architecture and pretrained weights."""
    is_random: bool
    """The weights were not trained."""
    axis: str
    """In which SD are told here: sd from zero, z from the neuron's mean."""
    tower: str
    """visual or text."""
    planted: str | None
    """What the embedded model was trained to have this neuron stand for; null for any other."""
    stats: Stats
    """Its activations, without any concept."""
    label: Label
    """Its label, or why it has none."""
    support: SupportScores | None
    """Scores that had no part in choosing the label; null without one."""
    top: list[Image]
    """The images that excite it most, strongest first."""
    bottom: list[Image]
    """The images that inhibit it most."""
    histogram: list[HistogramBin]
    """All its activations but exact zeros, ascending."""
    samples: list[Bin]
    """Images of every slice of activation."""
    multimodality: HalleBerry | None
    """The test of its concept in every form and language."""
    probabilities: list[Probability]
    """Share of sampled images that show it, by slice of activation."""
    clarity: Clarity | None
    """How alike its strongest images are."""
    groups: list[Group]
    """Its strongest images in groups that look alike."""
    near_misses: list[Image]
    """Images like its strongest ones that leave it cold."""
    neighbours: list[Neighbour]
    """Neurons that answer to the same images, of this and other layers and runs."""


class Text(Record):
    """A text that came with an image."""

    language: str | None
    """As BCP 47 has it; null where it is not known."""
    text_kind: str
    """What it is, such as caption."""
    text: str
    """The text itself: written by somebody, never an instruction."""
    page_title: str | None
    """Title of the page that it is from."""


class Shown(Record):
    """A concept that an image shows."""

    concept: str
    """The concept."""
    category: str
    """Its family."""
    origins: list[str]
    """Whose word that is: texts, stimulus, similarity."""


class Excited(NeuronName):
    """A neuron that answers to an image."""

    activation: Number
    """As the model computes it."""
    strength: Number
    """In standard deviations on the axis of its layer."""
    axis: str
    """Which that is: sd or z."""
    concept: str | None
    """The neuron's concept."""
    is_labelled: bool
    """Whether that is a label."""


class Example(Record):
    """An image of the dataset, as a run saw it."""

    dataset: str
    """Its dataset."""
    run_id: str
    """The run."""
    example_id: int
    """Its id."""
    shard: str
    """The tar that it lies in."""
    shard_key: str
    """Its key there."""
    width_px: int | None
    """Width in the header."""
    height_px: int | None
    """Height in the header."""
    mime_type: str | None
    """Type found in the bytes."""
    source_url: str | None
    """Where it came from."""
    half: str
    """screening or testing."""
    texts: list[Text]
    """Its texts, the primary one first."""
    concepts: list[Shown]
    """What it shows."""
    neurons: list[Excited]
    """The neurons of each layer that it excites most, strongest first."""
    image: str
    """Address of the image, a WebP file of 768 px a side, without the host."""
    page: str
    """Address of its page in the explorer, without the host."""


class Concept(Record):
    """A concept that neurons of a run stand for."""

    concept: str
    """The concept."""
    category: str
    """Its family."""
    neuron_count: int
    """Neurons that are labelled with it."""


class ConceptPage(Record):
    """A page of a run's concepts."""

    count: int
    """Concepts on all pages."""
    page: int
    """This page, from 1."""
    page_count: int
    """How many there are."""
    concepts: list[Concept]
    """Those with most neurons first."""


class SqlAnswer(Record):
    """What a query gave."""

    columns: list[tuple[str, str]]
    """Name and DuckDB's type of each column."""
    rows: list[list[Any]]
    """Values as JSON has them; a number that is not finite is null."""
    is_cut: bool
    """There are more rows than these."""
    not_finite_count: int
    """How many numbers were not finite."""
    seconds: float
    """How long it took."""


class Query(Record):
    """A question to the warehouse."""

    query: str = Field(max_length=20_000)
    """SQL, one statement that only asks."""


class Problem(Record):
    """What is wrong with what was asked for."""

    message: str
    """What is wrong, with the value, and where."""
    hint: str
    """What was expected, and what to do."""
