"""What a neuron's card shows, as plain numbers and images; `gather.py` asks the views for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.drawn import DrawnPicture
from pipeline.report.thumbnails import Picture


@dataclass(frozen=True)
class Stats:
    """What is known of a neuron without any concept; ``neuron_stats``."""

    example_count: int
    mean: float
    sd: float
    min: float
    max: float
    active_frac: float
    zero_count: int
    """Activations that are exactly zero."""
    skewness: float | None
    kurtosis: float | None
    sparsity: float | None


@dataclass(frozen=True)
class Label:
    """The row of ``neuron_labels``; and of an unlabelled neuron the figures of what was tested."""

    concept: str | None
    category: str | None
    origin: str | None
    score: float | None
    z: float | None
    q_value: float | None
    positive_count: int | None
    top_count: int | None
    top_size: int | None
    lift: float | None
    runner_up: str | None
    runner_up_score: float | None
    margin: float | None
    agreement: int | None
    enrichment_concept: str | None
    auroc_concept: str | None
    soft_wpmi_concept: str | None
    is_labelled: bool
    is_circular: bool
    """Significant, but of a text tower, which read the very texts that tell the concept."""
    reason: str | None
    tested_score: float | None
    """AUROC of ``enrichment_concept`` on the testing half, labelled or not; null without one."""
    tested_p_value: float | None
    """Hypergeometric p of its enrichment there, which decides about the label."""
    has_similarity: bool
    """Whether soft-WPMI could choose: the run's own similarity was computed, and marts built."""
    store: str
    """What the run keeps of the layer, as in ``layers``."""
    is_cut: bool
    """Too little for any method but enrichment."""


@dataclass(frozen=True)
class SupportScores:
    """The scores that had no part in choosing the label; ``label_evidence``. Null is not measured."""

    other_concept: str | None
    """Another neuron's label."""
    supported_count: int
    measured_count: int
    fresh_forms: str | None
    fresh_auc: float | None
    other_fresh_auc: float | None
    permuted_fresh_auc: float | None
    fresh_mad: float | None
    other_fresh_mad: float | None
    permuted_fresh_mad: float | None
    is_fresh_supported: bool | None
    purity: float | None
    other_purity: float | None
    permuted_purity: float | None
    is_purity_supported: bool | None
    detection: float | None
    other_detection: float | None
    permuted_detection: float | None
    is_detection_supported: bool | None
    prediction: float | None
    other_prediction: float | None
    permuted_prediction: float | None
    is_prediction_supported: bool | None
    faithfulness: float | None
    other_faithfulness: float | None
    direction_faithfulness: float | None
    is_faithfulness_supported: bool | None
    agreement: int | None
    other_agreement: int | None
    permuted_agreement: int | None
    is_agreement_supported: bool | None


@dataclass(frozen=True)
class HistogramBin:
    """Activations between two edges, in standard deviations on the card's axis."""

    left_sd: float
    right_sd: float
    example_count: int


@dataclass(frozen=True)
class SampleBin:
    """Images drawn at random from those of one bin of activation; ``neuron_samples``."""

    left_sd: float
    right_sd: float
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Stratum:
    """How well a neuron tells its concept within one form or language; ``neuron_facets``."""

    dimension: str
    """``facet``, ``word language`` or ``text language``."""
    name: str
    facet_origin: str
    positive_count: int
    other_count: int
    auroc: float | None
    """Null if too few images show the concept, or do not."""
    p_value: float | None
    is_failed: bool | None
    surrogate_low: float | None
    """0.05 quantile of the AUROC of the 99 surrogates."""
    surrogate_high: float | None
    """0.95 quantile."""
    is_thin: bool = False
    """It rests on fewer than three images that show the concept, or that do not."""


@dataclass(frozen=True)
class Index:
    """How multimodal a neuron is over forms of one origin; ``neuron_multimodality``."""

    facet_origin: str
    multimodality_index: float | None
    """The smallest AUROC; null with fewer than two forms tested."""
    p_value: float | None
    facet_count: int | None
    """Forms that were tested."""
    weakest_facet: str | None
    failed_facets: Sequence[str]


@dataclass(frozen=True)
class HalleBerry:
    """The Halle Berry test of the neuron's first candidate concept."""

    concept: str
    category: str
    origin: str
    indices: tuple[Index, ...]
    """One by facet_origin."""
    strata: tuple[Stratum, ...]


@dataclass(frozen=True)
class Probability:
    """P(what | bin of activation) with Wilson's interval, and P(bin | what); ``conditional_activations``."""

    what: str
    """The concept, the category as a whole, or what a person wrote and who."""
    left_sd: float
    right_sd: float
    sample_count: int
    hit_count: int
    probability: float
    low: float
    high: float
    is_human: bool = False
    """A person says what is shown."""
    category_count: float | None = None
    """Images of the bin that show it, estimated."""
    activation_frac: float | None = None
    """P(bin | what). None: no judged image shows it."""
    overall_frac: float | None = None
    """Share of all images in the bin."""


@dataclass(frozen=True)
class Clarity:
    """How alike the top images are; ``neuron_clarity``."""

    clarity: float
    """Mean cosine of two of them."""
    baseline_clarity: float
    """And of two images of the run."""
    clarity_sd: float | None
    group_count: int
    polysemanticity: float | None


@dataclass(frozen=True)
class Group:
    """Top examples that look alike; ``neuron_groups``."""

    group_size: int
    concept: str | None
    concept_count: int
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Card:
    """One neuron."""

    dataset: str
    run_id: str
    model_id: str
    is_random: bool
    layer: str
    unit: int
    unit_count: int
    """Neurons of the layer."""
    axis: str
    """``sd``: standard deviations from zero; ``z``: from the neuron's mean (``layer_axes``)."""
    tower: str
    """``visual`` or ``text``."""
    planted: str | None
    """What the embedded model was trained to have this neuron stand for; null for any other."""
    stats: Stats
    label: Label
    support: SupportScores | None
    """None without a label."""
    top: tuple[Picture, ...]
    bottom: tuple[Picture, ...]
    histogram: tuple[HistogramBin, ...]
    """Ascending; without the activations that are exactly zero. Empty for a neuron without spread."""
    samples: tuple[SampleBin, ...]
    """Ascending."""
    halle_berry: HalleBerry | None
    probabilities: tuple[Probability, ...]
    clarity: Clarity | None
    groups: tuple[Group, ...]
    contrasting: tuple[Picture, ...]
    drawn: tuple[DrawnPicture, ...]
    """What it drew; empty if it was not asked to."""

    @property
    def marks(self) -> tuple[tuple[str, float], ...]:
        """Where zero and the mean are on the axis; none for a neuron without spread."""
        if not self.stats.sd:
            return ()
        away = self.stats.mean / self.stats.sd
        return (
            ("zero", -away if self.axis == "z" else 0.0),
            ("mean", 0.0 if self.axis == "z" else away),
        )
