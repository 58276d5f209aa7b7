"""Words and crops of a map as images, and what they are to a model: its embedding, or what neurons answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.base.errors import ExampleError
from pipeline.base.stimulus_settings import WordOptions
from pipeline.evidence.kin import centre
from pipeline.stimuli.words import Word, iter_words
from pipeline.tables.schema import TABLES

FONT = "NotoSans"
"""All words are in one font: what is not the same of two of them is the word."""

Floats = np.ndarray[Any, np.dtype[np.float32]]


def draw_words(words: Sequence[str], size_px: int) -> dict[str, bytes]:
    """Words as PNG files, black on white in the middle of a card; without those that the font cannot write.

    Args:
        words: Each once.
        size_px: Width and height of the cards.
    """
    options = WordOptions(font_names=(FONT,), size_px=size_px)
    drawn = {}
    for word, item in zip(words, iter_words(map(Word, words), options), strict=True):
        try:
            drawn[word] = item.image if isinstance(item.image, bytes) else item.image()
        except ExampleError:  # letters that the font has not, or too many of them
            continue
    return drawn


def tabulate_answers(concepts: Sequence[str], activations: Floats) -> pa.Table:
    """Rows of ``region_answers``, unit after unit.

    Args:
        concepts: N of them.
        activations: ``[N, U]``.
    """
    count, units = activations.shape
    columns = [
        np.repeat(np.arange(units, dtype=np.int32), count),
        pa.array(list(concepts) * units, pa.string()),
        activations.T.reshape(-1).astype(np.float32),
    ]
    return pa.table(columns, schema=TABLES["region_answers"].arrow_schema())


def tabulate_crops(shown: Sequence[tuple[str, str]], activations: Floats) -> pa.Table:
    """Rows of ``map_answers``, unit after unit.

    Args:
        shown: Countries and crops, N of them.
        activations: ``[N, U]``.
    """
    table = tabulate_answers([name for name, _ in shown], activations)
    crops = pa.array([crop for _, crop in shown] * activations.shape[1], pa.string())
    arrays = [table["unit"], table["concept"], crops, table["activation"]]
    return pa.table(arrays, schema=TABLES["map_answers"].arrow_schema())


def tabulate_words(
    words: Sequence[str], categories: Mapping[str, str], embeddings: Floats
) -> pa.Table:
    """Rows of ``word_embeddings``.

    Args:
        words: N of them.
        categories: Of those that have some, with commas.
        embeddings: ``[N, D]``, L2 norm 1.
    """
    schema = TABLES["word_embeddings"].arrow_schema()
    columns = [
        list(words),
        [categories.get(word, "") for word in words],
        *(list(values.astype(np.float16)) for values in (embeddings, centre(embeddings))),
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema=schema)
