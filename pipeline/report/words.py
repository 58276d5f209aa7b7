"""What a card says in words; its PNG and its HTML say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.card import Card, Group, HalleBerry, Label, Stratum
from pipeline.report.run_report import Baselines
from pipeline.report.thumbnails import Picture
from pipeline.warehouse.layer_axes import AXES


@dataclass(frozen=True)
class Method:
    """One of the three methods that choose a concept on the screening half."""

    name: str
    choice: str
    """Its own choice, or why there is none."""
    is_agreeing: bool | None
    """Whether that is the label; null without a label or without a choice."""


WEAK_SCORE = 0.7
"""Labels whose mean AUROC is below this are said to be weak."""

TITLES = {
    "top": "What excites it most",
    "bottom": "What inhibits it most",
    "histogram": "All its activations, and images drawn at random from each bin",
    "facets": "Does it answer in every form? (Halle Berry test)",
    "probability": "How selective it is: P(shown | activation)",
    "groups": "Do its top images look alike?",
    "contrasting": "Near misses: images like its top images that leave it cold",
    "glossary": "What the words mean",
}
"""The sections of a card."""


def describe_number(value: float | None, form: str = ".3f") -> str:
    """A number for a person; a dash for none."""
    return "–" if value is None else format(value, form)


def describe_q(value: float | None) -> str:
    """A p or q; one that underflows is below what a double holds."""
    if value is None:
        return "–"
    return "below 1e-300" if value == 0 else f"{value:.2g}"


def card_title(card: Card) -> str:
    """The label, or that there is none."""
    return card.label.concept or "unlabelled"


def card_subtitle(card: Card) -> str:
    """Family of the label and whose word it is; or why there is none."""
    label = card.label
    if label.is_labelled:
        return f"{label.category}, by {_ORIGINS.get(label.origin or '', label.origin)}"
    return _REASONS.get(label.reason or "", label.reason or "")


_ORIGINS = {
    "texts": "the texts of the images",
    "stimulus": "construction of the stimuli",
    "similarity": "the model's own similarity",
}

_REASONS = {
    "no activity": "it has no top example: its activation is never above zero",
    "no concept in top examples": "none of its top images shows a concept",
    "no concept stands out": "no concept that its top images show stands out enough to be tested",
    "not significant": "what was chosen on the screening half is not significant on the testing half",
    "circular": "circular: it is of the text tower, which read the very texts that tell the concept",
}


def list_glossary(card: Card) -> list[tuple[str, str]]:
    """Words on a card that are measures, a sentence each; also in the documents and the views' headers."""
    return [
        (
            "AUROC (score)",
            "how often an image that shows the concept excites the neuron more than one that does "
            "not; 0.5 is chance, 1 is always.",
        ),
        (
            "q (q_value)",
            "believe all labels with a q up to this one's, and about this share of them is false.",
        ),
        (
            "methods that choose it (agreement)",
            "how many of three chose the label on the screening half; enrichment always did.",
        ),
        (
            "bin (sd_bin)",
            f"a slice of the axis of activation, which is in {AXES[card.axis]} here; its images are "
            "drawn at random.",
        ),
    ]


_FORMS = {
    "stimulus": "known by construction",
    "similarity": "guessed by the model (zero-shot)",
    "texts": "of the texts",
}


def card_place(card: Card) -> str:
    """Where the neuron is."""
    random = " (RANDOM weights)" if card.is_random else ""
    return (
        f"{card.layer}, unit {card.unit}  ·  model {card.model_id}{random}  ·  "
        f"dataset {card.dataset}  ·  run {card.run_id}"
    )


def card_notes(card: Card) -> list[str]:
    """What must be known before anything is believed."""
    notes = []
    if card.is_random:
        notes.append("The model's weights are random: what is here shows the machinery alone.")
    if card.planted:
        notes.append(
            f"A planted neuron: nano's training supervised it to stand for {card.planted}. "
            "The pipeline is not told."
        )
    return notes


def label_facts(label: Label) -> list[tuple[str, str]]:
    """The evidence for a label, or what there is without one: names and values."""
    if not label.is_labelled:
        if label.tested_score is None:
            return []
        return [
            ("Best candidate", str(label.enrichment_concept)),
            ("Its AUROC, testing half", describe_number(label.tested_score)),
            ("p of its enrichment there", describe_q(label.tested_p_value)),
        ]
    runner_up = "none"
    if label.runner_up is not None:
        runner_up = f"{label.runner_up}, AUROC {describe_number(label.runner_up_score)}"
    lift = "" if label.lift is None else f", {label.lift:.1f} times as often as elsewhere"
    top_count = label.top_count or 0
    return [
        ("AUROC, testing half", describe_number(label.score)),
        ("z (Mann-Whitney)", describe_number(label.z, ".1f")),
        ("q of its enrichment", describe_q(label.q_value)),
        ("Images that show it", f"{label.positive_count} of the testing half"),
        ("Among its top images", f"{top_count} of {label.top_size}{lift}"),
        ("Runner-up", runner_up),
        ("Margin over it", describe_number(label.margin, "+.3f")),
    ]


def label_methods(label: Label) -> list[Method]:
    """The three methods and what each chose."""
    return [
        _method("Enrichment among its top images", label.enrichment_concept, label),
        _method("AUROC over all images", label.auroc_concept, label),
        _method(
            "soft-WPMI, by CLIP's similarity",
            label.soft_wpmi_concept,
            label,
            "none" if label.has_similarity else "not run (neurons similarity)",
        ),
    ]


def _method(name: str, choice: str | None, label: Label, none: str = "none") -> Method:
    if choice is None:
        return Method(name, none, None)
    return Method(name, choice, choice == label.concept if label.is_labelled else None)


def describe_agreement(label: Label) -> str:
    """How many methods agree."""
    if not label.is_labelled:
        return "What each of three methods would choose (screening half)"
    return f"{label.agreement} of 3 methods choose it (screening half)"


def describe_stats(card: Card) -> str:
    """Moments and share of zeros."""
    stats = card.stats
    shape = [
        f"{name} {value:.3g}"
        for name, value in (
            ("skewness", stats.skewness),
            ("excess kurtosis", stats.kurtosis),
            ("sparsity", stats.sparsity),
        )
        if value is not None
    ]
    told = (
        f"{stats.example_count:,} images; mean {stats.mean:.3g}, SD {stats.sd:.3g}, from "
        f"{stats.min:.3g} to {stats.max:.3g}; above zero on {stats.active_frac:.1%}"
    )
    return "; ".join([told, ", ".join(shape)]) if shape else told


def describe_examples(card: Card, polarity: str) -> str:
    """What stands under the images of one end; or that there are none."""
    pictures = card.top if polarity == "positive" else card.bottom
    if not pictures:
        beyond = "above" if polarity == "positive" else "below"
        return f"None: its activation is never {beyond} zero."
    framed = f"; green frame: shows {card.label.concept}" if card.label.is_labelled else ""
    read = "; a text tower read the texts below, not the images" if card.tower == "text" else ""
    return f"in {AXES[card.axis]}{framed}{read}"


def list_texts(pictures: Sequence[Picture]) -> list[str]:
    """What a text tower read of each picture, with its activation."""
    return [
        f"{number}.  {picture.caption}  {picture.text or '(no text)'}"
        for number, picture in enumerate(pictures, 1)
    ]


def describe_histogram(card: Card, stride: int) -> str:
    """The caption of the distribution; or why there is none."""
    if not card.histogram:
        return "All its activations are equal: there is no standard deviation to measure them by."
    told = describe_stats(card)
    if not card.samples:
        return f"{told}. This run kept no samples by activation: extract it again to have them."
    every = "" if stride == 1 else f" Images are drawn for every {stride} bins."
    return f"{told}.{every}"


def describe_test(test: HalleBerry | None, tower: str = "visual") -> list[str]:
    """The outcome of the Halle Berry test in sentences; or why there is none."""
    if tower == "text":
        return ["A text tower sees no form of an image: there is nothing to compare."]
    if test is None:
        return ["No form or language of any image is known here: nothing to compare."]
    lines = []
    if not test.indices:
        lines.append(f"{test.concept}: no form of any image is known here, only languages.")
    for row in test.indices:
        origin = _FORMS.get(row.facet_origin, row.facet_origin)
        if row.multimodality_index is None:
            count = row.facet_count or 0
            lines.append(f"{test.concept}, forms {origin}: no index, {count} of 2 forms tested.")
            continue
        failed = ", ".join(row.failed_facets)
        verdict = f"fails in {failed}" if failed else "passes in all of them"
        lines.append(
            f"{test.concept}, forms {origin}: index {row.multimodality_index:.3f} "
            f"(p {row.p_value:.2f}), the smallest AUROC of {row.facet_count} forms "
            f"({row.weakest_facet}); {verdict}."
        )
    if thin := [s.name for s in test.strata if s.is_thin and s.auroc is not None]:
        lines.append(
            f"Hollow: fewer than 3 images decide it, so it is weak evidence ({', '.join(thin)})."
        )
    missing = [s.name for s in test.strata if s.dimension == "facet" and s.positive_count == 0]
    if missing:
        lines.append(f"No image of the testing half shows it as: {', '.join(missing)}.")
    if not any(s.dimension == "word language" and s.positive_count for s in test.strata):
        lines.append(f"No rendered words of {test.concept} in the testing half.")
    return lines


def group_strata(test: HalleBerry | None) -> list[tuple[str, list[Stratum]]]:
    """The strata that hold an image of the concept, under a heading each."""
    groups: dict[str, list[Stratum]] = {}
    for item in test.strata if test else ():
        if item.positive_count:
            known = _FORMS.get(item.facet_origin, item.facet_origin)
            title = {
                "facet": f"Forms, {known}",
                "word language": "Languages of rendered words",
                "text language": "Languages of the images' texts",
            }.get(item.dimension, item.dimension)
            groups.setdefault(title, []).append(item)
    return list(groups.items())


def describe_probabilities(card: Card) -> str:
    """The caption of P(category | activation); or why there is none."""
    if card.probabilities:
        return "Of images sampled in each bin, with Wilson's 95 % interval."
    if not card.samples:
        return "This run kept no samples by activation: extract it again to have them."
    if card.label.is_circular:
        return (
            "Its texts cannot say: the text tower read them. People can judge the images: "
            "neurons label export."
        )
    if not card.label.is_labelled:
        return "No label, so there is no category to ask for; people can: neurons label export."
    return "No sampled image can be judged; people can: neurons label export."


def describe_clarity(card: Card) -> str:
    """How alike the top images are, in numbers; or why it is not known."""
    clarity = card.clarity
    if clarity is None:
        return "Not computed: neurons build does, for neurons with two top images or more."
    parted = (
        f"{clarity.group_count} groups; polysemanticity {clarity.polysemanticity:.2f}"
        if clarity.group_count > 1
        else "one group"
    )
    text = (
        f"Clarity {clarity.clarity:.3f} (mean cosine of two top images; two images of the run: "
        f"{clarity.baseline_clarity:.3f}"
    )
    sd = clarity.clarity_sd
    return f"{text}{'' if sd is None else f', {sd:+.1f} SD'}); {parted}."


def describe_group(number: int, group: Group) -> str:
    """The heading of a group of top images."""
    shown = f", {group.concept_count} show {group.concept}" if group.concept else ""
    return f"Group {number}: {group.group_size} images{shown}"


def describe_contrasting(card: Card) -> str:
    """The caption of the near misses; or why there are none."""
    if card.contrasting:
        return (
            "nearest to its top images in the model's embedding, at or below its median activation"
        )
    return "None computed: neurons build does, for neurons with top images."


def describe_chance(baselines: Baselines, is_random: bool) -> list[str]:
    """How much of a run's labels is to be believed; beside its most convincing neurons."""
    lines = []
    labelled, chance = baselines.labelled_count, baselines.chance_count
    if is_random:
        lines.append(
            "The model's weights are random: it has learned nothing, and no neuron stands for a "
            "concept. What is labelled answers to colours, shapes and ink that go with one."
        )
    if not labelled:
        return lines
    expected = (
        f"Of its {labelled:,} labels about {describe_count(chance)} are to be expected by chance"
    )
    if 2 * chance >= labelled:
        lines.append(
            f"{expected}: half of them or more. Believe none of these by its numbers alone, not even "
            "the most convincing: they are the luckiest of many."
        )
    else:
        lines.append(
            f"{expected}; these are the best of them, and look better than a new one would."
        )
    score, constant = baselines.label_score, baselines.constant_score
    if score is not None and score < WEAK_SCORE:
        beside = "" if constant is None else f"; one constant label reaches {constant:.3f}"
        lines.append(
            f"They are weak: on average an image of its concept excites a labelled neuron more than "
            f"another in {score:.0%} of pairs (chance: 50%{beside})."
        )
    return lines


def describe_count(value: float) -> str:
    """An expected number, for a person."""
    return f"{value:,.1f}" if value < 10 else f"{value:,.0f}"
