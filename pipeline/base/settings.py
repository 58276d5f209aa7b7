"""What can be set, in frozen objects: one sentence a field. The CLI, the flows and TOML files share them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.base.errors import ConfigError

MAX_PIXELS = 100_000_000
"""Largest image that is decoded, in pixels; larger ones are rejected from their header alone."""

MAX_REJECT_FRAC = 0.25
"""A shard with a larger share of rejects fails as a whole: something is wrong with all of it."""


@dataclass(frozen=True)
class IngestConfig:
    """How a foreign layout becomes a registered dataset."""

    warehouse: str
    """Folder or URL of the warehouse."""
    dataset: str
    """Name of the dataset: letters, digits, '.', '_' and '-'."""
    max_reject_frac: float = MAX_REJECT_FRAC
    """Largest share of rejected samples (0..1) that a shard may have before it fails as a whole."""
    shard_size: int = 1000
    """Examples in each shard that we write ourselves (existing tars are never rewritten)."""
    duplicates: str = ""
    """What counts as one image: ``near``, a file and its copies (resized, encoded anew, grey,
    cropped a little); ``exact``, identical files. Empty: ``near``, or what the dataset has."""


@dataclass(frozen=True)
class ExtractConfig:
    """What to compute: one run is one of these, applied to every shard of a dataset."""

    warehouse: str
    """Folder or URL of the warehouse."""
    dataset: str
    """Name of an ingested dataset."""
    model: str
    """``nano``, ``ARCH:TAG``, ``ARCH:TAG@FILE``, ``hf-hub:ORG/NAME``, ``local-dir:DIR``, ``ARCH:random``."""
    layers: tuple[str, ...]
    """Layer specs ``PATH[:input|output][:max|mean|center|cls]``, or names of presets."""
    run: str = ""
    """Name of the run's folder; empty means a hash of all that decides the result."""
    device: str = "auto"
    """``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``auto`` takes the best one present."""
    precision: str = "float32"
    """``float32``, or ``bfloat16``/``float16`` for autocast on a GPU (changes the results a little)."""
    batch_size: int = 64
    """Images in one forward pass; results agree for every value to one float16 step."""
    workers: int = 0
    """Threads that decode images; 0 means one per core."""
    preprocess: str = "fast"
    """``fast``: uint8 antialiased bicubic; ``exact``: open_clip's own PIL transform."""
    max_pixels: int = MAX_PIXELS
    """Images with more pixels are rejected from their header, before they cost memory."""
    max_reject_frac: float = MAX_REJECT_FRAC
    """Largest share of rejected examples (0..1) that a shard may have before it fails as a whole."""
    store: str = "auto"
    """``positive`` keeps activations above zero, ``all`` keeps all; ``auto`` decides by layer."""
    activation_dtype: str = "float16"
    """Type of the stored activations: ``float16`` or ``float32``."""
    top_k: int = 100
    """How many strongest and weakest examples of each neuron a shard keeps."""
    memory_budget_mb: int = 1024
    """Activations held before a shard's part is written, in MiB; smaller means more, smaller parts."""


@dataclass(frozen=True)
class ClassifyConfig:
    """Zero-shot classification of every example of a run, from the embeddings that it stores."""

    warehouse: str
    """Folder or URL of the warehouse."""
    dataset: str
    """Name of an ingested dataset."""
    run: str
    """The run's id."""
    model: str
    """The run's own model, named as for ``extract``; another one is an error."""
    classes: tuple[str, ...]
    """What to choose from; probabilities are over these."""
    templates: tuple[str, ...]
    """Prompts with ``{}`` where the class goes; their embeddings are averaged."""
    class_set: str = ""
    """Name of the class set; empty means a hash of classes, templates and weights."""
    device: str = "auto"
    """Where the text tower runs; see `ExtractConfig`."""


CONCEPT_TEMPLATES = ("{}", "a photo of {}.", "a picture of {}.", "a drawing of {}.")
"""Prompts of a concept, whose embeddings are averaged."""


@dataclass(frozen=True)
class SimilarityConfig:
    """The model's own reading of a run's images: every concept's prompts against every image."""

    warehouse: str
    """Folder or URL of the warehouse."""
    dataset: str
    """Name of an ingested dataset."""
    run: str
    """The run's id."""
    model: str = ""
    """The run's own model; empty means as the run's record names it. Another one is an error."""
    templates: tuple[str, ...] = CONCEPT_TEMPLATES
    """Prompts with ``{}`` where the concept goes; their embeddings are averaged."""
    device: str = "auto"
    """Where the text tower runs; see `ExtractConfig`."""


@dataclass(frozen=True)
class ClassChoice:
    """What a typographic attack or a Stroop test chooses from; all of it has defaults."""

    classes: tuple[str, ...] = ()
    """The classes; empty means all that the dataset's stimuli name."""
    templates: tuple[str, ...] = ()
    """Prompts with ``{}`` where the class goes; empty means those of the test."""
    class_set: str = ""
    """Name of the class set; see `ClassifyConfig`."""


LABEL_ORIGINS = ("stimulus", "texts", "similarity")
"""Whose word a label may rest on."""

_LABEL_RANGES: dict[str, tuple[float, float]] = {
    "label_top_k": (1, float("inf")),
    "label_max_q": (0, 1),
    "label_min_count": (1, float("inf")),
    "concept_min_count": (1, float("inf")),
    "label_null_repeats": (0, float("inf")),
    "similarity_min_score": (0, 1),
    "facet_min_count": (1, float("inf")),
    "facet_min_auroc": (0, 1),
    "facet_max_p": (0, 1),
}


@dataclass(frozen=True)
class LabelSettings:
    """Parameters of the labelling views; they stand in the one-row view ``settings``."""

    label_top_k: int = 50
    """Top examples of a neuron that enrichment looks at, those of both halves together."""
    label_max_q: float = 0.05
    """A neuron is labelled if the chosen concept's Benjamini-Hochberg q is at or below this."""
    label_min_count: int = 2
    """Fewest top examples of the screening half that must show a concept to make it a choice."""
    concept_min_count: int = 3
    """Concepts that fewer images of a half of a run show are not tested."""
    label_origins: tuple[str, ...] = ("stimulus", "texts")
    """Whose word a label may rest on: ``stimulus``, ``texts``, and ``similarity``, the model's own."""
    label_null_repeats: int = 100
    """How often labels are made again from permuted concepts, for comparison; 0 leaves it out. It takes
    some twenty to see whether any label in more than one of twenty is a fault."""
    similarity_min_score: float = 0.2
    """Zero-shot probability (0..1) from which an image shows a concept by similarity."""
    facet_min_count: int = 3
    """A facet or language with fewer images of a concept, or of others, is not tested for it."""
    facet_min_auroc: float = 0.8
    """A neuron fails in a facet where its AUROC is below this."""
    facet_max_p: float = 0.05
    """A neuron fails in a facet where its empirical p is above this, whatever its AUROC."""
    default_language: str = "en"
    """Language assumed for texts whose language is unknown."""
    text_kinds: tuple[str, ...] = ("caption", "alt", "page_title", "section_title")
    """Kinds of text that are searched for concepts (long page texts name too many)."""
    sd_bin_width: float = 1.0
    """Width of the bins of activation that samples are drawn from, in standard deviations."""
    sd_bin_offset: float = 0.0
    """An edge of these bins, in standard deviations from zero; the others follow from the width."""

    def __post_init__(self) -> None:
        for name, (low, high) in _LABEL_RANGES.items():
            if not low <= (value := getattr(self, name)) <= high:
                bound = f"at least {low}" if high == float("inf") else f"from {low} to {high}"
                raise ConfigError(f"{name} is {value}.", f"It must be {bound}.")
        if not self.label_origins or set(self.label_origins) - set(LABEL_ORIGINS):
            raise ConfigError(
                f"label_origins is {', '.join(self.label_origins) or 'empty'}.",
                f"It must be one or several of: {', '.join(LABEL_ORIGINS)}.",
            )
        if not 0 < self.sd_bin_width < float("inf"):
            raise ConfigError(
                f"sd_bin_width is {self.sd_bin_width}.", "It must be a number above zero, in SD."
            )
        if not abs(self.sd_bin_offset) < float("inf"):
            raise ConfigError(
                f"sd_bin_offset is {self.sd_bin_offset}.", "It must be a finite number, in SD."
            )

    def digest(self) -> str:
        """A short hash of all fields."""
        return digest(asdict(self))


@dataclass(frozen=True)
class IngestStep:
    """The ``[ingest]`` table of a configuration file: which source, from where."""

    source: str
    """``img2dataset``, ``wit``, ``wit-base``, ``folder``, ``webdataset`` or ``openmoji``."""
    paths: tuple[str, ...] = ()
    """Files, folders or URLs, as the source takes them."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of that source, e.g. ``images`` for WIT."""


def digest(value: object) -> str:
    """Twelve hex digits of the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class PipelineConfig:
    """A configuration file: the whole job, for ``neurons run`` and the flows."""

    warehouse: str
    """Folder or URL of the warehouse."""
    dataset: str
    """Name of the dataset."""
    ingest: IngestStep | None = None
    """The source; absent if the dataset is ingested already."""
    ingest_limits: IngestConfig | None = None
    """Limits of the ingest."""
    extract: tuple[ExtractConfig, ...] = ()
    """One or more runs."""
    similarity: bool = False
    """Whether the model also reads its images itself: ``neurons similarity`` after each run."""
    labels: LabelSettings = LabelSettings()
    """Parameters of the labelling views."""


_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
"""What a setting of a type must be, in words."""
