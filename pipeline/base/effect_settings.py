"""What can be set of the question whether a neuron matters: ``neurons effect``, ``neurons ablate``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import MinLen

from pipeline.base.fields import Settings
from pipeline.base.settings import Count


@dataclass(frozen=True)
class EffectChoice(Settings):
    """Which neurons are set to which values, on how many examples."""

    layer: str = ""
    """Layer that is meant: its name, its path, or a preset as ``goh2021``; all of the run if not given."""
    neurons: Literal["labelled", "all"] = "labelled"
    """Which neurons are measured: the ``labelled`` ones, or ``all``."""
    units: tuple[int, ...] = ()
    """Index of a neuron in its layer, from 0: only these are measured, labelled or not."""
    levels: Annotated[tuple[float, ...], MinLen(2)] = (0.0, 1.0, 2.0, 5.0)
    """What the activation is set to, in units of the neuron's maximum over the run; 0 must be among them."""
    hidden: Count = 16
    """How many examples that do not show a neuron's concept it is measured on."""
    shown: Count = 4
    """How many examples that show it."""
    seed: int = 0
    """Number that the choice of examples, other concepts and random directions follows from."""
    templates: tuple[str, ...] = ()
    """Prompt with ``{}`` where the concept goes, as "a photo of {}."; the embeddings of several are
    averaged. If none is given, those of ``neurons similarity`` where the run has it."""
    batch_size: Count = 256
    """How many variants of an image go through what follows the layer at once."""
    model: str = ""
    """The run's own model, if its checkpoint is no longer where the run's record says; another one is an
    error."""
    device: str = "auto"
    """Where the model runs: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` takes the best one present."""


@dataclass(frozen=True)
class AblationChoice(Settings):
    """Which of the neurons that typographic attacks move are set to 0, and on how many images."""

    layer: str = ""
    """Layer that is meant: its name, its path, or a preset as ``goh2021``; all of the run if not given."""
    class_set: str = ""
    """Class set that the attacked images were classified with; every one that the run has if not given."""
    counts: Annotated[tuple[int, ...], MinLen(1)] = (1, 2, 5, 10, 20, 50)
    """How many neurons are set to 0 at once: those that the attack moves most, and as many at random."""
    draws: Count = 5
    """How many times as many neurons are drawn at random."""
    images: Count = 64
    """How many images that an attack flips are tried at most, and how many without an attack."""
    seed: int = 0
    """Number that the halves, the choice of images and the random neurons follow from."""
    batch_size: Count = 256
    """How many variants of an image go through what follows the layer at once."""
    model: str = ""
    """The run's own model, if its checkpoint is no longer where the run's record says; another one is an
    error."""
    device: str = "auto"
    """Where the model runs: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` takes the best one present."""


@dataclass(frozen=True, kw_only=True)
class AblationConfig(AblationChoice):
    """The same, of one run."""

    warehouse: str
    """Folder or URL of the warehouse, where everything is kept."""
    dataset: str
    """Name of a dataset that was ingested."""
    run: str
    """Name (id) of the run."""


@dataclass(frozen=True, kw_only=True)
class EffectConfig(EffectChoice):
    """The same, of one run."""

    warehouse: str
    """Folder or URL of the warehouse, where everything is kept."""
    dataset: str
    """Name of a dataset that was ingested."""
    run: str
    """Name (id) of the run."""
