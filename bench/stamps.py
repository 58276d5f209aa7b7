"""Descriptions of pictures that others wrote, in many languages: how often they are read right.

``python -m bench.stamps [LANGUAGE ...]`` prints a table. Each stamp of Tux Paint comes with a sentence in
English and its translations by volunteers (GPL-2 or later). The texts are not in this repository: the package
is fetched with ``apt-get`` (160 MB) and kept. ``stamps.csv``, what the English sentences name, is ours (CC0).
"""

from __future__ import annotations

import csv
import re
import sys
from collections import defaultdict
from pathlib import Path

from platformdirs import user_cache_path

from bench.captions import Caption, judge, score
from pipeline.concepts.make.packages import Archive, Package, fetch

LABELS = Path(__file__).with_name("stamps.csv")

PACKAGE = Package(
    "debian",
    "tuxpaint-stamps-default",
    "2022.06.04-1",
    "tuxpaint-stamps-default_2022.06.04-1_all.deb",
    "r0xqJ3gZVuu9fgE9FydxiK52AIvZ+w2JiUI5+CYzvoeBz44nrvpMxXrRjnpx3fzAd4/8n++JEx4bQLnjjPlspQ==",
    "GPL-2+",
)

_FOLDER = "usr/share/tuxpaint/stamps/"
_LEAST = 60
"""Texts of a language that has a row."""


def read_stamps(archive: Archive) -> dict[str, list[Caption]]:
    """Translations by language; a stamp that occurs several times counts once."""
    with LABELS.open(encoding="utf-8", newline="") as file:
        labels = {row["english"]: row["concepts"] for row in csv.DictReader(file)}
    texts: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for name in archive.names(_FOLDER, ".txt"):
        english, *others = archive.read(name).decode("utf-8", "replace").splitlines() or [""]
        if english.strip() in labels:
            for line in others:
                match = re.fullmatch(r"(\w+)\.utf8=(.*\S)\s*", line)
                if match and match[2] != english.strip():
                    texts[match[1]][english.strip()] = match[2]
    return {
        language: [
            _caption(language, text, labels[english]) for english, text in sorted(of.items())
        ]
        for language, of in sorted(texts.items())
    }


def _caption(language: str, text: str, concepts: str) -> Caption:
    pairs = (one.partition(":") for one in concepts.split("; ") if one)
    named = frozenset((family, name) for family, _, name in pairs)
    return Caption("tune", language, "alt", False, "", text, named)


def main() -> None:
    """Print a row by language."""
    folder = user_cache_path("neurons", appauthor=False) / "lexicon-sources"
    stamps = read_stamps(fetch(PACKAGE, folder))
    chosen = sys.argv[1:] or [one for one, some in stamps.items() if len(some) >= _LEAST]
    print("| language | texts | concepts | precision | recall |\n|---|---|---|---|---|")
    for language in chosen:
        of = score(judge(stamps[language]))
        count = len(stamps[language])
        print(
            f"| {language} | {count} | {of.got + of.missed} | {of.precision:.3f} | {of.recall:.3f} |"
        )


if __name__ == "__main__":
    main()
