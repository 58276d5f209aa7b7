"""Which attacked images are asked for, as an address says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from pipeline.base.errors import ConfigError

OUTCOMES = {
    "changed": "changed to the word",
    "already": "the word's class before",
    "changed_away": "changed to a third class",
    "unchanged": "unchanged",
}
"""Of an attack, and in words."""


@dataclass(frozen=True)
class AttackFilter:
    """What an address asks for; every field stands in it if it is not the default."""

    class_set: str = ""
    """The first one by default."""
    text: str = ""
    """What is written on the images; empty for all."""
    placement: str = ""
    outcome: str = ""
    """One of `OUTCOMES`, or empty for all."""
    page: int = 1

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Self:
        """What an address says.

        Raises:
            ConfigError: A value is none.
        """
        try:
            page = max(1, int(query.get("page") or 1))
        except ValueError:
            raise ConfigError(
                f"The address says page={query['page']!r}.", "A number is expected."
            ) from None
        class_set, text, placement, outcome = (
            query.get(name, "") for name in ("class_set", "text", "placement", "outcome")
        )
        found = cls(class_set, text, placement, outcome, page)
        if found.outcome and found.outcome not in OUTCOMES:
            raise ConfigError(
                f"The address says outcome={found.outcome!r}.", f"Outcomes: {', '.join(OUTCOMES)}."
            )
        return found

    def query(self, **changes: Any) -> dict[str, str | int]:
        """What an address says of it; a change but of the page begins at the first."""
        changed = replace(self, **({"page": 1} | changes))
        default = type(self)()
        return {
            name: value
            for name, value in asdict(changed).items()
            if value != getattr(default, name)
        }
