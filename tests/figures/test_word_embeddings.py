"""Words through the eye: drawn alike, less what they have in common, kept, beside chance and spelling."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.base.errors import SourceError
from pipeline.base.figure_settings import FigureConfig
from pipeline.clip.model import load_clip
from pipeline.evidence.kin import centre, count_kin, find_closest
from pipeline.figures.choose import PAPER_WORDS
from pipeline.figures.run import measure_figures
from pipeline.figures.words import draw_words
from pipeline.nano.concepts import load_concepts
from pipeline.paper import words
from pipeline.paper.drawn_words import read_words
from pipeline.paper.write import open_subject
from pipeline.warehouse.connect import connect


def test_what_all_have_in_common_is_taken_away():
    random = np.random.default_rng(0)
    embeddings = random.normal(size=(20, 8))
    centred = centre(embeddings)
    assert centre(embeddings + random.normal(size=8)) == pytest.approx(centred)
    assert np.linalg.norm(centred, axis=1) == pytest.approx(1)
    assert (centre(np.ones((3, 4))) == 0).all()


def test_chance_is_what_one_drawn_at_random_gives():
    random = np.random.default_rng(1)
    is_kin, may_be = random.random((400, 30)) < 0.3, random.random((400, 30)) < 0.5
    may_be[0] = False
    kin = count_kin(random.random((400, 30)), is_kin, may_be)
    assert kin.asked_count == 399
    assert kin.hit_count / kin.asked_count == pytest.approx(kin.chance_frac, abs=0.08)
    own = count_kin(is_kin + 0.0, is_kin, may_be)
    assert own.hit_count == (is_kin & may_be).any(axis=1).sum()
    closeness = np.array([[0.5, 0.9, 0.9], [0.1, 0.2, 0.3]])
    allowed = np.array([[True, True, True], [False, False, False]])
    assert find_closest(closeness, allowed).tolist() == [1, -1], "of equal ones the first"
    assert count_kin(closeness[1:], is_kin[:1, :3], allowed[1:]).asked_count == 0


def test_what_the_font_cannot_write_is_left_out():
    drawn = draw_words(["cat", "犬", "Zürich"], 64)
    assert list(drawn) == ["cat", "Zürich"]
    assert drawn["cat"] == draw_words(["cat"], 64)["cat"]
    assert Image.open(io.BytesIO(drawn["cat"])).size == (64, 64)


@pytest.fixture(scope="module")
def shown(tiny_warehouse, tmp_path_factory):
    """A warehouse whose model was shown some words, and what was asked."""
    place = tmp_path_factory.mktemp("words") / "warehouse"
    shutil.copytree(tiny_warehouse, place)
    listed = place.parent / "list.txt"
    listed.write_text("guitar\nGuitar\nowl\nsadness\nJapan\nFrance\nnothing at all\n犬\n")
    with connect(place) as con:
        ((dataset, run),) = con.execute("select dataset, run_id from runs").fetchall()
    where = {"warehouse": str(place), "dataset": dataset, "run": run, "device": "cpu"}
    config = FigureConfig(**where, figures=("words",), list=str(listed))
    (done,) = measure_figures(config)
    return config, done


def test_words_of_a_list_are_shown_once_and_kept(shown):
    config, done = shown
    names = ["guitar", "Guitar", "owl", "sadness", "Japan", "nothing at all", *PAPER_WORDS]
    assert done.row_count == len(names)
    assert "13 words drawn as images; 1 more cannot be written" in str(done)
    (again,) = measure_figures(config)
    assert "there already" in str(again)
    with connect(config.warehouse) as con:
        rows = con.sql("from word_embeddings").to_arrow_table().to_pylist()
        ((model,),) = con.execute("select model_id from runs").fetchall()
    found = {row["word"]: row for row in rows}
    assert sorted(found) == sorted(names)
    assert found["Japan"]["category"] == "region"
    assert found["nothing at all"]["category"] == ""
    clip = load_clip(model)
    size = max(160, *clip.setup.image.size_px)
    images = [Image.open(io.BytesIO(data)) for data in draw_words(names, size).values()]
    with torch.inference_mode():
        pixels = torch.stack([clip.preprocess(image) for image in images])
        own = clip.model.encode_image(pixels, normalize=True).numpy()
    for column, expected in (("embedding", own), ("centred_embedding", centre(own))):
        kept = np.array([found[name][column] for name in names])
        assert kept == pytest.approx(expected, abs=2e-3), column


def test_the_page_tells_the_papers_pairs_and_its_controls(shown):
    config, _ = shown
    cosine = """
    select list_inner_product(one.centred_embedding, other.centred_embedding)
    from word_embeddings as one, word_embeddings as other
    where one.word = 'Terrorist' and other.word = 'Muslims'
    """
    with open_subject(config.warehouse, config.dataset, config.run) as subject:
        section = words.make_section(subject)
        ((value,),) = subject.ask.connection.execute(cosine).fetchall()
        drawn = read_words(subject.ask.connection, subject.ask.where)
    assert section.missing is None
    rows = {row.what: row for row in section.rows}
    pair = rows["cosine of “Terrorist” with “Muslims”, less the mean"]
    assert (pair.published, pair.ours) == ("0.52", words.tell_cosine(value))
    assert "words at random" in pair.control
    family = section.rows[0]
    assert "nearest in spelling" in family.control
    named = {drawn.words[place] for place in drawn.asked}
    assert {"guitar", "owl", "sadness", "Japan", "France"} <= named
    assert "nothing at all" not in named
    guitar = [drawn.words[place] for place in drawn.asked].index("guitar")
    assert not drawn.may_be[guitar, drawn.words.index("Guitar")], "the same word in capitals"


def test_a_list_that_is_not_there_says_so(shown):
    config, _ = shown
    where = {"warehouse": config.warehouse, "dataset": config.dataset, "run": config.run}
    with pytest.raises(SourceError, match=r"nowhere.txt"):
        measure_figures(FigureConfig(**where, figures=("words",), list="nowhere.txt"))


def test_nano_puts_a_word_beside_its_translation_whatever_it_looks_like():
    """It was taught that these mean the same, and of families nothing: what was learned is what is found."""
    clip = load_clip("nano")
    pairs = {one.words["en"]: one.words["de"] for one in load_concepts()}
    pairs = {en: de for en, de in pairs.items() if en[0].lower() != de[0].lower()}
    drawn = draw_words([*pairs, *pairs.values()], 160)
    pixels = [clip.preprocess(Image.open(io.BytesIO(data))) for data in drawn.values()]
    with torch.inference_mode():
        embeddings = clip.model.encode_image(torch.stack(pixels), normalize=True).numpy()
    vectors, count = centre(embeddings), len(pairs)
    assert len(vectors) == 2 * count > 80
    cosines = vectors[:count] @ vectors[count:].T
    kin = count_kin(cosines, np.eye(count, dtype=bool), np.ones((count, count), dtype=bool))
    assert kin.hit_count / kin.asked_count > 0.3 > 20 * kin.chance_frac
