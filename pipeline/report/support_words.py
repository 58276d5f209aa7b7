"""What supports a label, in words: the scores that had no part in choosing it, beside their baselines."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report.card import SupportScores
from pipeline.report.words import describe_number

HEADINGS = ("score", "this label", "another label", "permuted", "")
"""Of the table."""


@dataclass(frozen=True)
class ScoreLine:
    """One score of a label."""

    name: str
    meaning: str
    """A part of a sentence."""
    value: str
    other: str
    """The same score of another neuron's label."""
    permuted: str
    """The same of concepts that are permuted; of faithfulness, of a random direction."""
    is_supporting: bool | None
    """Null if it was not measured."""

    @property
    def outcome(self) -> str:
        """Whether it supports the label."""
        if self.is_supporting is None:
            return "not measured"
        return "supports" if self.is_supporting else "does not"


def list_scores(scores: SupportScores) -> list[ScoreLine]:
    """Every score of ``label_evidence``, measured or not."""

    def line(name: str, meaning: str, prefix: str, form: str = ".2f", **fields: str) -> ScoreLine:
        names = {
            "value": prefix,
            "other": f"other_{prefix}",
            "permuted": f"permuted_{prefix}",
            "is_supporting": f"is_{prefix}_supported",
        } | fields
        value, other, permuted = (
            describe_number(getattr(scores, names[each]), form)
            for each in ("value", "other", "permuted")
        )
        is_supporting = getattr(scores, names["is_supporting"])
        return ScoreLine(name, meaning, value, other, permuted, is_supporting)

    forms = f" ({scores.fresh_forms})" if scores.fresh_forms else ""
    return [
        line(
            "AUC on fresh images",
            f"how often a fresh image of it excites the neuron more than one of another{forms}",
            "fresh_auc",
            is_supporting="is_fresh_supported",
        ),
        line(
            "MAD on fresh images",
            "how much more a fresh image of it excites the neuron on average, in SD",
            "fresh_mad",
            is_supporting="is_fresh_supported",
        ),
        line(
            "Purity",
            "average precision of the images that show it, all ranked by activation",
            "purity",
        ),
        line(
            "Detection",
            "how well it tells the images that fire the neuron from its near misses",
            "detection",
        ),
        line(
            "Prediction",
            "correlation of the activation with what the concept predicts, on unseen images",
            "prediction",
        ),
        line(
            "Faithfulness",
            "how far driving the neuron makes the model say it; beside it a random direction",
            "faithfulness",
            permuted="direction_faithfulness",
        ),
        line("Agreement", "how many of three methods chose it", "agreement", "d"),
    ]


def describe_support(scores: SupportScores | None) -> str:
    """How many scores support the label; or why none can."""
    if scores is None:
        return "There is no label."
    if not scores.measured_count:
        return "No score was measured: neurons build, neurons support and neurons effect do."
    told = (
        f"{scores.supported_count} of {scores.measured_count} scores that had no part in choosing "
        "the label support it"
    )
    doubt = ": NOT SUPPORTED" if not scores.supported_count else ""
    return f"{told}{doubt}. AUC and MAD count as one."


def say_count(supported: int | None, measured: int | None) -> str:
    """``4 of 6``; empty if nothing was measured."""
    return f"{supported} of {measured}" if measured else ""
