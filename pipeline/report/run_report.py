"""What a run's report shows, as plain numbers and images; `gather_report` asks the views for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.report.thumbnails import Picture


@dataclass(frozen=True)
class RunFacts:
    """What was run and how far it is; ``runs``."""

    model_id: str
    weights_sha256: str
    is_random: bool
    preprocess: str
    precision: str
    shard_count: int
    """Done."""
    failed_shard_count: int
    pending_shard_count: int
    read_count: int
    written_count: int
    rejected_count: int
    duplicate_count: int


@dataclass(frozen=True)
class Coverage:
    """How much the labels can rest on; ``run_coverage``."""

    image_count: int
    """Distinct images."""
    text_image_count: int
    searched_image_count: int
    """With a text of a kind that is searched."""
    concept_image_count: int
    """Showing a concept: by their texts, by construction, by the model's own similarity."""
    texts_image_count: int
    stimulus_image_count: int
    similarity_image_count: int
    text_count: int
    language_count: int
    languages: Sequence[str] | None
    """Most frequent first."""
    rejected_count: int
    lost_format_count: int
    """Of the rejected, images of forms that cannot be read."""
    reject_reasons: str | None
    """Each with its count."""


@dataclass(frozen=True)
class Baselines:
    """What the labels are worth; ``label_baselines``."""

    neuron_count: int
    labelled_count: int
    circular_count: int
    labelled_frac: float
    permuted_repeat_count: int
    permuted_frac: float | None
    """Share of neurons that are labelled with permuted concepts; null before a build."""
    max_q: float
    chance_count: float
    """Labels to expect by chance."""
    label_score: float | None
    """Mean AUROC of the labels; null without any."""
    constant_concept: str | None
    constant_score: float | None
    """That of one concept for all of them."""


@dataclass(frozen=True)
class LayerFacts:
    """Neurons of one layer."""

    layer: str
    unit_count: int
    labelled_count: int
    circular_count: int
    concept_count: int
    """Different concepts among its labels."""


class Multimodal(NamedTuple):
    """Neurons whose index is at least a threshold."""

    found: int
    by_chance: float | None
    untrained: float | None
    """In an untrained model, if there is one to compare with."""


@dataclass(frozen=True)
class Multimodality:
    """Multimodal neurons of a category of one layer, by forms of one origin; ``multimodality_summary``."""

    layer: str
    facet_origin: str
    category: str
    """``all``, or a family of concepts."""
    neuron_count: int
    tested_count: int
    thin_count: int
    """Tested, on a form of fewer than 3 images of the concept."""
    untrained_run_count: int
    multimodal_80_count: int
    multimodal_90_count: int
    multimodal_95_count: int
    permuted_80_count: float | None
    permuted_90_count: float | None
    permuted_95_count: float | None
    untrained_80_count: float | None
    untrained_90_count: float | None
    untrained_95_count: float | None

    @property
    def by_threshold(self) -> dict[int, Multimodal]:
        """How many there are from 0.8, 0.9 and 0.95 on, by the threshold in hundredths."""
        return {
            80: Multimodal(
                self.multimodal_80_count, self.permuted_80_count, self.untrained_80_count
            ),
            90: Multimodal(
                self.multimodal_90_count, self.permuted_90_count, self.untrained_90_count
            ),
            95: Multimodal(
                self.multimodal_95_count, self.permuted_95_count, self.untrained_95_count
            ),
        }


@dataclass(frozen=True)
class NeuronFacts:
    """A line of the list of all neurons; ``neuron_labels``."""

    layer: str
    unit: int
    is_labelled: bool
    concept: str | None
    category: str | None
    score: float | None
    q_value: float | None
    margin: float | None
    agreement: int | None
    supported_count: int | None
    """Independent scores that support the label."""
    measured_count: int | None
    reason: str | None
    """Why it has no label."""


@dataclass(frozen=True)
class Evidence:
    """A labelled neuron and what speaks for its label."""

    layer: str
    unit: int
    concept: str
    category: str
    score: float | None
    q_value: float
    runner_up: str | None
    margin: float | None
    """Of the score, over the runner-up."""
    agreement: int | None
    """Methods that choose it."""
    supported_count: int | None
    """Independent scores that support it."""
    measured_count: int | None
    multimodality_index: float | None
    """Of the Halle Berry test: over forms that are known, else over forms that are guessed."""
    weakest_facet: str | None
    facet_count: int | None
    is_thin: bool | None
    """A form has fewer than 3 images of the concept."""
    clarity: float | None


@dataclass(frozen=True)
class ReportNeuron:
    """One neuron on the page: its label, the evidence, its top images."""

    evidence: Evidence
    planted: str | None
    """What the embedded model was trained to have it stand for."""
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class DoubtfulList:
    """Labelled neurons that are worst by one measure, worst first."""

    title: str
    neurons: tuple[ReportNeuron, ...]


@dataclass(frozen=True)
class Report:
    """One run."""

    dataset: str
    run_id: str
    run: RunFacts
    layers: tuple[LayerFacts, ...]
    coverage: Coverage
    baselines: Baselines
    categories: tuple[tuple[str, int], ...]
    """Families of the labels and how many neurons, most first."""
    reasons: tuple[tuple[str, int], ...]
    """Why neurons have no label, most first."""
    multimodality: tuple[Multimodality, ...]
    """All categories first."""
    convincing: tuple[ReportNeuron, ...]
    doubtful: tuple[DoubtfulList, ...]
    warnings: tuple[str, ...]
    neurons: tuple[NeuronFacts, ...]

    @property
    def shown(self) -> list[tuple[str, int]]:
        """Layer and unit of the neurons with images on the page, each once."""
        groups = [self.convincing, *(group.neurons for group in self.doubtful)]
        found = [neuron.evidence for group in groups for neuron in group]
        return list(dict.fromkeys((one.layer, one.unit) for one in found))

    @property
    def neuron_count(self) -> int:
        """Neurons of all layers."""
        return sum(row.unit_count for row in self.layers)

    @property
    def labelled_count(self) -> int:
        """Of these, labelled."""
        return sum(row.labelled_count for row in self.layers)
