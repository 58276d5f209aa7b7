"""Rules by hand, ``rules.csv``: phrases that name no concept, and words that tell what beside them does not."""

from __future__ import annotations

import csv
from importlib import resources

RULES_FILE = "rules.csv"


def read_rules() -> list[dict[str, str]]:
    """Rows of rule, language and phrase; what each rule does says ``phrases.RULES``."""
    text = (resources.files(__package__) / RULES_FILE).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
