"""The suspicion of a typographic attack: what it is made of, and how well it tells attacked images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from report_world import assert_self_contained

from bench.look import WITHOUT_A_WORD, auc, demo_cases, is_attack, judge_cases, make_cases
from pipeline.base.question_settings import LookOptions
from pipeline.base.storage import Store
from pipeline.clip.model import load_clip
from pipeline.look import words
from pipeline.look.answers import choose_classes
from pipeline.look.draw import draw_look
from pipeline.look.look import look_at
from pipeline.look.page import render_look
from pipeline.look.suspicion import (
    EVEN,
    Region,
    Suspicion,
    cut_out,
    judge,
    list_parts,
    paint_over,
)
from pipeline.look.writing import LEAST, discriminate, learn_writing
from pipeline.nano.planted import load_planted
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_run

REGION = Region(
    box=(0.0, 0.5, 1.0, 0.75),
    alone=Image.new("RGB", (32, 32), "white"),
    without=Image.new("RGB", (32, 32), "white"),
    answer="iPod",
    before=0.9,
    after=0.1,
    alone_frac=0.8,
    writing_frac=0.7,
    answer_without="apple",
)


def test_a_suspicion_needs_all_three() -> None:
    assert judge(REGION) == "suspected" and REGION.score == 0.7
    assert judge(replace(REGION, alone_frac=EVEN - 0.01)) == "none"
    assert judge(replace(REGION, writing_frac=EVEN - 0.01)) == "none"
    assert judge(replace(REGION, answer_without="iPod")) == "agreed"
    assert replace(REGION, after=0.8).score == pytest.approx(0.2)


def test_what_is_suspected_is_told_with_before_and_after() -> None:
    told = " ".join(words.describe_suspicion(Suspicion("suspected", REGION)))
    for part in ("may have decided", "Reads “iPod”", "taken for apple", "90% → 10%"):
        assert part in told
    told = " ".join(words.describe_suspicion(Suspicion("none", replace(REGION, alone_frac=0.2))))
    assert "No sign" in told and "iPod 20%" in told
    assert words.describe_suspicion(Suspicion("unknown", None, why="too few"))[1] == "too few"


def test_parts_lie_inside_and_cover_the_image() -> None:
    parts = list_parts()
    assert len(parts) == len(set(parts)) < 40
    seen = np.zeros((8, 8), int)
    for left, top, right, bottom in parts:
        assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
        seen[round(8 * top) : round(8 * bottom), round(8 * left) : round(8 * right)] += 1
    assert seen.min() >= 3


def test_letters_go_and_their_paper_stays() -> None:
    """Inside the part all is its commonest colour; outside nothing changes."""
    pixels = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    pixels[:, :, 8:12] = torch.tensor([0.9, 0.8, 0.7])[None, :, None, None]
    pixels[:, :, 9:11, 3:9] = 0.0  # ink, less than half of it
    painted = paint_over(pixels, REGION.box)
    assert torch.equal(painted[:, :, :8], pixels[:, :, :8])
    assert torch.equal(painted[:, :, 12:], pixels[:, :, 12:])
    inside = painted[0, :, 8:12].flatten(1)
    assert torch.equal(inside, torch.tensor([[0.9], [0.8], [0.7]]).expand(3, 64))
    image = Image.new("RGB", (64, 64), "#204060")
    image.putpixel((5, 40), (255, 255, 255))
    card = cut_out(image, REGION.box)
    assert card.size == (64, 64) and card.getpixel((0, 0)) == (0x20, 0x40, 0x60)
    assert card.getpixel((5, 24 + 8)) == (255, 255, 255)


def test_the_direction_of_writing_is_fishers() -> None:
    """Means at 0 and 1; of two clouds that share a covariance it is S^-1 (m1 - m0), which no other beats."""
    random = np.random.default_rng(0)
    mix = random.normal(size=(6, 6))
    zeros = random.normal(size=(4000, 6)) @ mix
    gap = random.normal(size=6)
    ones = random.normal(size=(4000, 6)) @ mix + gap
    direction, offset = discriminate(ones, zeros)
    assert (ones @ direction + offset).mean() == pytest.approx(1)
    assert (zeros @ direction + offset).mean() == pytest.approx(0, abs=1e-9)
    shrunk = mix.T @ mix
    shrunk += 0.1 * np.trace(shrunk) / 6 * np.eye(6)
    wanted = np.linalg.solve(shrunk, gap)
    cosine = direction @ wanted / np.linalg.norm(direction) / np.linalg.norm(wanted)
    assert cosine > 0.99
    assert not discriminate(zeros, zeros)[0].any()


def test_without_images_of_known_writing_it_is_not_known(tiny_warehouse) -> None:
    with connect(tiny_warehouse) as connection:
        writing, why = learn_writing(connection, find_run(connection))
    assert writing is None and f"{LEAST} of each" in why


@pytest.fixture(scope="module")
def demo(plain_demo) -> str:
    return str(plain_demo / "warehouse")


@pytest.mark.slow
def test_attacked_images_are_told_from_others(demo: str) -> None:
    """On drawings, words and fonts that no part and no limit was chosen on (docs/how-to/look.md has the figures
    of many more), and on some of the demo's own attacks."""
    clip = load_clip("nano")
    with connect(demo) as connection:
        run = find_run(connection, "demo")
        writing, _ = learn_writing(connection, run)
        assert writing is not None and not writing.is_guessed
        classes = choose_classes(connection, Store(demo), run, clip, (), ())
    assert len(classes.names) > 200
    found = judge_cases(clip, classes, writing, make_cases(classes.names, 10))
    found += judge_cases(clip, classes, writing, demo_cases(step=11))
    attacks = [one for one in found if is_attack(one)]
    others = [one for one in found if one.kind in WITHOUT_A_WORD]
    assert len(attacks) >= 20 and len(others) >= 30
    assert auc(found) > 0.95
    assert np.mean([one.level == "suspected" for one in attacks]) > 0.8
    assert np.mean([one.level == "suspected" for one in others]) < 0.1


@pytest.mark.slow
def test_an_attacked_image_of_the_demo_from_end_to_end(demo: str, tmp_path) -> None:
    """The neuron that was planted for the word says so, and without the word the gift is a gift again."""
    cases = [case for case in demo_cases() if case.word == "Japan" and "strip" in case.kind]
    path = tmp_path / "gift.png"
    path.write_bytes(cases[37].data)
    look = look_at(demo, str(path), LookOptions(dataset="demo"))
    suspicion = look.suspicion
    assert look.answers[0][0] == "Japan" and suspicion.level == "suspected"
    assert suspicion.region is not None and suspicion.region.answer_without == "wrapped gift"
    _, top, _, bottom = suspicion.region.box
    assert top <= 0.5 and bottom >= 0.63, "the strip is from 0.48 to 0.76"
    planted = {p.channel for p in load_planted() if p.concept == "Japan" and p.scope == "concept"}
    assert suspicion.readers[0].unit in planted
    assert suspicion.readers[0].word_auroc is not None and suspicion.readers[0].word_auroc > 0.95
    assert suspicion.readers[0].after < suspicion.readers[0].before
    (japan,) = (one for one in look.layers[0].neurons if one.unit in planted)
    assert japan.label == "Japan (region)" and " of " in japan.support
    page = render_look(look)
    assert_self_contained(page)
    assert "without it: wrapped gift" in page
    plain = draw_look(replace(look, suspicion=Suspicion("unknown", None, why="too few")))
    assert draw_look(look).size[1] >= plain.size[1]
