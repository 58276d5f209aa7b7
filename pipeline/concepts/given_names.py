"""Given names of people, so that "Chad" in "Chad Smith" is nobody's country.

``python -m pipeline.concepts.given_names`` writes ``given_names.txt``, one name a line, lower-case and sorted,
from the lists of ``faker`` (MIT) for all its countries: single words of at least three letters in a script that
has capital letters, since in others nothing tells a name from a word.
"""

from __future__ import annotations

import importlib
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

NAMES = Path(__file__).with_name("given_names.txt")


def build_names() -> list[str]:
    """All names, sorted."""
    from faker.config import AVAILABLE_LOCALES

    return sorted(
        {name.lower() for locale in AVAILABLE_LOCALES for name in _listed(locale) if _is_kept(name)}
    )


def _listed(locale: str) -> Iterator[str]:
    """The given names of a locale, in the spelling of the list."""
    try:
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
    except ModuleNotFoundError:
        return
    for attribute in dir(provider):
        listed = getattr(provider, attribute)
        if attribute.startswith("first_name") and isinstance(listed, tuple | list | dict | set):
            for entry in listed:
                yield unicodedata.normalize("NFC", entry[0] if isinstance(entry, tuple) else entry)


def _is_kept(name: str) -> bool:
    return len(name) > 2 and name.isalpha() and name == name.capitalize() != name.lower()


if __name__ == "__main__":
    names = build_names()
    NAMES.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    sys.stdout.write(f"{NAMES.name}: {len(names):,} names\n")
