"""The map of a layer: neurons that see alike lie together, the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.web.kept_maps import KeptMaps
from pipeline.web.plane import lay_out

MAX = "visual.layer3.0:output:max"


def _directions(count: int, groups: int = 3) -> np.ndarray:
    """Unit vectors about a few far apart, in turn."""
    random = np.random.default_rng(count)
    found = np.eye(groups, 32)[np.arange(count) % groups] + random.normal(0, 0.03, (count, 32))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 6, 17])
def test_few_neurons_have_a_place_each(count):
    for directions in (_directions(count), np.tile(_directions(1), (count, 1))):
        places = lay_out(directions)
        assert places.shape == (count, 2) and np.isfinite(places).all()
        assert ((places >= 0) & (places <= 1)).all()


@pytest.mark.slow
def test_the_nearest_on_the_map_look_alike_and_the_map_is_the_same_again():
    directions = _directions(90)
    places = lay_out(directions)
    assert np.array_equal(places, lay_out(directions))
    assert np.ptp(places, axis=0).max() == pytest.approx(1)
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (distances.argmin(axis=1) % 3 == np.arange(90) % 3).all()


@pytest.mark.slow
def test_the_map_has_the_neurons_of_the_layer_and_their_labels(planted, run):
    page = planted.get(f"{run}/{MAX}/map?unit=3")
    assert page.status_code == 200 and 'data-unit="3"' in page.text
    points = planted.get(f"{run}/{MAX}/map?part=points").json()
    count = len(points["units"])
    assert count + points["unplaced"] == int(
        page.text.split(" neurons: those")[0].rsplit(">", 1)[1]
    )
    assert points["units"] == sorted(set(points["units"]))
    for column in ("x", "y", "concept", "category"):
        assert len(points[column]) == count
    assert all(0 <= value <= 10_000 for value in points["x"] + points["y"])
    concepts = {
        unit: points["concepts"][place]
        for unit, place in zip(points["units"], points["concept"], strict=True)
    }
    labelled = {unit for unit, concept in concepts.items() if concept is not None}
    assert labelled == {unit for unit in points["units"] if unit < 20}
    assert concepts.get(2, "Japan") == "Japan"
    unit = points["units"][0]
    assert planted.get(points["neuron"].replace("{unit}", str(unit))).status_code == 200
    strip = planted.get(points["strip"].replace("{unit}", str(unit)))
    assert strip.headers["content-type"] == "image/webp"
    listed = planted.get("/list", params={"list": f"{points['list']}{unit}"})
    assert "<b>1</b> neuron" in listed.text
    again = planted.get(f"{run}/{MAX}/map?part=points").json()
    assert again == points, "kept"
    assert planted.get(f"{run}/no.layer/map").status_code == 404
    assert f"{run}/{MAX}/map" in planted.get(f"{run}/{MAX}").text


def test_a_damaged_file_is_no_map(tmp_path):
    """What is kept is made again if it is cut short, or is of another number of neurons."""
    directions = _directions(4)
    maps = KeptMaps(tmp_path / "maps")
    places = maps.read(directions)
    assert np.array_equal(places, lay_out(directions))
    (file,) = (tmp_path / "maps").iterdir()
    whole = file.read_bytes()
    for damaged in (b"", whole[:40], whole[:-8]):
        file.write_bytes(damaged)
        assert np.array_equal(maps.read(directions), places)
        assert file.read_bytes() == whole
    assert len(maps.read(_directions(3))) == 3
