"""What an address asks of a page: every field stands in it if it is not the default."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Self

from pipeline.base.errors import ConfigError


@dataclass(frozen=True)
class Asked:
    """Fields are texts and numbers, as their defaults are."""

    CHOICES: ClassVar[Mapping[str, Collection[str]]] = {}
    """What some fields may say."""

    page: int = 1
    """From 1."""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Self:
        """What an address says.

        Raises:
            ConfigError: A value is none of its field.
        """
        given: Any = {}
        defaults = asdict(cls())
        for field in fields(cls):
            text = query.get(field.name, "")
            if not text.strip():
                continue
            try:
                given[field.name] = type(defaults[field.name])(text)
            except ValueError:
                raise ConfigError(
                    f"The address says {field.name}={text!r}.", "A number is expected."
                ) from None
        found = cls(**given)
        for name, known in cls.CHOICES.items():
            if (value := getattr(found, name)) not in known:
                raise ConfigError(
                    f"The address says {name}={value!r}.",
                    f"It is one of: {', '.join(filter(None, known))}.",
                )
        return replace(found, page=max(1, found.page))

    def query(self, **changes: Any) -> dict[str, str | int | float]:
        """What an address says of it; a change but of the page begins at the first."""
        changed = replace(self, **({"page": 1} | changes))
        defaults = asdict(type(self)())
        return {name: value for name, value in asdict(changed).items() if value != defaults[name]}
