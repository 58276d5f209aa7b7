"""The lexicon: which phrases, in which languages, name which concepts.

It ships as ``lexicon.parquet``, which ``python -m pipeline.concepts.make`` writes from public lists of
names (Unicode CLDR and others, in THIRD_PARTY.md) and from our own words in ``terms.txt``. One row is
one (concept, category, language, phrase) and the source that says so; a phrase may name several
concepts. The categories are the families of Goh et al. 2021 (doi:10.23915/distill.00030) and, for what
these leave out, animal, food, nature, body, object, place, activity and symbol. People are not here: a
view finds them by the pages that say when someone was born or died.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

LEXICON = Path(__file__).with_name("lexicon.parquet")
"""The file that ships."""

COLUMNS = ("concept", "category", "language", "phrase")

SOURCES = ("cldr", "holidays", "ours", "wordnet")
"""Who says that a phrase names a concept: Unicode CLDR, the package ``holidays``, we, or WordNet alone."""

CATEGORIES = (
    *("region", "person", "emotion", "religion", "person_trait", "art_style", "image_feature"),
    *("holiday", "fictional_universe", "brand", "typographic", "abstract_concept", "counting"),
    *("time", "color", "animal", "food", "nature", "object", "place", "activity", "symbol"),
    "body",
)
"""Every category; ``person`` is filled by the views."""


@cache
def load_lexicon() -> pa.Table:
    """The packaged lexicon, sorted: concept, category, language and phrase, all strings."""
    import pyarrow.parquet

    return pyarrow.parquet.read_table(LEXICON, columns=list(COLUMNS))
