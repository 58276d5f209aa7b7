"""What the lexicon can name in which language: ``python -m pipeline.concepts.coverage``."""

from __future__ import annotations

import sys
from collections import Counter

from pipeline.concepts.lexicon import CATEGORIES, load_lexicon

_WITH_THINGS = 12
"""Families that a language must have for a row of its own: names of things, not of countries alone."""


def count_concepts() -> dict[str, Counter[str]]:
    """How many concepts of each family have a phrase, by language, in alphabetical order."""
    named = load_lexicon().group_by(["language", "category", "concept"]).aggregate([])
    families = named.group_by(["language", "category"]).aggregate([([], "count_all")])
    counts: dict[str, Counter[str]] = {}
    for row in families.sort_by([("language", "ascending")]).to_pylist():
        counts.setdefault(row["language"], Counter())[row["category"]] = row["count_all"]
    return counts


def write_coverage() -> str:
    """The counts as Markdown: a row by language, a column by family."""
    counts = count_concepts()
    families = [family for family in CATEGORIES if family != "person"]
    rows = [one for one in counts if len(counts[one]) >= _WITH_THINGS]
    lines = [
        "| language | " + " | ".join(family.replace("_", " ") for family in families) + " |",
        "|---|" + "--:|" * len(families),
        *(_row(one, [counts[one][family] for family in families]) for one in rows),
    ]
    rest = [one for one in counts if one not in rows]
    named = " ".join(f"{one} ({sum(counts[one].values())})" for one in rest)
    return "\n".join(
        [
            f"{len(counts)} languages, {load_lexicon().num_rows} phrases. Of {len(rows)} languages, how "
            "many concepts of each family have a phrase:",
            "",
            *lines,
            "",
            f"Of {len(rest)} more, mostly names of countries, cities and months; in brackets how many "
            f"concepts: {named}.",
        ]
    )


def _row(language: str, counts: list[int]) -> str:
    return f"| {language} | " + " | ".join(str(count or "") for count in counts) + " |"


if __name__ == "__main__":
    sys.stdout.write(f"{write_coverage()}\n")
