"""Planted neurons draw what they stand for: nano knows it again in their pictures, shown as fresh images."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from bench.planted_pictures import Studio, call, choose_neurons, learn
from pipeline.base.visualise_settings import VisualiseChoice

pytestmark = pytest.mark.slow

WORD = "rendered word"
NEURONS = choose_neurons(4)
UNITS = [one.channel for one in NEURONS]


@pytest.fixture(scope="module")
def studio(plain_demo, tmp_path_factory):
    place = tmp_path_factory.mktemp("planted") / "warehouse"
    shutil.copytree(plain_demo / "warehouse", place)
    return Studio(learn(str(place), 120, ["visual.layer4"]), VisualiseChoice(steps=192))


@pytest.fixture(scope="module")
def words(studio):
    """Words that four planted neurons draw."""
    return studio.look(studio.draw([studio.neuron(unit) for unit in UNITS], WORD))


def test_words_excite_their_neurons_more_than_images_do_and_are_read(studio, words):
    assert studio.above(words, UNITS) == 1
    assert studio.called(words, WORD) == 1
    assert np.sum([a == b.concept for a, b in zip(words.first, NEURONS, strict=True)]) >= 3


def test_a_probe_that_did_not_steer_calls_them_words_too(studio, words):
    judge = studio.known.judges[WORD, "visual.layer4"]
    assert judge.accuracy > 0.9
    assert call(judge, words) >= 0.75


def test_random_directions_draw_nothing_that_these_neurons_know(studio):
    directions = [studio.direction(number) for number in range(2)]
    seen = studio.look(studio.draw(directions, WORD))
    assert studio.above(seen, UNITS[:2]) == 0
    assert not {one.concept for one in NEURONS} & set(seen.first)


def test_a_shuffled_probe_steers_to_nothing(studio):
    subjects = [studio.neuron(unit) for unit in UNITS[:2]]
    seen = studio.look(studio.draw(subjects, WORD, is_shuffled=True))
    assert studio.called(seen, WORD) <= 0.5
