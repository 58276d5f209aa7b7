"""Words that were drawn as images: how close they are for the model, in spelling, and by family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from pipeline.evidence.kin import Bools, Floats, Ints

MOST_ASKED = 1_000
"""Words whose neighbours are looked at, drawn at random; all words may be their neighbours."""

WORDS = """
select word, category, embedding, centred_embedding from word_embeddings
where dataset = $dataset and run_id = $run_id
order by word
"""

SPELLING = """
with
asked as (select unnest($asked) as word, generate_subscripts($asked, 1) as place),
every as (select unnest($words) as word, generate_subscripts($words, 1) as place)
select
    levenshtein(lower(asked.word), lower(every.word))
    / greatest(length(asked.word), length(every.word)) as changed
from asked
cross join every
order by asked.place, every.place
"""


@dataclass(frozen=True)
class DrawnWords:
    """N words, and A of them that are asked about."""

    words: list[str]
    categories: list[str]
    embeddings: Floats
    """``[N, D]``, as the model gives them."""
    centred: Floats
    """``[N, D]``, less the mean."""
    asked: Ints
    """``[A]``: places of words that have a family."""
    changed: Floats
    """``[A, N]``: share of the letters that must change."""
    is_kin: Bools
    """``[A, N]``: both have a family in common."""
    may_be: Bools
    """``[A, N]``: another word, which has a family; the same in capitals is no other one."""

    @property
    def closeness(self) -> Floats:
        """Cosines ``[A, N]``, less the mean."""
        cosines: Floats = self.centred[self.asked] @ self.centred.T
        return cosines

    def cosines(self, word: str) -> Floats:
        """Of a word that is there with each, ``[N]``, less the mean."""
        cosines: Floats = self.centred @ self.centred[self.words.index(word)]
        return cosines


def read_words(
    connection: duckdb.DuckDBPyConnection, where: Mapping[str, object], seed: int = 0
) -> DrawnWords:
    """The words that were shown to a run's model, and those that are asked about, drawn by the seed.

    Args:
        connection: Of ``pipeline.connect``.
        where: The parameters of `WORDS`.
        seed: Of the draw.
    """
    found = connection.sql(WORDS, params=dict(where)).to_arrow_table()
    names, categories = (found[name].to_pylist() for name in ("word", "category"))
    families = sorted({family for one in categories for family in split_families(one)})
    has = np.array(
        [[family in split_families(one) for family in families] for one in categories]
    ).reshape(len(names), len(families))
    able = np.flatnonzero(has.any(axis=1))
    asked = np.random.default_rng(seed).permutation(able)[:MOST_ASKED]
    told = connection.execute(
        SPELLING, {"asked": [names[place] for place in asked], "words": names}
    ).fetchnumpy()
    changed = np.asarray(told["changed"], dtype=np.float32).reshape(len(asked), len(names))
    return DrawnWords(
        names,
        categories,
        _vectors(found["embedding"]),
        _vectors(found["centred_embedding"]),
        asked,
        changed,
        (has[asked].astype(np.float32) @ has.T.astype(np.float32)) > 0,
        (changed > 0) & has.any(axis=1),
    )


def _vectors(column: pa.ChunkedArray) -> Floats:
    """Float32 ``[N, D]`` of a column of lists of one length."""
    values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(column), -1) if len(column) else np.zeros((0, 0), np.float32)


def split_families(categories: str) -> list[str]:
    """The families of a word, of the column ``category``."""
    return [family for family in categories.split(", ") if family]
