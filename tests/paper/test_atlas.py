"""The emotion atlas and sparse probes: known parts and known neurons are found, chance is chance."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evidence.atlas import factorise, locate, name_part
from pipeline.evidence.sparse_probes import probe_classes
from pipeline.paper import emotions, sparse_probes
from pipeline.paper.draw_atlas import draw_grid, draw_plane
from pipeline.paper.write import open_subject


@pytest.fixture(scope="module")
def parted():
    """Two groups of neurons that answer together; each image has one of them."""
    random = np.random.default_rng(0)
    weights = np.where(random.random((300, 1)) < 0.5, [[1.0, 0.0]], [[0.0, 2.0]])
    parts = np.array([[1.0, 2.0, 0, 0, 0], [0, 0, 1.0, 1.0, 3.0]])
    return weights, weights @ parts + 0.01 * random.random((300, 5))


def test_parts_that_were_put_in_are_found(parted):
    weights, answers = parted
    atlas = factorise(answers, 2)
    assert atlas.explained_frac > 0.99
    assert atlas.permuted_frac < 0.95
    assert np.linalg.norm(atlas.parts, axis=1) == pytest.approx(1)
    heavy, light = (name_part(part, ["a", "b", "c", "d", "e"]) for part in atlas.parts)
    assert (heavy, light) == ("e, c, d", "b, a") or (heavy, light) == ("e, d, c", "b, a")
    places = locate(atlas, {"one": weights[:, 0] > 0, "two": weights[:, 1] > 0})
    assert places["two"][0] > 5 > 0.3 > places["two"][1]
    assert places["one"][1] > 2 > 0.3 > places["one"][0]


def test_what_is_below_zero_counts_as_zero(parted):
    _, answers = parted
    below = answers - 10 * (answers < 0.5)
    kept = factorise(np.maximum(below, 0), 2)
    assert factorise(below, 2).weights == pytest.approx(kept.weights)


def test_an_atlas_is_drawn_with_every_name_once():
    places = {f"emotion {n}": np.array([1.0, 1.0 + n % 2, 0.5]) for n in range(9)} | {
        "<b>": np.zeros(3)
    }
    grid, width = draw_grid(places)
    plane = draw_plane({name: at[:2] for name, at in places.items()}, ["x", "y"])
    assert width > 200
    for name in places:
        shown = name.replace("<", "&lt;").replace(">", "&gt;")
        assert grid.count(f">{shown}<") == plane.count(f">{shown}<") == 1
    heights = [float(line.split('"')[0]) for line in plane.split(' y="')[1:]]
    assert len(set(heights)) > 8, "names do not lie on each other"


@pytest.fixture(scope="module")
def classed():
    """Eight classes, each told by two neurons of its own together; twenty neurons are noise."""
    random = np.random.default_rng(1)
    classes = np.arange(640) % 8
    values = random.normal(size=(640, 36))
    for number in range(8):
        values[classes == number, 2 * number : 2 * number + 2] += 2.0
    return values, classes


def test_a_class_is_read_from_its_own_neurons(classed):
    values, classes = classed
    half = np.arange(640) < 320
    found = probe_classes(values[half], classes[half], values[~half], classes[~half], 3)
    one, few, every, few_shuffled, every_shuffled = found.probed
    for number, (units, weights) in enumerate(zip(found.units, found.weights, strict=True)):
        assert {2 * number, 2 * number + 1} <= set(units.tolist())
        assert min(weights[:2]) > 0
    assert 320 >= every.top1_count >= few.top1_count - 10 > one.top1_count > 100
    for chance in (few_shuffled, every_shuffled):
        assert chance.top1_count < 0.25 * 320
        assert chance.top5_count == pytest.approx(5 / 8 * 320, abs=50)


def test_equal_and_dead_neurons_do_no_harm(classed):
    values, classes = classed
    values = np.concatenate([values, values[:, :2], np.zeros((640, 1))], axis=1)
    half = np.arange(640) < 320
    found = probe_classes(values[half], classes[half], values[~half], classes[~half], 3)
    assert found.probed[1].top1_count > 200
    assert 38 not in found.units


def test_a_run_of_few_classes_says_what_is_missing(tiny_warehouse):
    with open_subject(str(tiny_warehouse), None, None) as subject:
        for make in (emotions.make_section, sparse_probes.make_section):
            section = make(subject)
            assert section.missing is not None
            assert any(letter.isdigit() for letter in section.missing.why)
