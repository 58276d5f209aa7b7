"""What a run is to be reckoned for, before there is a dataset or a machine: the options of ``budget``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from pipeline.base.fields import Settings
from pipeline.base.settings import Count, Share, Stored


@dataclass(frozen=True, kw_only=True)
class BudgetQuestion(Settings):
    """A run on paper."""

    images: Count
    """How many images."""
    rate: Annotated[float, Gt(0)]
    """Images a second of one device from file to table, as ``bench device`` or a dry run measures it."""
    units: Count = 2560
    """How many units each layer has."""
    layers: Count = 1
    """How many layers of that many units."""
    embedding: Count = 640
    """How many numbers the model's image embedding has."""
    active: Share = 0.5
    """Share of the activations that are above zero."""
    dense: bool = False
    """The layers are not rectified, as a ViT's: all activations are stored by default."""
    store: Stored = "auto"
    """Which activations are stored, as for ``extract``."""
    shard_size: Count = 1000
    """How many images each shard has."""
    top_k: Count = 100
    """How many of the strongest and of the weakest examples of each neuron a shard keeps."""
    merge_width: Annotated[int, Ge(2), Le(256)] = 64
    """Of how many shards statistics, top examples and samples are merged into one, as for ``extract``."""
    write_rate: Annotated[float, Ge(0)] = 0.0
    """Images a second that one core writes, as ``bench writing`` measures it; 0 leaves that out."""
    days: Annotated[float, Gt(0)] = 1.0
    """In how many days it is to be done."""
