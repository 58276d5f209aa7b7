"""What can be set of pictures that neurons draw: ``neurons visualise``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from pipeline.base.fields import Settings
from pipeline.base.settings import Count


@dataclass(frozen=True)
class VisualiseChoice(Settings):
    """Which neurons draw, and how."""

    layer: str = ""
    """Layer that is meant: its name, its path, or a preset as ``goh2021``; all of the run if not given."""
    units: tuple[int, ...] = ()
    """Index of a neuron in its layer, from 0, that draws."""
    labelled: bool = False
    """All labelled neurons draw."""
    directions: tuple[str, ...] = ()
    """Direction in the layer that draws like a neuron: units with weights, as ``29:1,192:-0.5``, or a text
    file with a number for each unit of the layer."""
    facet: str = ""
    """Facet that the pictures are steered to, as "rendered word"; its probe was trained by
    ``neurons facet-probes``."""
    images: Annotated[int, Ge(1), Le(16)] = 1
    """How many pictures of each, as unlike each other as ``diversity`` makes them."""
    size_px: Annotated[int, Ge(0), Le(1024)] = 0
    """Longer side of a picture in pixels; 0 means that of the model's input."""
    steps: Count = 384
    """How many steps a picture is climbed."""
    rate: Annotated[float, Gt(0)] = 0.05
    """Length of a step: Adam's learning rate."""
    seed: int = 0
    """Number that the first noise and all moves follow from: the same seed gives the same picture."""
    parametrisation: Literal["fourier", "maco"] = "fourier"
    """What is climbed: ``fourier``, frequencies (Olah et al. 2017); ``maco``, their phases alone, each as
    strong as in the run's own images (Fel et al. 2023)."""
    transformations: Literal["olah2017", "goh2021", "none"] = "olah2017"
    """How a picture is moved, scaled and turned at every step: little, as ``olah2017``; much, as ``goh2021``;
    or not at all, ``none``."""
    spread: Annotated[float, Ge(0), Le(1)] = 0.5
    """How much the mean of all positions counts in what is climbed, beside the largest alone, in a layer that
    is pooled by ``max``: 0 draws what one place wants, and whatever else the facet likes around it."""
    facet_strength: Annotated[float, Ge(0)] = 1.0
    """How much the facet counts beside the neuron itself."""
    diversity: Annotated[float, Ge(0)] = 5.0
    """How much it counts that pictures of one neuron are unlike each other, in SD of the neuron."""
    lower_layer: str = ""
    """Path of the layer by which pictures are told apart; that of the facet's probe, or three quarters of the
    way to the neurons' own block if not given."""
    batch_size: Annotated[int, Ge(0)] = 0
    """How many neurons draw at once; 0 means one on a CPU and 32 on a GPU. It changes the last digits."""
    model: str = ""
    """The run's own model, if its checkpoint is no longer where the run's record says; another one is an
    error."""
    device: str = "auto"
    """Where the model runs: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` takes the best one present."""


@dataclass(frozen=True, kw_only=True)
class VisualiseConfig(VisualiseChoice):
    """The same, of one run."""

    warehouse: str
    """Folder or URL of the warehouse, where everything is kept."""
    dataset: str
    """Name of a dataset that was ingested."""
    run: str
    """Name (id) of the run."""
