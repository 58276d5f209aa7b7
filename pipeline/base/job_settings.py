"""What a job file says: the whole job, for ``neurons run``, the demo and the flows."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.base.fields import Settings
from pipeline.base.settings import (
    CONCEPT_TEMPLATES,
    ClassChoice,
    ExtractConfig,
    IngestConfig,
    IngestStep,
    LabelSettings,
)
from pipeline.base.stimulus_settings import (
    FormOptions,
    PictureOptions,
    StroopOptions,
    TypographicOptions,
    WordOptions,
)


@dataclass(frozen=True)
class StimuliConfig(IngestConfig):
    """A dataset of controlled stimuli: ``[[stimuli]]``. Of several kinds, one follows the other."""

    pictures: PictureOptions | None = None
    """Concepts drawn in different sets and forms: ``[stimuli.pictures]``."""
    words: WordOptions | None = None
    """Words in any fonts: ``[stimuli.words]``."""
    typographic: TypographicOptions | None = None
    """Images with texts on them: ``[stimuli.typographic]``."""
    stroop: StroopOptions | None = None
    """Colour words in inks: ``[stimuli.stroop]``."""
    forms: FormOptions | None = None
    """Images in other forms: ``[stimuli.forms]``."""


@dataclass(frozen=True)
class ProbeConfig(Settings):
    """A test on written words: ``[[attack]]`` or ``[[stroop]]``, with the fields of both of these."""

    extract: ExtractConfig
    """What is extracted; the dataset is one of stimuli."""
    choice: ClassChoice = field(default_factory=ClassChoice)
    """Classes and prompts."""


@dataclass(frozen=True)
class PipelineConfig(Settings):
    """A configuration file: the whole job, for ``neurons run`` and the flows."""

    warehouse: str
    """Folder or URL of the warehouse, where everything is kept."""
    dataset: str
    """Name of the dataset."""
    ingest: IngestStep | None = None
    """The source; absent if the dataset is ingested already, or made of stimuli."""
    ingest_limits: IngestConfig | None = None
    """Limits of the ingest."""
    stimuli: tuple[StimuliConfig, ...] = ()
    """Datasets of controlled stimuli that are made."""
    extract: tuple[ExtractConfig, ...] = ()
    """One or more runs."""
    similarity: bool = False
    """Whether the model also reads its images itself: ``neurons similarity`` after each run."""
    similarity_templates: tuple[str, ...] = CONCEPT_TEMPLATES
    """Prompts with ``{}`` where the concept goes, for that reading; their embeddings are averaged."""
    attack: tuple[ProbeConfig, ...] = ()
    """Typographic attacks that are tried."""
    stroop: tuple[ProbeConfig, ...] = ()
    """Stroop tests that are made."""
    labels: LabelSettings = field(default_factory=LabelSettings)
    """Parameters of the labelling views."""
