"""Words over pictures and Stroop cards: controls differ where they say so and nowhere else."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from stimuli_world import FONT, noise_image, pixels

from pipeline.base.errors import ConfigError, ExampleError, SourceError
from pipeline.base.settings import IngestConfig, IngestStep
from pipeline.base.stimulus_settings import (
    PictureOptions,
)
from pipeline.sources.ingest import ingest, ingest_items
from pipeline.sources.layouts.published import read_published_name
from pipeline.stimuli.base_images import iter_images
from pipeline.stimuli.pictures import iter_pictures
from pipeline.stimuli.stroop import COLOURS, iter_stroop
from pipeline.stimuli.typographic import PLACEMENTS, Attack, cover, iter_typographic
from pipeline.upkeep.check import check, run_violations
from pipeline.warehouse.connect import connect


@settings(max_examples=20)
@given(
    st.integers(0, 99),
    st.sampled_from(sorted(PLACEMENTS)),
    st.integers(140, 240),
    st.integers(140, 240),
)
def test_attack_and_controls_differ_inside_the_patch_only(seed, placement, width, height):
    base = noise_image(seed, (width, height))
    items = {
        item.stimulus["control"]: item
        for item in iter_typographic([base], [Attack("iPod")], FONT)
        if item.stimulus.get("placement") in (None, placement)
    }
    assert set(items) == {"clean", "blank", "right_word", "attack"}
    clean, blank = pixels(items["clean"]), pixels(items["blank"])
    _, boxes, covered = cover(base.image(), placement, "#ffffff")
    inside = np.zeros(clean.shape[:2], bool)
    for left, top, right, bottom in boxes:
        inside[top:bottom, left:right] = True
    assert covered == inside.sum() / inside.size
    assert items["attack"].stimulus["covered_frac"] == round(covered, 6)
    assert (blank[inside] == 255).all()
    for item in items.values():
        assert (pixels(item)[~inside] == clean[~inside]).all()
        assert item.stimulus["base_key"] == base.key
        assert item.texts == base.texts, "never the attack's text"
    assert (pixels(items["attack"]) != blank).any()
    assert (pixels(items["attack"]) != pixels(items["right_word"])).any()


def test_the_eight_small_texts_cover_what_goh_et_al_covered():
    image = Image.new("RGB", (224, 224))
    assert 0.06 <= cover(image, "eight", "#ffffff")[2] <= 0.10


def test_an_image_is_not_attacked_with_its_own_name():
    items = iter_typographic([noise_image(1)], [Attack("dog"), Attack("woof", "dog")], FONT)
    assert {item.stimulus["control"] for item in items} == {"clean", "blank", "right_word"}


def test_attacks_that_cannot_be():
    for attacks, said in (([], "No text"), ([Attack("犬")], "cannot draw '犬'")):
        with pytest.raises(ConfigError, match=said):
            next(iter_typographic([noise_image(1)], attacks, FONT))


def test_stroop_cards_cross_every_ink_with_every_word():
    items = list(iter_stroop((FONT,), size_px=64))
    kinds = [item.stimulus["control"] for item in items]
    n = len(COLOURS)
    assert (kinds.count("congruent"), kinds.count("neutral")) == (n, n)
    assert kinds.count("incongruent") == n * (n - 1)
    for item in items[::5]:
        ink = [int(item.stimulus["ink"][i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(pixels(item) - ink).max(-1) < 8).any()
        assert COLOURS[item.stimulus["ink_name"]] == item.stimulus["ink"]


@pytest.mark.parametrize(
    ("stem", "label", "text"),
    [
        ("label=dog_text=cat", "dog", "cat"),
        ("label=red_wine_text=hot dog", "red wine", "hot dog"),
        ("0001_label=cup_text=pen_2", "cup", "pen"),
    ],
)
def test_names_of_published_sets_are_understood(stem, label, text):
    found = read_published_name(stem)
    assert found is not None
    assert (found["concept"], found["attack_text"], found["control"]) == (label, text, "attack")


def test_other_names_say_nothing():
    assert read_published_name("dog") is None
    assert read_published_name("label=_text=cat") is None


def test_a_published_set_is_ingested_as_attacks(tmp_path):
    (tmp_path / "set").mkdir()
    noise_image(1).image().save(tmp_path / "set/label=dog_text=cat.png")
    noise_image(2).image().save(tmp_path / "set/plain.png")
    ingest(IngestConfig(str(tmp_path / "w"), "p"), IngestStep("folder", (str(tmp_path / "set"),)))
    with connect(tmp_path / "w") as con:
        assert con.sql("select concept, attack_text, stimulus from stimuli").fetchall() == [
            ("dog", "cat", "typographic")
        ]
        assert con.sql("select text from texts").fetchall() == [("dog",)]


def test_images_come_from_folders_datasets_and_sets(tmp_path):
    (tmp_path / "photos/dog").mkdir(parents=True)
    noise_image(1).image().save(tmp_path / "photos/dog/a.png")
    (tmp_path / "photos/dog/b.png").write_bytes(b"no image")
    good, bad = iter_images(str(tmp_path / "photos"), "")
    assert good.concept == "dog" and good.image().size == (96, 64)
    with pytest.raises(ExampleError, match=r"not_an_image: .*known formats"):
        bad.image()
    place = str(tmp_path / "w")
    items = islice(iter_pictures(PictureOptions(categories=("animal",))), 3)
    ingest_items(IngestConfig(place, "pics"), "stimuli", items)
    found = list(iter_images("dataset:pics", place))
    drawn = list(islice(iter_images("openmoji", place), 3))
    assert len(found) == 3 and all(image.concept and image.category == "animal" for image in found)
    assert found[0].image().size == (160, 160) == drawn[0].image().size
    with pytest.raises(SourceError, match="no dataset 'nope'"):
        next(iter_images("dataset:nope", place))


def test_a_bad_image_under_attack_is_rejected_in_every_version(tmp_path):
    (tmp_path / "photos").mkdir()
    noise_image(1).image().save(tmp_path / "photos/a.png")
    (tmp_path / "photos/b.jpg").write_bytes(b"no image")
    place = str(tmp_path / "w")
    items = iter_typographic(iter_images(str(tmp_path / "photos"), place), [Attack("iPod")], FONT)
    done = ingest_items(IngestConfig(place, "a"), "stimuli", items)
    assert done.read_count == 14 and done.rejected_count == 7 == done.written_count
    assert run_violations(check(place)) == 0
