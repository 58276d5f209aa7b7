"""What a card says in words; its PNG and its HTML say the same."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.report.card import Card, Group, HalleBerry, Stratum
from pipeline.report.thumbnails import Picture
from pipeline.warehouse.layer_axes import AXES
from pipeline.warehouse.not_kept import explain_cut

TITLES = {
    "support": "What supports the label",
    "top": "What excites it most",
    "bottom": "What inhibits it most",
    "drawn": "What it draws",
    "histogram": "All its activations, and images drawn at random from each bin",
    "facets": "Does it answer in every form? (Halle Berry test)",
    "probability": "How selective it is: P(shown | activation)",
    "groups": "Do its top images look alike?",
    "contrasting": "Near misses: images like its top images that leave it cold",
    "glossary": "What the words mean",
}
"""The sections of a card."""

DENSITIES = (
    "And the other way round, P(activation | shown): where its images lie, by the same samples and the size "
    "of each bin; every row to its own height."
)


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
    if card.label.is_cut:
        notes.append(explain_cut(card.label.store))
    if card.planted:
        notes.append(
            f"A planted neuron: nano's training supervised it to stand for {card.planted}. "
            "The pipeline is not told."
        )
    return notes


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
    ringed = any(picture.is_marked for picture in pictures)
    ring = "; ring: the middle of the cell where it answers most" if ringed else ""
    return f"in {AXES[card.axis]}{framed}{ring}{read}"


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
