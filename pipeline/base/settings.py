"""What can be set, in frozen objects: a field's type, bounds, default and sentence are written here alone.

Command line options, job files, the flows, Prefect's form and the reference are made from them; see
`fields.list_fields`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, MinLen

from pipeline.base.fields import Settings, Spelled

MAX_PIXELS = 100_000_000
"""Largest image that is decoded, in pixels; larger ones are rejected from their header alone."""

MAX_REJECT_FRAC = 0.25
"""A shard with a larger share of rejects fails as a whole: something is wrong with all of it."""

Share = Annotated[float, Ge(0), Le(1)]
Count = Annotated[int, Ge(1)]
Stored = Annotated[
    str,
    Spelled(
        r"auto|positive|all|none|top:0?\.(?=\d*[1-9])\d{1,6}",
        "auto, positive, all, none, or top:FRAC with a share between 0 and 1, as top:0.01",
    ),
]

SourceName = Literal["img2dataset", "wit", "wit-base", "folder", "webdataset", "openmoji"]
LabelOrigin = Literal["stimulus", "texts", "similarity"]
TextKind = Literal[
    "caption", "attribution", "alt", "page_title", "section_title", "section", "page"
]


@dataclass(frozen=True)
class IngestConfig(Settings):
    """How a foreign layout becomes a registered dataset."""

    warehouse: str
    """Folder or URL of the warehouse, where everything is kept."""
    dataset: str
    """Name that the dataset has or gets: letters, digits, '.', '_' and '-'."""
    max_reject_frac: Share = MAX_REJECT_FRAC
    """Largest share of rejected samples that a shard may have before it fails as a whole."""
    shard_size: Count = 1000
    """How many examples go into each shard that is written; existing tars are never rewritten."""
    duplicates: Literal["", "near", "exact"] = ""
    """What counts as one image: ``near``, a file and its copies (resized, encoded anew, grey,
    cropped a little); ``exact``, identical files. If not given: what the dataset has, ``near`` for a new
    one."""


@dataclass(frozen=True)
class ExtractConfig(Settings):
    """What to compute: one run is one of these, applied to every shard of a dataset."""

    warehouse: str
    """Folder or URL of the warehouse, where everything is kept."""
    dataset: str
    """Name of a dataset that was ingested."""
    model: str
    """Which CLIP model to use: ``nano`` (embedded), ``ARCH:TAG`` as open_clip names it, ``ARCH:TAG@FILE``,
    ``hf-hub:ORG/NAME``, ``local-dir:DIR``, or ``ARCH:random``."""
    layers: Annotated[tuple[str, ...], MinLen(1)]
    """Which layers to read: ``PATH[:input|output][:max|mean|center|cls]``, or presets (``goh2021``,
    ``vit-mlp``, ``vit-mlp-all``); several are read in one pass."""
    run: str = ""
    """Name of the run; if not given, a hash of all that decides its result."""
    device: str = "auto"
    """Where the model runs: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` takes the best one present, and
    ``cuda:all`` is one process for each GPU."""
    processes: Annotated[int, Ge(0)] = 0
    """How many processes do the shards, on one device or on all GPUs in turn; each has its share of the
    cores. 0 means one, or one for each GPU."""
    precision: Literal["float32", "bfloat16", "float16", "bfloat16-weights"] = "float32"
    """Precision of the forward pass: ``float32``; on a GPU ``bfloat16`` and ``float16`` by autocast, which
    change the results a little, or ``bfloat16-weights``, the weights too: faster, and changes more."""
    compile: bool = False
    """Compile the image tower (``torch.compile``): a minute at the start, then faster; last digits change."""
    batch_size: Count = 64
    """How many images go into one forward pass; results agree for every value to one float16 step."""
    workers: Annotated[int, Ge(0)] = 0
    """How many threads decode images; 0 means one for each core, but 8 at most (4 if the device decodes)."""
    preprocess: Literal["fast", "exact", "device"] = "fast"
    """How images are decoded and resized: ``fast``, libjpeg and an antialiased resize of uint8; ``exact``,
    open_clip's own transform with Pillow; ``device``, JPEGs by the GPU's own decoder, many times faster and a
    little different."""
    max_pixels: Count = MAX_PIXELS
    """Images with more pixels than this are rejected from their header, before they cost memory."""
    max_reject_frac: Share = MAX_REJECT_FRAC
    """Largest share of rejected examples that a shard may have before it fails as a whole."""
    store: Stored = "auto"
    """Which activations are stored: ``positive`` keeps those above zero, ``all`` keeps all, ``auto`` decides by
    layer, ``top:0.01`` keeps the strongest hundredth of each neuron in each shard, ``none`` keeps none;
    statistics, top examples and samples are kept in any case."""
    activation_dtype: Literal["float16", "float32"] = "float16"
    """Number type that activations are stored as."""
    top_k: Count = 100
    """How many of the strongest and of the weakest examples of each neuron a shard keeps."""
    merge_width: Annotated[int, Ge(0), Le(256)] = 0
    """Of how many shards, 2 to 256, statistics, top examples and samples are merged into one; 0 means 64, or
    what the run was begun with. A shard that is made anew with other numbers, after those that were merged
    were vacuumed, can make so many be extracted again."""
    memory_budget_mb: Count = 1024
    """How many MiB of activations are held before a part is written; less means more and smaller parts."""
    lease_s: Annotated[float, Gt(0)] = 600.0
    """After how many seconds without a batch a process that holds shards is taken for hung, so that another one
    does them."""


@dataclass(frozen=True)
class ClassifyConfig(Settings):
    """Zero-shot classification of every example of a run, from the embeddings that it stores."""

    warehouse: str
    """Folder or URL of the warehouse, where everything is kept."""
    dataset: str
    """Name of a dataset that was ingested."""
    run: str
    """Name (id) of the run."""
    model: str
    """The run's own model, named as for ``extract``; another one is an error."""
    classes: tuple[str, ...]
    """What to choose from; probabilities are over these."""
    templates: tuple[str, ...]
    """Prompts with ``{}`` where the class goes; their embeddings are averaged."""
    class_set: str = ""
    """Name of the set of classes and prompts; if not given, a hash of them and the weights."""
    device: str = "auto"
    """Where the text tower runs: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` takes the best one
    present."""


CONCEPT_TEMPLATES = ("{}", "a photo of {}.", "a picture of {}.", "a drawing of {}.")
"""Prompts of a concept, whose embeddings are averaged."""


@dataclass(frozen=True)
class SimilarityConfig(Settings):
    """The model's own reading of a run's images: every concept's prompts against every image."""

    warehouse: str
    """Folder or URL of the warehouse, where everything is kept."""
    dataset: str
    """Name of a dataset that was ingested."""
    run: str
    """Name (id) of the run."""
    model: str = ""
    """The run's own model, if its checkpoint is no longer where the run's record says; another one is an
    error."""
    templates: tuple[str, ...] = CONCEPT_TEMPLATES
    """Prompt with ``{}`` where the concept goes, as "a photo of {}."; the embeddings of several are
    averaged."""
    device: str = "auto"
    """Where the text tower runs: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` takes the best one
    present."""


@dataclass(frozen=True)
class ClassChoice(Settings):
    """What a typographic attack or a Stroop test chooses from; all of it has defaults."""

    classes: tuple[str, ...] = ()
    """A class to choose from; if none is given, all that the dataset's stimuli name."""
    templates: tuple[str, ...] = ()
    """Prompt with ``{}`` where the class goes, as "a photo of a {}."; the embeddings of several are averaged.
    If none is given, those of the test."""
    class_set: str = ""
    """Name of the set of classes and prompts; if not given, a hash of them and the weights."""


@dataclass(frozen=True)
class LabelSettings(Settings):
    """Parameters of the labelling views; they stand in the one-row view ``settings``."""

    label_top_k: Count = 50
    """Top examples of a neuron that enrichment looks at, those of both halves together."""
    label_max_q: Share = 0.05
    """A neuron is labelled if the chosen concept's Benjamini-Hochberg q is at or below this."""
    label_min_count: Count = 2
    """Fewest top examples of the screening half that must show a concept to make it a choice."""
    concept_min_count: Count = 3
    """Concepts that fewer images of a half of a run show are not tested."""
    label_origins: Annotated[tuple[LabelOrigin, ...], MinLen(1)] = ("stimulus", "texts")
    """Whose word a label may rest on: ``stimulus``, ``texts``, and ``similarity``, the model's own."""
    label_null_repeats: Annotated[int, Ge(0)] = 100
    """How often labels are made again from permuted concepts, for comparison; 0 leaves it out. It takes
    some twenty to see whether any label in more than one of twenty is a fault."""
    similarity_min_score: Share = 0.2
    """Zero-shot probability (0..1) from which an image shows a concept by similarity."""
    facet_min_count: Count = 3
    """A facet or language with fewer images of a concept, or of others, is not tested for it."""
    facet_min_auroc: Share = 0.8
    """A neuron fails in a facet where its AUROC is below this."""
    facet_max_p: Share = 0.05
    """A neuron fails in a facet where its empirical p is above this, whatever its AUROC."""
    default_language: str = "en"
    """Language assumed for texts whose language is unknown."""
    text_kinds: tuple[TextKind, ...] = ("caption", "alt", "page_title", "section_title")
    """Kinds of text that are searched for concepts (long page texts name too many)."""
    sd_bin_width: Annotated[float, Gt(0)] = 1.0
    """Width of the bins of activation that samples are drawn from, in standard deviations."""
    sd_bin_offset: float = 0.0
    """An edge of these bins, in standard deviations from zero; the others follow from the width."""

    def digest(self) -> str:
        """A short hash of all fields."""
        return digest(asdict(self))


@dataclass(frozen=True)
class FolderOptions(Settings):
    """``[ingest.options]`` of the source ``folder``."""

    captions: str = ""
    """CSV, TSV, JSONL, JSON or Parquet file with the captions, for the source ``folder``. If it is not
    given, the only such file at the top of the folder."""
    folder_concepts: bool = False
    """Take the folders that an image lies in for concepts that it shows, for the source ``folder``."""


@dataclass(frozen=True)
class WitOptions(Settings):
    """``[ingest.options]`` of the source ``wit``."""

    images: str = ""
    """Folder of the downloaded images, or the output folder of img2dataset, for the source ``wit``."""
    spill: str = ""
    """Folder for the rows while they are sorted (about twice the size of the gzipped TSV); if it is not
    given, the system's temporary folder."""


@dataclass(frozen=True)
class IngestStep(Settings):
    """The ``[ingest]`` table of a configuration file: which source, from where."""

    source: SourceName
    """Layout of the data; ``openmoji`` is embedded and needs no paths."""
    paths: tuple[str, ...] = ()
    """Files, folders, globs, ``{000..999}`` or URLs of the data."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of that source, e.g. ``images`` for WIT."""


def digest(value: object) -> str:
    """Twelve hex digits of the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class TrainConfig(Settings):
    """How nano is trained."""

    steps: Count = 5_600
    """Steps in all; the last ``decay_frac`` of them lower the learning rate to nothing."""
    batch_size: Count = 192
    """Images in a step, all of different concepts."""
    learning_rate: Annotated[float, Gt(0)] = 1.5e-3
    """Learning rate at its highest."""
    weight_decay: Annotated[float, Ge(0)] = 0.05
    """How strongly AdamW draws weights to zero."""
    warmup: Count = 300
    """Steps of rising learning rate."""
    ramp: Count = 3_000
    """Steps over which disturbances grow from a tenth to full strength."""
    decay_frac: Share = 0.25
    """Share of the steps, at the end, over which the learning rate falls."""
    seed: int = 0
    """Number that weights and data follow from."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the steps: ``float32``, or ``bfloat16`` by autocast where the processor multiplies it
    fast."""
    checkpoint_s: Annotated[float, Gt(0)] = 60.0
    """Seconds between checkpoints, from which a killed training goes on."""
