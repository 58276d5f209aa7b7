"""What WordNet says in English: which animals, trees and flowers a concept has, and which longer phrases name
something else than the words in them do.

WordNet 3.0 (Miller 1995, doi:10.1145/219717.219748) orders nouns by what each is a kind of. A concept of the
lexicon is the first sense of its phrases in its family's file. From that follow

- **kinds**: "dachshund" and "labrador retriever" name a dog, "blue jay" a bird and nothing blue: words with
  no sense but under the same concept, not used as verbs or adjectives, and phrases of several words;
- **compounds**: phrases of several words that hold a concept's phrase and are not of its kind, such as "black
  hole" or "Yellow Sea". A name of a concept's kind names that ("Yellow Sea" a sea); the rest name none.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pipeline.concepts.forms import inflect
from pipeline.concepts.make.packages import Archive
from pipeline.concepts.make.terms import Term, words

_FOLDER = "usr/share/wordnet/"

_FILES = {
    "animal": {5},
    "body": {8},
    "color": {7},
    "food": {13},
    "nature": {3, 17, 19, 20},
    "object": {6},
    "person_trait": {18},
    "place": {6, 15, 17},
}
"""Lexicographer files (lexnames(5WN)) in which the concepts of a family are looked up."""

_WITH_KINDS = frozenset({"tree", "flower"})
"""Concepts besides animals whose kinds are taken."""

_HEADS = words("animal body color person_trait")
"""Families of which a common noun's last word is one that the noun is not."""
_MODIFIERS = words("animal color region")
"""Families of which its first word is one, and its last names nothing."""
_NAMES = words("animal body color counting food nature object place region")
"""Families whose phrases a longer name takes; others, such as a king's, mean what they say in it."""
_IN_KIND = {4, 5, 6, 8, 10, 12, 13, 17, 20, 26}
"""Files of common nouns that are taken: of acts, animals, things, bodies, talk, feelings, food, nature."""
_SEEN = {5, 6, 8, 13, 17, 20}
"""Of these, those of what can be seen."""

_APART = re.compile(
    r"^(a|an|the|in|on|at|by|of|off|out|up|down|over|under|to|for|from|and|with|all|no|one|two) |"
    r"^(republic|kingdom|people s|commonwealth|union|state|states|capital|city|principality|grand duchy|"
    r"federal|islamic|democratic|socialist|empire|province|sultanate|north|south|east|west|northern|southern|"
    r"eastern|western|central|lower|upper)\b|\b(republic|states?|empire|flag|province|islands?|isles|"
    r"language|people|man|woman|family|genus|unit|krona|dollar|pound|franc|peso|rupee|dinar|capital|country)$|"
    r"^homo |^genus |^white house$|\d"
)
"""What begins as any words of a sentence; and names of countries and of what is theirs: there the words mean
what they say."""


class Sense(NamedTuple):
    """A set of synonyms."""

    file: int
    lemmas: tuple[str, ...]
    above: tuple[str, ...]
    """What it is a kind or an instance of."""
    is_name: bool
    """Whether it is an instance."""


Concept = tuple[str, str]
"""Name and family."""


class WordNet:
    """The nouns of the package ``wordnet-base``, and the concepts of English phrases among them.

    Args:
        archive: The package.
        phrases: Concepts by English phrase, as `key_of` gives it.
    """

    def __init__(self, archive: Archive, phrases: Mapping[str, set[Concept]]) -> None:
        self._phrases = phrases
        self._senses = dict(_read_senses(archive))
        self._nouns = dict(_read_index(archive, "noun"))
        self._others = {
            lemma for part in ("verb", "adj", "adv") for lemma, _ in _read_index(archive, part)
        }
        self._concepts = self._find_concepts()

    def iter_terms(self) -> Iterator[Term]:
        """Kinds, and compounds that name a concept."""
        for key, senses in self._by_key():
            for concept, category in self._kind_of(key, senses) or self._place_of(key, senses):
                yield Term(concept, category, "en", key, "wordnet")

    def compounds(self) -> list[str]:
        """Phrases that name no concept, with their plurals, lower-case and sorted."""
        found = {
            key
            for key, senses in self._by_key()
            if not self._kind_of(key, senses)
            and not self._place_of(key, senses)
            and self._is_compound(key, senses)
        }
        nouns = {key for key, senses in self._by_key() if not self._is_name(senses)}
        plurals = {form for key in found & nouns for form in inflect("en", key)}
        return sorted(found | (plurals - self._phrases.keys()))

    def _by_key(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for lemma, senses in self._nouns.items():
            key = key_of(lemma)
            if key not in self._phrases and len(key) > 3 and not _APART.search(key):
                yield key, senses

    def _kind_of(self, key: str, senses: tuple[str, ...]) -> set[Concept]:
        """The concept that all senses are a kind of, if it is an animal or has kinds."""
        if " " not in key and (len(senses) > 1 or key in self._others):
            return set()
        tokens = key.split()
        if (
            len(tokens) == 2
            and self._families(tokens[0]) & {"color"}
            and tokens[1] in self._phrases
        ):
            return set()  # a brown bear is a bear, and brown
        nearest = {self._nearest(sense) for sense in senses}
        if len(nearest) > 1 or None in nearest:
            return set()
        return {c for c in nearest if c and (c[1] == "animal" or c[0] in _WITH_KINDS)}

    def _place_of(self, key: str, senses: tuple[str, ...]) -> set[Concept]:
        """Of a name, the concept in it that it is an instance of: "Yellow Sea" a sea."""
        if not self._is_name(senses) or not self._inside(key):
            return set()
        above = {self._concepts.get(one) for sense in senses for one in self._closure(sense)}
        inside = {c for part in self._inside(key) for c in self._phrases[part]}
        return {c for c in inside & above if c[1] == "place"}

    def _is_compound(self, key: str, senses: tuple[str, ...]) -> bool:
        """Whether the words in it do not say what it is."""
        inside = self._inside(key)
        if not inside or self._names_region(senses):
            return False
        families = {family for part in inside for family in self._families(part)}
        if self._is_name(senses):
            return families <= _NAMES
        above = {one for sense in senses for one in self._closure(sense)}
        if any(above & self._senses_of(part) for part in inside):
            return False
        if not {self._senses[sense].file for sense in senses} <= _IN_KIND:
            return False
        heads = [part for part in inside if key.endswith(f" {part}")]
        first = [part for part in inside if key.startswith(f"{part} ")]
        colored = any("color" in self._families(part) for part in first)
        if colored and (heads or any(self._senses[sense].file in _SEEN for sense in senses)):
            return False  # a black cat is black, be it one or not, and a blue sky blue
        wanted = _HEADS if heads else _MODIFIERS
        return any(self._families(part) & wanted for part in heads or first)

    def _inside(self, key: str) -> list[str]:
        """The longest phrases in a longer one."""
        tokens = key.split()
        spans = [
            (start, end)
            for start in range(len(tokens))
            for end in range(start + 1, len(tokens) + 1)
            if end - start < len(tokens) and " ".join(tokens[start:end]) in self._phrases
        ]
        return [
            " ".join(tokens[start:end])
            for start, end in spans
            if not any(a <= start and end <= b and (a, b) != (start, end) for a, b in spans)
        ]

    def _families(self, phrase: str) -> set[str]:
        return {family for _, family in self._phrases.get(phrase, ())}

    def _names_region(self, senses: Iterable[str]) -> bool:
        lemmas = (key_of(lemma) for sense in senses for lemma in self._senses[sense].lemmas)
        return any("region" in self._families(lemma) for lemma in lemmas)

    def _is_name(self, senses: Iterable[str]) -> bool:
        return all(self._senses[sense].is_name for sense in senses)

    def _senses_of(self, phrase: str) -> set[str]:
        """All that a phrase's concepts can be."""
        files = {file for family in self._families(phrase) for file in _FILES.get(family, ())}
        senses = self._nouns.get(phrase.replace(" ", "_"), ())
        return {sense for sense in senses if self._senses[sense].file in files}

    def _nearest(self, sense: str) -> Concept | None:
        return next(filter(None, map(self._concepts.get, self._closure(sense))), None)

    def _closure(self, sense: str) -> list[str]:
        """A sense and all above it, nearest first."""
        found, todo = dict[str, None](), [sense]
        while todo:
            found.update(dict.fromkeys(todo))
            above = [one for each in todo for one in self._senses[each].above]
            todo = [one for one in dict.fromkeys(above) if one not in found]
        return list(found)

    def _find_concepts(self) -> dict[str, Concept]:
        """Concepts by their sense; where two share one, the one that is called as it."""
        found: dict[str, Concept] = {}
        for phrase, concepts in sorted(self._phrases.items()):
            for concept in sorted(concepts):
                files = _FILES.get(concept[1], set())
                senses = self._nouns.get(phrase.replace(" ", "_"), ())
                sense = next((one for one in senses if self._senses[one].file in files), None)
                if sense and (phrase == concept[0] or sense not in found):
                    found[sense] = concept
        return found


def read_wordnet(archive: Archive, terms: Iterable[tuple[str, str, str, str]]) -> WordNet:
    """WordNet beside the English ones of these concepts, families, languages and phrases."""
    phrases = defaultdict(set)
    for concept, category, language, phrase in terms:
        if language == "en":
            phrases[key_of(phrase)].add((concept, category))
    return WordNet(archive, dict(phrases))


def key_of(phrase: str) -> str:
    """Its tokens in lower case, one space between them."""
    return " ".join(re.findall(r"[^\W_]+", phrase.lower()))


def _read_senses(archive: Archive) -> Iterator[tuple[str, Sense]]:
    """As wndb(5WN) has them."""
    for line in _lines(archive, "data.noun"):
        fields = line.split(" | ")[0].split()
        count = int(fields[3], 16)
        lemmas = tuple(fields[4 : 4 + 2 * count : 2])
        rest = fields[5 + 2 * count :]
        pointers = zip(rest[0::4], rest[1::4], strict=False)
        above = {offset: sign for sign, offset in pointers if sign in ("@", "@i")}
        yield fields[0], Sense(int(fields[1]), lemmas, tuple(above), "@i" in above.values())


def _read_index(archive: Archive, part: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in _lines(archive, f"index.{part}"):
        fields = line.split()
        yield fields[0], tuple(fields[-int(fields[2]) :])


def _lines(archive: Archive, name: str) -> Iterator[str]:
    text = archive.read(_FOLDER + name).decode("utf-8")
    return (line for line in text.splitlines() if not line.startswith("  "))
