"""How much supports a label, in words."""

from __future__ import annotations


def mark_unsupported(supported: int | None, measured: int | None) -> str:
    """What to say behind a label that no independent score supports; empty of any other.

    Args:
        supported: Scores that support it; None of a neuron without a label.
        measured: Scores that were measured.
    """
    if supported == 0 and measured:
        return f"; NOT SUPPORTED by any of {measured} independent scores"
    return ""


def name_label(concept: str, category: str, supported: int | None, measured: int | None) -> str:
    """``concept (category)``, as a cell of a table; and whether no independent score supports it.

    Args:
        concept: Of the label.
        category: Of the concept.
        supported: As of `mark_unsupported`.
        measured: Likewise.
    """
    is_unsupported = supported == 0 and bool(measured)
    return f"{concept} ({category}){', NOT SUPPORTED' * is_unsupported}"
