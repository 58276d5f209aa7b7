"""What a job file says: the whole job, for ``neurons run``, the demo and the flows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipeline.base.effect_settings import AblationChoice, EffectChoice
from pipeline.base.facet_settings import FacetProbeChoice
from pipeline.base.fields import Settings
from pipeline.base.settings import (
    CONCEPT_TEMPLATES,
    ClassChoice,
    Count,
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
from pipeline.base.support_settings import SupportChoice
from pipeline.base.visualise_settings import VisualiseChoice


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
class RunnerConfig(Settings):
    """Who does the tasks of the flows: ``[runner]``. Without Prefect, ``neurons run`` does all of it itself."""

    kind: Literal["here", "dask", "ray"] = "here"
    """Where tasks are done: ``here``, in the flow's own process; ``dask`` or ``ray``, by the workers of such a
    cluster (extras ``dask`` and ``ray``)."""
    address: str = ""
    """Address of a cluster that is there, as ``tcp://host:8786`` (Dask) or ``ray://host:10001``; if it is not
    given, one is started on this machine for as long as the flow runs."""
    workers: Count = 2
    """How many workers that cluster has; one on this machine has a process for each, with its share of the
    cores."""


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
    effect: EffectChoice | None = None
    """Which neurons of each run are set, to see what the model says then, after the build; absent: none."""
    support: SupportChoice | None = None
    """Fresh images that the labels of each run are held against, after the build; absent: none."""
    ablate: AblationChoice | None = None
    """Which neurons that the job's typographic attacks move are set to 0, after the build; absent: none."""
    facet_probes: FacetProbeChoice | None = None
    """Facets that a layer below the neurons of each run is taught to tell, after the build; absent: none."""
    visualise: VisualiseChoice | None = None
    """Which neurons of each run draw, and how, after the build; absent: none."""
    labels: LabelSettings = field(default_factory=LabelSettings)
    """Parameters of the labelling views."""
    runner: RunnerConfig = field(default_factory=RunnerConfig)
    """Who does the tasks, where flows run the job."""
