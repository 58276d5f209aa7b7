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
