"""What a site of files shows: the options of ``site``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from pipeline.base.fields import Settings
from pipeline.base.question_settings import Which

ImagesShown = Literal["show", "blur", "none"]


@dataclass(frozen=True, kw_only=True)
class SiteOptions(Which, Settings):
    """Which neurons have pages, and how their images are shown."""

    neurons: str | None = None
    """Neurons that have pages, all if not given: units with commas, as ``29,192``, or a CSV file with columns
    ``layer`` and ``unit`` and, if they are needed, ``dataset`` and ``run_id``."""
    images: ImagesShown = "show"
    """Images as they are, strongly blurred, or none: grey squares with the words for them."""
    examples: Annotated[int, Ge(0)] = 1000
    """How many images of a run have a page of their own, at most: first the strongest of each neuron, those of
    the best labels before others, then the second."""
    processes: Annotated[int, Ge(0)] = 0
    """How many processes make pages; 0 takes one for each core."""
