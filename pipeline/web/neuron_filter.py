"""Which neurons a list is asked for, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.web.asked import Asked

COLUMNS: dict[str, tuple[str, str, str, str]] = {
    "unit": ("unit", "neuron", "", "unit"),
    "concept": ("label", "labelled", "", "lower(concept)"),
    "category": ("category", "category", "", "category"),
    "score": ("AUROC", "auroc", ".3f", "score"),
    "q_value": ("q", "q", "q", "q_value"),
    "margin": ("margin", "margin", "+.3f", "margin"),
    "agreement": ("methods", "agreement", "d", "agreement"),
    "support": ("support", "support", "", "supported_count"),
    "multimodality_index": ("index", "index", ".3f", "multimodality_index"),
    "clarity": ("clarity", "clarity", ".2f", "clarity"),
    "polysemanticity": ("polysem.", "polysemanticity", ".2f", "polysemanticity"),
    "active_frac": ("active", "active", ".1%", "active_frac"),
    "max_sd": ("max SD", "activation", ".1f", "max_sd"),
    "skewness": ("skewness", "skewness", ".1f", "skewness"),
    "kurtosis": ("kurtosis", "kurtosis", ".1f", "kurtosis"),
    "sparsity": ("sparsity", "sparsity", ".2f", "sparsity"),
}
"""Of the table: name, term that explains it, format, and what it is sorted by."""

_ASCENDING = frozenset(("unit", "concept", "category", "q_value"))


@dataclass(frozen=True)
class Filter(Asked):
    """Which neurons are asked for; every field stands in the address if it is not the default."""

    CHOICES: ClassVar = {
        "labelled": ("", "yes", "no"),
        "sort": ("convincing", *COLUMNS),
        "order": ("", "asc", "desc"),
        "view": ("grid", "table"),
    }
    """Two of them are words of a query."""

    q: str = ""
    """What label or category holds, or a word of a phrase for it in any language begins with; a unit."""
    category: str = ""
    concept: str = ""
    labelled: str = ""
    """``yes``, ``no``, or empty for all."""
    support: int = 0
    """Least number of scores that support the label."""
    agreement: int = 0
    index: float = 0.0
    """Least multimodality index."""
    clarity: float = -1.0
    sort: str = "convincing"
    """``convincing``, or one of `COLUMNS`."""
    order: str = ""
    """``asc``, ``desc``, or empty for the column's own."""
    view: str = "grid"
    """``grid`` or ``table``."""

    @property
    def is_empty(self) -> bool:
        """Whether all neurons are meant."""
        return not self.query(sort="convincing", order="", view="grid", page=1)

    def heading_query(self, column: str) -> dict[str, str | int | float]:
        """What the address says when the heading of a column is clicked."""
        if self.sort == column:
            return self.query(order="desc" if self.direction == "asc" else "asc")
        return self.query(sort=column, order="")

    @property
    def direction(self) -> str:
        """``asc`` or ``desc``."""
        return self.order or ("asc" if self.sort in _ASCENDING else "desc")
