"""Concepts that real captions name: precision and recall of the matching, by language and category.

``python -m bench.captions [tune|report|others|unread]`` prints the tables. The captions, ``captions.csv``, were
labelled before the matching was tuned; rules and words are chosen on ``tune``, figures are told of ``report``,
and of ``others`` and ``unread``, whose writers (models) had not seen the lexicon; what fails in ``others`` has
been read since.
``python -m bench captions`` measures how long the matching takes.
"""

from __future__ import annotations

import csv
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from bench.timing import Report, Row, cpu, measure_in_turn
from pipeline.warehouse.matching import VIEWS, Text, ask_of_texts, connect_lexicon, find_concepts

CAPTIONS = Path(__file__).with_name("captions.csv")

SAME = (
    ("education", "school"),
    ("industry", "factory"),
    ("train", "locomotive"),
    ("railway station", "station"),
    ("tree", "deciduous tree", "evergreen tree"),
    ("flower", "blossom"),
    ("fog", "foggy"),
    ("money", "bank"),
    ("king", "prince", "princess"),
    ("doctor", "health worker"),
)
"""Concepts of the lexicon that one word names, or of which the first is the wider: each is right where a
label has another of its group. Drawn up on the half to tune on."""

KINDS = {
    "clothing": (
        *("dress", "coat", "t-shirt", "jeans", "scarf", "socks", "gloves", "shorts", "kimono"),
        *("sari", "bikini", "one-piece swimsuit", "lab coat", "safety vest", "briefs", "necktie"),
        *("woman’s clothes", "running shirt"),
    ),
    "furniture": ("chair", "bed", "couch and lamp"),
    "child": ("man", "woman"),
}
"""Kinds of a concept: it is right where a label has one of them, and they where a label has it. Boys and girls
are men and women in the lexicon, children to those who wrote captions last."""

TWO_SENSES = frozenset({"orange"})
"""Concepts whose families are different things; any other is right in whatever family it stands."""


class Caption(NamedTuple):
    """One labelled text."""

    half: str
    language: str
    text_kind: str
    is_hard: bool
    page_title: str
    text: str
    concepts: frozenset[tuple[str, str]]
    """Category and concept."""


class Judged(NamedTuple):
    """What was found in one caption: pairs of category and concept."""

    caption: Caption
    right: frozenset[tuple[str, str]]
    wrong: frozenset[tuple[str, str]]
    missed: frozenset[tuple[str, str]]


class Score(NamedTuple):
    """Counts, and their ratios; 1 where there is nothing to divide."""

    right: int
    wrong: int
    missed: int
    got: int

    @property
    def precision(self) -> float:
        """Share of what was found that the label has."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """Share of what the label has that was found."""
        return self.got / (self.got + self.missed) if self.got + self.missed else 1.0


def read_captions(half: str) -> list[Caption]:
    """Those of a part: ``tune``, ``report``, ``others`` or ``unread``."""
    with CAPTIONS.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["half"] == half]
    return [
        Caption(
            row["half"],
            row["language"],
            row["text_kind"],
            row["is_hard"] == "true",
            row["page_title"],
            row["text"],
            frozenset(
                (family, name)
                for family, _, name in (one.partition(":") for one in row["concepts"].split("; "))
                if name
            ),
        )
        for row in rows
    ]


def judge(captions: list[Caption]) -> list[Judged]:
    """Find the concepts of captions and compare them with the labels."""
    texts = [Text(c.text, c.language, c.text_kind, c.page_title) for c in captions]
    judged = []
    for caption, found in zip(captions, find_concepts(texts), strict=True):
        names = {like for _, name in caption.concepts for like in _like(name)}
        pairs = {(one.category, one.concept) for one in found}
        right = {
            pair
            for pair in pairs
            if pair in caption.concepts or (pair[1] in names and pair[1] not in TWO_SENSES)
        }
        found_names = {like for _, name in right for like in _like(name)}
        missed = {
            pair
            for pair in caption.concepts
            if pair not in right and (pair[1] not in found_names or pair[1] in TWO_SENSES)
        }
        judged.append(
            Judged(caption, frozenset(right), frozenset(pairs - right), frozenset(missed))
        )
    return judged


def _like(name: str) -> set[str]:
    """A concept, and those of its group."""
    wider = {one for one, kinds in KINDS.items() if name in kinds}
    same = {one for group in SAME if name in group for one in group}
    return {name, *wider, *KINDS.get(name, ()), *same}


def score(judged: Iterable[Judged], category: str = "") -> Score:
    """Of all categories, or of one."""
    counts: Counter[str] = Counter()
    for one in judged:
        expected = one.caption.concepts
        for name, pairs in (
            ("right", one.right),
            ("wrong", one.wrong),
            ("missed", one.missed),
            ("got", expected - one.missed),
        ):
            counts[name] += sum(not category or family == category for family, _ in pairs)
    return Score(*(counts[name] for name in Score._fields))


def tables(judged: list[Judged]) -> str:
    """Two Markdown tables: by language, and by category."""
    by_language = defaultdict(list)
    families = set()
    for one in judged:
        by_language[one.caption.language].append(one)
        families |= {family for family, _ in one.right | one.wrong | one.caption.concepts}
    sizes = {language: len(some) for language, some in by_language.items()}
    order = sorted(sizes, key=lambda language: (-sizes[language], language))
    hard = [one for one in judged if one.caption.is_hard]
    rows = [(language, by_language[language], "") for language in order]
    rows += [("hard homographs", hard, ""), ("**all**", judged, "")]
    out = ["| language | captions | concepts | precision | recall |", "|---|---|---|---|---|"]
    out += [_line(name, some, "") for name, some, _ in rows]
    out += ["", "| category | concepts | precision | recall |", "|---|---|---|---|"]
    sized = {family: score(judged, family) for family in families}
    for family in sorted(sized, key=lambda name: (-sized[name].got - sized[name].missed, name)):
        out.append(_line(family, judged, family))
    return "\n".join(out)


def _line(name: str, judged: list[Judged], category: str) -> str:
    of = score(judged, category)
    captions = "" if category else f" {len(judged)} |"
    return f"| {name} |{captions} {of.got + of.missed} | {of.precision:.3f} | {of.recall:.3f} |"


def failures(judged: list[Judged]) -> str:
    """What was wrong and what was missed, a caption a line; for the half to tune on."""
    lines = []
    for one in judged:
        if one.wrong or one.missed:
            wrong = ", ".join(sorted(":".join(pair) for pair in one.wrong))
            missed = ", ".join(sorted(":".join(pair) for pair in one.missed))
            lines.append(f"{one.caption.language} {one.caption.text}  +[{wrong}] -[{missed}]")
    return "\n".join(lines)


def make_texts(count: int, length: int, seed: int = 0) -> list[Text]:
    """Texts of so many characters at least, captions to tune on put together, in their languages' shares."""
    by_language: defaultdict[str, list[str]] = defaultdict(list)
    captions = read_captions("tune")
    for caption in captions:
        by_language[caption.language].append(caption.text)
    draw = random.Random(seed)
    texts = []
    for _ in range(count):
        language, parts = draw.choice(captions).language, list[str]()
        while sum(map(len, parts)) < length:
            parts.append(draw.choice(by_language[language]))
        texts.append(Text(". ".join(parts), language))
    return texts


_LENGTHS = {12: 50, 24: 120}
"""About so many words, by the characters that a text has at least."""
_MILLIONS = 10


def report(quick: bool) -> Report:
    """CPU time by the number of texts: whether it is within the budget, and whether it grows with them."""
    count, rounds = (50, 1) if quick else (25_000, 3)
    ask = "select count(*), sum(match_count) from text_concepts"
    with connect_lexicon() as connection:

        def find(texts: list[Text]) -> None:
            ask_of_texts(connection, texts, (*VIEWS, "text_concepts"), ask)

        for words, length in _LENGTHS.items():
            few, many = make_texts(count, length), make_texts(4 * count, length, 1)
            stages = {"few": lambda some=few: find(some), "many": lambda some=many: find(some)}
            costs = measure_in_turn(stages, rounds)
            least, most = (cpu(costs[name]) for name in stages)
            yield f"captions: concepts of texts of about {words} words, one thread"
            yield Row(f"{len(few):,} texts, CPU", least, "s")
            yield Row(f"{len(many):,} texts, CPU", most, "s")
            yield Row("four times the texts", most / least, "x", "CPU; some is done once", "<= 4.4")
            minutes = (most - least) / (len(many) - len(few)) * _MILLIONS * 1e6 / 60
            yield Row(f"{_MILLIONS} million more, CPU", minutes, "min", "", "<= 30")


def main() -> None:
    """Print the tables of a part, and of ``tune`` the failures with ``--failures``."""
    half = next((one for one in sys.argv[1:] if one in ("report", "others", "unread")), "tune")
    judged = judge(read_captions(half))
    print(tables(judged))
    if "--failures" in sys.argv[1:] and half == "tune":
        print("\n" + failures(judged))


if __name__ == "__main__":
    main()
