"""What can be set of facet probes, by which pictures of a neuron are steered: ``neurons facet-probes``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from pipeline.base.fields import Settings
from pipeline.base.settings import Count


@dataclass(frozen=True)
class FacetProbeChoice(Settings):
    """Which facets a layer's lower channels are asked to tell apart, and by which images."""

    layer: str = ""
    """Layer that is meant: its name, its path, or a preset as ``goh2021``; all of the run if not given."""
    facets: tuple[str, ...] = ()
    """Facet to train a probe of, as "rendered word"; all that stimuli of the run's dataset have if not given.
    With ``--shown`` it is the name of what is shown."""
    shown: str = ""
    """SQL query for the examples that show the facet: a column example_id, and one dataset if they are of
    another dataset than the run."""
    others: str = ""
    """SQL query for the examples that do not show it; all others of the run if not given."""
    probe_layer: str = ""
    """Path of the lower layer whose channels are read; three quarters of the way to the neurons' own block if
    not given."""
    images: Annotated[int, Ge(40)] = 400
    """How many images of each facet, or of each query, are read at most."""
    seed: int = 0
    """Number that the choice of images and of those that are held out follows from."""
    batch_size: Count = 64
    """How many images go through the model at once."""
    model: str = ""
    """The run's own model, if its checkpoint is no longer where the run's record says; another one is an
    error."""
    device: str = "auto"
    """Where the model runs: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` takes the best one present."""


@dataclass(frozen=True, kw_only=True)
class FacetProbeConfig(FacetProbeChoice):
    """The same, of one run."""

    warehouse: str
    """Folder or URL of the warehouse, where everything is kept."""
    dataset: str
    """Name of a dataset that was ingested."""
    run: str
    """Name (id) of the run."""
