"""All sources put together, and the file that ships."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.checksums import hash_bytes
from pipeline.concepts.everyday import EVERYDAY, iter_everyday, read_everyday
from pipeline.concepts.lexicon import COLUMNS, SOURCES
from pipeline.concepts.make.calendar import iter_calendar
from pipeline.concepts.make.cldr import Cldr
from pipeline.concepts.make.holidays import iter_holidays
from pipeline.concepts.make.keep import is_worth_keeping
from pipeline.concepts.make.numbers import iter_numbers
from pipeline.concepts.make.own import (
    iter_misnomers,
    iter_own_terms,
    read_misnomers,
    read_own_words,
)
from pipeline.concepts.make.packages import PACKAGES, Archive
from pipeline.concepts.make.regions import iter_cities, iter_territories
from pipeline.concepts.make.shared_words import iter_shared_words
from pipeline.concepts.make.terms import Term
from pipeline.concepts.make.things import iter_things
from pipeline.concepts.make.wordnet import read_wordnet


def build_lexicon(archives: Mapping[str, Archive]) -> tuple[list[Term], list[str]]:
    """The lexicon from its sources, sorted, each (concept, category, language, phrase) once; and the
    English phrases that name no concept.

    A row that several sources have is the first one's, in the order of ``SOURCES``: ours is what
    nobody else says.
    """
    cldr = Cldr(archives)
    parts = (
        *(iter_territories(cldr), iter_cities(cldr), iter_calendar(cldr), iter_numbers(cldr)),
        *(iter_things(cldr), iter_shared_words(cldr), iter_holidays(archives["holidays"])),
    )
    public = filter(is_worth_keeping, chain.from_iterable(parts))
    rows: dict[tuple[str, str, str, str], str] = {}
    for concept, category, language, phrase, source in (*public, *iter_own_terms()):
        row = (concept, category, language, phrase)
        rows[row] = min(rows.get(row, source), source, key=SOURCES.index)
    wordnet = read_wordnet(archives["wordnet"], {*rows, *iter_everyday()})
    found = {Term(*row, source) for row, source in rows.items()}
    struck = set(iter_misnomers())
    terms = (term for term in found.union(wordnet.iter_terms()) if term[:4] not in struck)
    return sorted(terms), wordnet.compounds()


def write_lexicon(terms: list[Term], path: Path) -> None:
    """Write the lexicon as Parquet: the same bytes for the same terms and the same pyarrow."""
    columns = dict(zip((*COLUMNS, "source"), map(list, zip(*terms, strict=True)), strict=True))
    schema = pa.schema([(name, pa.string()) for name in columns])
    table = pa.table(columns, schema.with_metadata({"made_from": json.dumps(made_from())}))
    pq.write_table(table, path, compression="zstd", compression_level=19)


def made_from() -> dict[str, str]:
    """What the lexicon is made from, as its file tells: packages with version, our lists by their hash."""
    packages = {f"{p.registry} {p.name} {p.version}": p.sha512 for p in PACKAGES.values()}
    ours = {
        "terms.txt": read_own_words(),
        "misnomers.csv": read_misnomers(),
        EVERYDAY: read_everyday(),
    }
    return {**packages, **{name: hash_bytes(text.encode()) for name, text in ours.items()}}
