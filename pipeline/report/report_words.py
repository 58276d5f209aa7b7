"""How much of a run's labels is to be believed, in words."""

from __future__ import annotations

from pipeline.report.run_report import Baselines

WEAK_SCORE = 0.7
"""Labels whose mean AUROC is below this are said to be weak."""


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
