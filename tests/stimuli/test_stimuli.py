"""Pictures, words and forms: deterministic, labelled with what is drawn."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from stimuli_world import NOTO, noise_image, pixels

from pipeline.base.errors import ConfigError, SourceError
from pipeline.base.settings import IngestConfig
from pipeline.base.stimulus_settings import (
    ImageForm,
    Language,
    Patch,
    PictureOptions,
    Spot,
    WordOptions,
)
from pipeline.nano.concepts import load_concepts
from pipeline.sources.ingest import ingest_items
from pipeline.stimuli.drawings import load_folder, load_glyphs, load_openmoji
from pipeline.stimuli.forms import IMAGE_FORMS, iter_forms
from pipeline.stimuli.pictures import FORMS, iter_pictures
from pipeline.stimuli.scripts import script_of
from pipeline.stimuli.typographic import PLACEMENTS
from pipeline.stimuli.words import SPOTS, Word, iter_words, read_words
from pipeline.warehouse.connect import connect


def test_pictures_show_every_concept_in_every_set_and_form():
    items = list(iter_pictures(PictureOptions(("openmoji", "openmoji-black"), FORMS)))
    shown = {item.stimulus["concept"] for item in items}
    assert shown == {concept.concept for concept in load_concepts()}
    assert len({item.key for item in items}) == len(items)
    facets = {item.stimulus["facet"] for item in items}
    assert facets == {"colour drawing", "line drawing", "edge map", "silhouette"}
    flags = {i.stimulus["facet"] for i in items if i.stimulus["category"] == "region"}
    assert flags == {"colour drawing"}, "flags differ by colour alone"


@pytest.mark.slow
def test_pictures_are_the_same_every_time_and_lines_have_no_colour():
    options = PictureOptions(("openmoji", "openmoji-black"), FORMS, categories=("animal",))
    first, second = (list(iter_pictures(options))[::29] for _ in range(2))
    assert [i.image() for i in first] == [i.image() for i in second]
    for item in first:
        spread = np.ptp(pixels(item), axis=-1).max()
        assert (spread > 30) == (item.stimulus["facet"] == "colour drawing")
        assert 0 < (pixels(item).min(-1) < 128).mean() < 0.7, "something is drawn, on white"


def test_the_three_package_sets_draw_the_same_things_differently():
    sets = [load_openmoji(), load_openmoji("black"), load_glyphs()]
    drawn = [np.asarray(s.drawings["🐘"](64)) for s in sets]
    assert all(d.shape == (64, 64, 4) and d[..., 3].max() > 200 for d in drawn)
    assert len({d.tobytes() for d in drawn}) == 3


def test_a_folder_of_drawings_is_a_set(tmp_path):
    (tmp_path / "1f418.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9"/></svg>'
    )
    Image.new("RGBA", (20, 10), "red").save(tmp_path / "1f1ef-1f1f5.png")
    (tmp_path / "notes.txt").write_text("x")
    drawings = load_folder(tmp_path).drawings
    assert set(drawings) == {"🐘", "🇯🇵"}
    options = PictureOptions((str(tmp_path),))
    assert {i.stimulus["concept"] for i in iter_pictures(options)} == {"elephant", "Japan"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no drawing"):
        load_folder(tmp_path / "empty")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"forms": ("sketch",)}, "'sketch'"),
        ({"languages": ("tlh",)}, "'tlh'"),
        ({"categories": ("car",)}, "category 'car'"),
        ({"size_px": 4}, "size_px is 4"),
    ],
)
def test_pictures_that_cannot_be_had(options, said):
    with pytest.raises(ConfigError, match=said):
        next(iter_pictures(PictureOptions(**options)))


def test_choices_of_the_settings_are_what_can_be_drawn():
    assert set(get_args(Language)) == set(load_concepts()[0].words)
    assert set(get_args(Spot)) == {*SPOTS, "anywhere"}
    assert set(get_args(Patch)) == set(PLACEMENTS)
    assert set(get_args(ImageForm)) == set(IMAGE_FORMS)


@settings(max_examples=25)
@given(
    st.text("abcdefghijkl", min_size=1, max_size=12),
    st.integers(0, 5),
    st.sampled_from(["centre", "anywhere"]),
    st.sampled_from([0.0, 40.0]),
)
def test_words_are_deterministic_complete_and_inside_their_card(text, seed, placement, rotation):
    options = WordOptions(
        font_names=("NotoSans",), size_px=96, placement=placement,
        inks=("#aa0000", "#0000aa"), rotation_deg=rotation, seed=seed,
    )  # fmt: skip
    one, two = (next(iter_words([Word(text, "en")], options)) for _ in range(2))
    assert one.image() == two.image() and one.stimulus == two.stimulus
    image = pixels(one)
    red, _, blue = image.reshape(-1, 3)[image.reshape(-1, 3).sum(-1).argmin()]
    assert (red > blue) == (one.stimulus["ink"] == "#aa0000"), "the ink is the one it says"
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    assert (border > 200).all(), "nothing is cut off"
    assert one.stimulus["text"] == text == one.texts[0]["text"]


def test_a_words_image_does_not_depend_on_its_neighbours():
    words = [Word("dog", "en"), Word("cat", "en")]
    options = WordOptions(font_names=("NotoSans",), placement="anywhere")
    together = list(iter_words(words, options))[1]
    assert together.image() == next(iter_words(words[1:], options)).image()


def test_what_no_font_can_draw_is_a_reject_and_counts_add_up(tmp_path):
    words = [Word("dog", "en"), Word("犬", "ja"), Word("cat", "en")]
    config = IngestConfig(str(tmp_path), "w", max_reject_frac=0.5)
    done = ingest_items(config, "stimuli", iter_words(words, NOTO))
    assert (done.read_count, done.written_count, done.rejected_count) == (3, 2, 1)
    with connect(tmp_path) as con:
        assert con.sql("select reason from rejects").fetchall() == [("missing_glyph",)]
        assert "--font" in con.sql("select detail from rejects").fetchall()[0][0]
        rows = con.sql("select text, language, script, font from stimuli order by all").fetchall()
    assert rows == [("cat", "en", "Latn", "NotoSans"), ("dog", "en", "Latn", "NotoSans")]


def test_word_lists_are_lines_or_a_csv(tmp_path):
    path = tmp_path / "words"
    path.write_text("dog\n\ncat\n", encoding="utf-8")
    assert [w.text for w in read_words(str(path))] == ["dog", "cat"]
    path.write_text("word,language,concept\nchien,FR,dog\n", encoding="utf-8")
    assert read_words(str(path)) == [Word("chien", "fr", "dog")]
    path.write_text("\n")
    with pytest.raises(SourceError, match="has no word"):
        read_words(str(path))
    assert [script_of(t) for t in ("dog", "собака", "кот 7", "7")] == [
        "Latn",
        "Cyrl",
        "Cyrl",
        "Zyyy",
    ]


def test_forms_of_a_photo_keep_its_size_and_what_it_shows():
    base = noise_image(3)
    items = list(iter_forms([base], tuple(IMAGE_FORMS)))
    assert [item.stimulus["facet"] for item in items] == list(IMAGE_FORMS)
    for item in items:
        assert pixels(item).shape == (64, 96, 3)
        assert np.ptp(pixels(item), axis=-1).max() == 0
        assert item.stimulus["concept"] == "dog"


def test_a_silhouette_is_the_thing_and_a_line_drawing_its_border():
    card = Image.new("RGB", (60, 60), "#ffffff")
    card.paste("#c02020", (20, 20, 40, 40))
    shape = np.asarray(IMAGE_FORMS["silhouette"](card).convert("L"))
    assert (shape[20:40, 20:40] == 0).all() and (shape == 0).sum() == 400
    for form in ("line drawing", "edge map"):
        lines = np.asarray(IMAGE_FORMS[form](card).convert("L"))
        assert lines[30, 30] > 200 and lines[5, 5] > 200 and lines[18:23, 30].min() < 128
