"""top_words against NumPy: real words through a real model, and the mean over each word's renderings."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from pipeline.base.settings import ExtractConfig, IngestConfig
from pipeline.base.stimulus_settings import WordOptions
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest_items
from pipeline.stimuli.words import Word, iter_words
from pipeline.upkeep.build import build
from pipeline.warehouse.connect import connect

NAMES = ("dog", "cat", "house", "Hand", "sol", "luna", "Japan", "guitar")
WORDS = [Word(name, language, f"the {name}") for name, language in product(NAMES, ("en", "de"))]


@pytest.fixture(scope="module", params=["positive", "all"])
def words_warehouse(request, tmp_path_factory):
    place = str(tmp_path_factory.mktemp("words"))
    options = WordOptions(
        font_names=("NotoSans", "NotoSans-Italic"), fonts_per_word=2, size_px=64,
        placement="anywhere", inks=("#cc0000", "#0000cc", "#008800"), rotation_deg=20,
    )  # fmt: skip
    twins = [Word("dog", "fr"), Word("dog", "fr")]  # the same bytes twice: both are renderings
    items = iter_words([*WORDS, *twins], options)
    done = ingest_items(IngestConfig(place, "words", shard_size=10), "stimuli", items)
    assert done.duplicate_count >= 2
    extract(
        ExtractConfig(
            place, "words", "RN-demo:random", ("goh2021",), device="cpu", store=request.param,
            top_k=8,
        )
    )  # fmt: skip
    build(place)
    return place


@pytest.mark.slow
def test_every_rank_is_what_the_activations_give(words_warehouse):
    with connect(words_warehouse) as con:
        renderings = con.sql(
            "select example_id, text, language, concept from stimuli order by example_id"
        ).fetchall()
        activations = con.sql("select unit, example_id, activation from activations").fetchnumpy()
        sds = dict(con.sql("select unit, sd from neuron_stats").fetchall())
        got = con.sql("""
            select unit, word_rank, word, language, concept, rendering_count, activation,
                activation_sd
            from top_words order by unit, word_rank
        """).fetchall()
    row_of = {row[0]: i for i, row in enumerate(renderings)}
    matrix = np.zeros((max(sds) + 1, len(renderings)))  # what is not stored counts as 0
    rows = [row_of[e] for e in activations["example_id"].tolist()]
    matrix[activations["unit"], rows] = activations["activation"]
    names = sorted({row[1:3] for row in renderings})
    columns = {name: [i for i, row in enumerate(renderings) if row[1:3] == name] for name in names}
    assert {len(c) for c in columns.values()} == {2, 4}
    expected = {}
    for unit in sds:
        means = [(float(matrix[unit, columns[name]].mean()), name) for name in names]
        expected[unit] = sorted((-mean, *name) for mean, name in means if mean > 0)
    for unit, word_rank, word, language, concept, count, mean, mean_sd in got:
        wanted = expected[unit][word_rank - 1]
        assert (word, language) == wanted[1:]
        assert mean == pytest.approx(-wanted[0])
        assert mean_sd == pytest.approx(mean / sds[unit])
        assert count == len(columns[word, language])
        assert concept == (None if language == "fr" else f"the {word}")
    assert len(got) == sum(map(len, expected.values())) > 100


@pytest.mark.slow
def test_the_best_rank_is_that_of_the_first_image_that_shows_it(words_warehouse):
    with connect(words_warehouse) as con:
        top = con.sql("""
            select unit, text, example_rank from top_examples
            inner join stimuli using (dataset, example_id) where polarity = 'positive'
        """).fetchall()
        got = con.sql("select unit, word, language, best_rank from top_words").fetchall()
    best: dict[tuple[int, str], int] = {}
    for unit, text, rank in top:
        best[unit, text] = min(rank, best.get((unit, text), 99))
    ranks = {(unit, word): [] for unit, word, *_ in got}
    for unit, word, _, rank in got:
        ranks[unit, word].append(rank)
    assert any(rank == 1 for found in ranks.values() for rank in found)
    for key, found in ranks.items():
        known = [rank for rank in found if rank is not None]
        assert all(rank >= best[key] for rank in known), key
