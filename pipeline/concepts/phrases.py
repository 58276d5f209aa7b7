"""All that texts are matched with, in one table: the lexicon, everyday words, forms of both, and rules.

A row without a rule is a phrase of a concept. A row with one is none: `RULES`. The rules are data:
``rules.csv`` and ``senses.csv`` by hand, ``given_names.txt`` and ``compounds.txt`` from lists; the view
``text_matches`` says which rule refused what.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from pipeline.concepts.everyday import EVERYDAY
from pipeline.concepts.forms import FORMS, load_terms
from pipeline.concepts.lexicon import LEXICON
from pipeline.concepts.rules import RULES_FILE, SENSES_FILE, read_rules, read_senses

if TYPE_CHECKING:
    import pyarrow as pa

RULES = {
    "no concept": "a longer phrase that names no concept: what lies inside it names none either",
    "takes next": "words before a name that make a place or a thing of it: 'rue de Rome', 'Mount Cameroon'",
    "takes previous": "words after a name that do so: 'Congo River', 'Jersey City'",
    "given name": "a given name: 'Chad Smith', 'Michael Jordan'",
    "joint": "a character of a script without spaces that is a word beside others; in English, a word after "
    "which a colour with a capital is no surname: 'Shoes in Dark Red'",
    "with": "a phrase that means its concept only where one of ``forms`` begins a word near it",
    "without": "a phrase that means its concept except where one of ``forms`` does: 'bat' beside 'baseball'",
}
"""Rules that a row of the lexicon can be, and what its phrase then is."""

EVERY_LANGUAGE = "mul"
"""The language of a rule that holds in all."""

COMPOUNDS = "compounds.txt"
"""English phrases that name no concept, from WordNet; ``python -m pipeline.concepts.make`` writes it."""

COLUMNS = ("concept", "category", "language", "phrase", "forms", "rule")


@cache
def load_phrases() -> pa.Table:
    """The table ``lexicon``: concept, category, language, phrase, forms joined by ``|``, rule; all strings.

    Concept and category are null in a rule that is of no phrase's meaning; forms where there are none; rule in
    a phrase.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    def key(table: pa.Table) -> pa.ChunkedArray:
        return pc.binary_join_element_wise(table["language"], table["phrase"], "\0")

    terms, forms = load_terms(), pq.read_table(FORMS)
    places = pc.index_in(key(terms), value_set=key(forms))
    terms = terms.append_column("forms", forms["forms"].take(places))
    rules = [(row["language"], row["phrase"], row["rule"]) for row in read_rules()]
    rules += [("en", phrase, "no concept") for phrase in _text(COMPOUNDS).splitlines()]
    names = _text("given_names.txt").split()
    rules += [(EVERY_LANGUAGE, name, "given name") for name in names]
    listed = (pa.array(column, pa.string()) for column in zip(*rules, strict=True))
    ruled = pa.table([*listed], names=["language", "phrase", "rule"])
    senses = pa.Table.from_pylist(read_senses())
    every = pa.concat_tables([terms, ruled, senses], promote_options="default")
    return every.select(COLUMNS).combine_chunks()


@cache
def phrases_digest() -> str:
    """Changes with any of the files that `load_phrases` reads."""
    digest = hashlib.sha256()
    lists = (RULES_FILE, SENSES_FILE, COMPOUNDS, "given_names.txt")
    for name in (LEXICON.name, EVERYDAY, FORMS.name, *lists):
        digest.update((resources.files(__package__) / name).read_bytes())
    return digest.hexdigest()[:12]


def _text(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
