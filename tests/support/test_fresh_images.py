"""Fresh images: made with nothing that was used, the same for the same seed, and of what can be shown."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from pipeline.base.errors import ConfigError
from pipeline.base.support_settings import FRESH_FONTS, SupportChoice
from pipeline.stimuli.fonts import find_fonts
from pipeline.support.fresh import Used, choose_means, family, find_emoji, iter_fresh
from pipeline.train.packages import TRAINING_FONTS, TRAINING_SETS

NOTHING = Used(frozenset(), frozenset(), frozenset())
DEMO = Used(
    frozenset(("Caladea-Bold", "Manrope-Medium", "SourceSerifPro-Semibold", "FredokaOne-Regular")),
    frozenset(("openmoji", "openmoji-black")),
    frozenset(),
)
CONCEPTS = find_emoji([("guitar", "object"), ("Japan", "region"), ("otter", "animal")])


def make(concepts=CONCEPTS, used=DEMO, **changes):
    choice = SupportChoice(**{"images": 3, "size_px": 64} | changes)
    return list(iter_fresh(concepts, choose_means(choice, used), choice, used))


def test_fonts_and_sets_of_the_run_are_not_used_nor_any_of_their_families():
    means = choose_means(SupportChoice(), DEMO)
    assert {family(font.name) for font in means.fonts} == {"HankenGrotesk", "SourceSansPro"}
    assert [one.name for one in means.sets] == ["noto-emoji-glyphs"]
    assert {image.made_with for image in make()} <= {
        *(font.name for font in means.fonts), "noto-emoji-glyphs"
    }  # fmt: skip


def test_nano_was_taught_none_of_the_fonts_and_sets():
    def plain(name):
        return name.lower().replace("-", "").replace("_", "")

    fonts = {plain(family(font.name)) for font in find_fonts(FRESH_FONTS)}
    assert len(fonts) == 6
    assert not fonts & {*map(plain, TRAINING_FONTS), "notosans"}
    assert not set(SupportChoice().sets) & set(TRAINING_SETS)


def test_nothing_fresh_is_refused():
    with pytest.raises(ConfigError, match="--font FILE"):
        choose_means(SupportChoice(fonts=("font_caladea",), sets=("openmoji-black",)), DEMO)


@pytest.mark.slow
def test_what_is_shown_depends_on_what_can_be_shown():
    images = make()
    forms = {(image.concept, image.form) for image in images}
    assert forms == {
        ("guitar", "rendered word"), ("guitar", "line drawing"), ("otter", "rendered word"),
        ("otter", "line drawing"),  # no concept of nano's, an emoji of that name
        ("Japan", "rendered word"),  # lines do not tell a flag
    }  # fmt: skip
    assert len(images) == 3 * len(forms)
    with_colour = make(used=NOTHING)
    assert ("Japan", "colour drawing") in {(image.concept, image.form) for image in with_colour}
    assert not make(find_emoji([("日本", "region")]))


def test_images_differ_and_the_same_seed_gives_the_same():
    images = make()
    assert len({image.sha256 for image in images}) == len(images)
    assert [image.sha256 for image in make()] == [image.sha256 for image in images]
    assert not {i.sha256 for i in make(seed=1)} & {image.sha256 for image in images}
    alone = make(CONCEPTS[1:2])
    assert [i.sha256 for i in alone] == [i.sha256 for i in images if i.concept == "Japan"]
    with Image.open(io.BytesIO(images[0].data)) as image:
        assert image.size == (64, 64)


def test_a_file_that_the_dataset_has_is_no_fresh_image():
    images = make()
    used = Used(DEMO.fonts, DEMO.sets, frozenset((images[0].sha256, images[4].sha256)))
    left = [image.sha256 for image in make(used=used)]
    assert left == [i.sha256 for n, i in enumerate(images) if n not in (0, 4)]
