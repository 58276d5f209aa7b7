"""What a label rests on, in words; a card's PNG and its HTML say the same."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report.card import Label
from pipeline.report.words import describe_number, describe_q

NOT_TESTED = "not tested"
"""Of a figure that takes activations which the run does not keep."""


@dataclass(frozen=True)
class Method:
    """One of the three methods that choose a concept on the screening half."""

    name: str
    choice: str
    """Its own choice, or why there is none."""
    is_agreeing: bool | None
    """Whether that is the label; null without a label or without a choice."""


def label_facts(label: Label) -> list[tuple[str, str]]:
    """The evidence for a label, or what there is without one: names and values."""
    if not label.is_labelled:
        if label.tested_p_value is None:
            return []
        score = NOT_TESTED if label.is_cut else describe_number(label.tested_score)
        return [
            ("Best candidate", str(label.enrichment_concept)),
            ("Its AUROC, testing half", score),
            ("p of its enrichment there", describe_q(label.tested_p_value)),
        ]
    lift = "" if label.lift is None else f", {label.lift:.1f} times as often as elsewhere"
    top_count = label.top_count or 0
    enrichment = [
        ("q of its enrichment", describe_q(label.q_value)),
        ("Images that show it", f"{label.positive_count} of the testing half"),
        ("Among its top images", f"{top_count} of {label.top_size}{lift}"),
    ]
    if label.is_cut:
        return [("AUROC, testing half", NOT_TESTED), *enrichment]
    runner_up = "none"
    if label.runner_up is not None:
        runner_up = f"{label.runner_up}, AUROC {describe_number(label.runner_up_score)}"
    return [
        ("AUROC, testing half", describe_number(label.score)),
        ("z (Mann-Whitney)", describe_number(label.z, ".1f")),
        *enrichment,
        ("Runner-up", runner_up),
        ("Margin over it", describe_number(label.margin, "+.3f")),
    ]


def label_methods(label: Label) -> list[Method]:
    """The three methods and what each chose."""
    return [
        _method("Enrichment among its top images", label.enrichment_concept, label),
        _method(
            "AUROC over all images",
            label.auroc_concept,
            label,
            NOT_TESTED if label.is_cut else "none",
        ),
        _method(
            "soft-WPMI, by CLIP's similarity",
            label.soft_wpmi_concept,
            label,
            NOT_TESTED
            if label.is_cut
            else "none"
            if label.has_similarity
            else "not run (neurons similarity)",
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
    if label.is_cut:
        return "Enrichment chooses it (screening half); no other method was tested"
    return f"{label.agreement} of 3 methods choose it (screening half)"
