"""What can be set of fresh images, that support labels or do not: ``neurons support``, ``[support]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from pipeline.base.fields import Settings
from pipeline.base.settings import Count
from pipeline.base.stimulus_settings import SidePx

FRESH_FONTS = (
    *("font_hanken_grotesk", "font_source_sans_pro", "font_caladea", "font_manrope"),
    *("font_source_serif_pro", "font_fredoka_one"),
)
"""Packages that bring fonts in which nano was never taught words."""
FRESH_SETS = ("noto-emoji-glyphs", "openmoji", "openmoji-black")


@dataclass(frozen=True)
class SupportChoice(Settings):
    """Which fresh images the labels of a run are held against."""

    layer: str = ""
    """Layer that is meant: its name, its path, or a preset as ``goh2021``; all of the run if not given."""
    images: Count = 4
    """How many images of each concept are made in each form."""
    controls: Annotated[int, Ge(2)] = 50
    """How many concepts there are at least: if a run's labels have fewer, other tested ones are added."""
    fonts: tuple[str, ...] = FRESH_FONTS
    """Font file, folder of fonts, or installed package that brings fonts; families in which the run's own
    images are written are left out."""
    sets: tuple[str, ...] = FRESH_SETS
    """Which drawings: ``openmoji``, ``openmoji-black``, ``noto-emoji-glyphs``, or a folder with files named
    as 1f418.svg; sets that the run's own images are drawn in are left out."""
    size_px: SidePx = 160
    """Width and height of each image in pixels."""
    seed: int = 0
    """Number that fonts, sizes, places and inks follow from: the same seed gives the same images."""
    batch_size: Count = 64
    """How many images go through the model at once."""
    model: str = ""
    """The run's own model, if its checkpoint is no longer where the run's record says; another one is an
    error."""
    device: str = "auto"
    """Where the model runs: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` takes the best one present."""


@dataclass(frozen=True, kw_only=True)
class SupportConfig(SupportChoice):
    """The same, of one run."""

    warehouse: str
    """Folder or URL of the warehouse, where everything is kept."""
    dataset: str
    """Name of a dataset that was ingested."""
    run: str
    """Name (id) of the run."""
