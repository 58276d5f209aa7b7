"""The map of the world: what ships, how it was made, and that it shows every value or says so."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.path import Path
from PIL import Image
from report_world import EVIL

from pipeline.base.display import show
from pipeline.concepts.lexicon import load_lexicon
from pipeline.concepts.make.packages import Archive
from pipeline.report.world_map import draw_world, list_left_out, tell_world
from pipeline.stimuli.make_world.countries import build_world, made_from, write_world
from pipeline.stimuli.make_world.projection import HEIGHT, WIDTH, area, cut, project
from pipeline.stimuli.make_world.topology import Topology
from pipeline.stimuli.world import WORLD, load_world, read_world
from pipeline.stimuli.world_pictures import crop_window, draw_crops

NO_CONCEPT = ["N. Cyprus", "Somaliland"]
VALUES = {"Japan": 4.0, "France": -2.0, "Singapore": 1.0, "Lesotho": 0.0}


@pytest.fixture(scope="module")
def world():
    return load_world()


def test_every_country_is_a_concept_of_the_lexicon_or_said_to_be_none(world):
    table = load_lexicon().to_pydict()
    regions = {c for c, k in zip(table["concept"], table["category"], strict=True) if k == "region"}
    named = [one.name for one in world.countries if one.is_concept]
    assert set(named) <= regions
    assert len(set(named)) == len(named) > 240
    assert [one.name for one in world.countries if not one.is_concept] == NO_CONCEPT


def test_the_file_says_what_it_was_made_from_and_is_small():
    assert read_world()["made_from"] == made_from()
    assert WORLD.stat().st_size < 60_000


def test_countries_lie_within_the_earth_and_where_they_are(world):
    for one in world.countries:
        left, top, right, bottom = one.box
        assert 0 <= left <= right <= world.width and 0 <= top <= bottom <= world.height, one.name
    for name, place in {"Japan": (138, 36), "Brazil": (-53, -10), "Singapore": (103.8, 1.35),
                        "French Guiana": (-53, 4), "Chad": (18.6, 15.4)}.items():  # fmt: skip
        (one,) = (each for each in world.countries if each.name == name)
        left, top, right, bottom = one.box
        x, y = project(place)
        assert left - 3 <= x <= right + 3 and top - 3 <= y <= bottom + 3, name


def test_areas_are_true(world):
    """Of the whole, 510.1 million km²: what countries have, within what simplified outlines lose."""
    file = read_world()
    whole = _area(file["edge"])
    rings = {one["name"]: one["rings"] for one in file["countries"] if "rings" in one}
    for name, millions in {
        "Brazil": 8.51,
        "Australia": 7.69,
        "Greenland": 2.17,
        "Algeria": 2.38,
    }.items():
        assert sum(map(_area, rings[name])) / whole * 510.1 == pytest.approx(millions, rel=0.04)


def _points(ring):
    return np.reshape(ring, (-1, 2)).cumsum(axis=0)


def _area(ring):
    return area([tuple(point) for point in _points(ring).tolist()])


def test_the_corners_of_the_earth_are_the_corners_of_the_map():
    (left, top), (right, bottom) = project((-180, 90)), project((180, -90))
    assert (left + right, top + bottom) == pytest.approx((WIDTH, HEIGHT))
    assert project((180, 0)) == pytest.approx((WIDTH, HEIGHT / 2))
    assert 0 <= top < 1


def test_what_crosses_the_date_line_is_cut_there():
    pieces = list(cut([(170, 0), (-170, 0), (-170, 10), (170, 10)]))
    ends = sorted((min(x for x, _ in piece), max(x for x, _ in piece)) for piece in pieces)
    assert ends == [(-180, -170), (170, 180)]
    (inland,) = cut([(1, 0), (2, 0), (2, 1)])
    assert sorted(inland) == [(1, 0), (2, 0), (2, 1)]
    polar = list(cut([(0, -70), (90, -70), (180, -70), (-90, -70)]))
    assert sum(map(area, polar)) == 360 * 20
    assert all(-180 <= x <= 180 for piece in polar for x, _ in piece)


def test_a_border_that_two_share_stays_shared():
    wave = [[500, 0], *([1, 1] if n % 2 else [-1, 1] for n in range(20))]
    west, east = ([[500, 20], [step, 0], [0, -20], [-step, 0]] for step in (-500, 500))
    file = {
        "transform": {"scale": [0.01, 1], "translate": [0, 0]},
        "arcs": [wave, west, east],
        "objects": {"countries": {"geometries": [
            {"type": "Polygon", "arcs": [[0, 1]]},
            {"type": "MultiPolygon", "arcs": [[[0, 2]]]},
        ]}},
    }  # fmt: skip
    found = [list(Topology(file, is_simplified=True).rings(one)) for one in _countries(file)]
    ((one,), (other,)) = found
    assert {(5, 0), (5, 20)} <= set(one) & set(other)
    assert len(one) == len(other) < 8
    ((whole,), _) = (list(Topology(file).rings(one)) for one in _countries(file))
    assert len(whole) == 23


def _countries(file):
    return file["objects"]["countries"]["geometries"]


def _square(west, south, side):
    return [[west, south], [side, 0], [0, side], [-side, 0], [0, -side]]


def _atlas(**squares):
    return {
        "transform": {"scale": [1, 1], "translate": [0, 0]},
        "arcs": list(squares.values()),
        "objects": {"countries": {"geometries": [
            {"type": "Polygon", "arcs": [[n]], "id": name[-3:], "properties": {"name": name[:-3]}}
            for n, name in enumerate(squares)
        ]}},
    }  # fmt: skip


def test_the_maker_names_outlines_as_the_lexicon_does_and_lists_what_has_none():
    names = {"FR": "France", "GF": "French Guiana", "JP": "Japan", "MT": "Malta", "TV": "Tuvalu",
             "EU": "European Union", "XK": "Kosovo", "QQ": "Atlantis"}  # fmt: skip
    land = _atlas(
        Japan392=_square(130, 30, 9), Kosovoxxx=_square(20, 42, 2), Elsewherexxx=_square(0, 0, 5)
    )
    fine = _atlas(Malta470=_square(14, 35, 1), Japan392=_square(130, 30, 9))
    france = {
        "type": "MultiPolygon",
        "arcs": [[[3]], [[4]]],
        "id": "250",
        "properties": {"name": "France"},
    }
    land["arcs"] += [_square(0, 44, 6), _square(-54, 3, 2)]
    _countries(land).append(france)
    numbers = {"JP": "392", "MT": "470", "FR": "250"}
    core = {code: {"_numeric": number} for code, number in numbers.items()}
    territories = {"main": {"en": {"localeDisplayNames": {"territories": names}}}}
    files = {
        "outlines": {"countries-110m.json": land, "countries-50m.json": fine},
        "core": {"supplemental/codeMappings.json": {"supplemental": {"codeMappings": core}}},
        "names": {"main/en/territories.json": territories},
    }
    archives = {key: _archive(held) for key, held in files.items()}
    file, left_out = build_world(archives)
    assert left_out == ["European Union"]
    found = {one["name"]: "at" in one for one in file["countries"]}
    outlines, points = (
        ["Elsewhere", "France", "French Guiana", "Japan", "Kosovo"],
        ["Malta", "Tuvalu"],
    )
    assert found == dict.fromkeys(outlines, False) | dict.fromkeys(points, True)
    assert [one["name"] for one in file["countries"] if not one["is_concept"]] == ["Elsewhere"]
    assert json.loads(write_world(file)) == file


def _archive(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(f"package/{name}", json.dumps(content))
    return Archive(data.getvalue())


def test_a_map_is_xml_and_tells_each_country_and_value(world):
    root = ElementTree.fromstring(draw_world(VALUES, EVIL))
    assert [root[0].text, root[1].text] == [show(EVIL), tell_world(VALUES)]
    titles = [title.text for title in root.iter("title")][1:]
    assert len(titles) == len(world.countries)
    assert {"Japan: 4 SD", "France: \N{MINUS SIGN}2 SD", "Singapore: 1 SD"} <= set(titles)
    assert sum(title.endswith(": no value") for title in titles) == len(titles) - len(VALUES)


def test_colours_follow_the_sign_and_the_size():
    drawn = draw_world(VALUES, "answers")
    found = re.findall(r'(fill="[^>]*)><title>([^:]*):', drawn)
    fills = {name: fill for fill, name in found}
    assert fills["Japan"] == 'fill="var(--blue)" fill-opacity="1.00"'
    assert fills["France"] == 'fill="var(--orange)" fill-opacity="0.50"'
    assert fills["Singapore"] == 'fill="var(--blue)" fill-opacity="0.25"'
    assert fills["Lesotho"].endswith('fill-opacity="0.00"')
    assert fills["Chad"].startswith('fill="url(#')
    assert 'fill-opacity="0.40"' in draw_world(VALUES, "answers", most=10)


def test_what_is_not_on_the_map_is_said():
    values = {**VALUES, "Tokyo": 9.0, EVIL: 1.0, "Chad": math.nan, "Somaliland": 1.0}
    assert set(list_left_out(values)) == {"Tokyo", EVIL, "Chad", "Somaliland"}
    told = tell_world(values)
    assert all(name in told for name in values)
    root = ElementTree.fromstring(draw_world(values, "answers"))
    assert root[1].text == show(told)
    assert "Chad: no value" in [title.text for title in root.iter("title")]


def test_many_values_are_told_by_their_ends(world):
    values = {one.name: float(n) for n, one in enumerate(world.countries) if one.is_concept}
    highest, lowest = max(values, key=values.get), min(values, key=values.get)
    told = tell_world(values, "points")
    assert f"Highest: {highest} " in told and f"Lowest: {lowest} 0" in told
    assert list_left_out(values) == []


def test_maps_of_no_or_equal_values_can_be_drawn():
    for values in ({}, {"Japan": 0.0}, {"Japan": -1.0}):
        ElementTree.fromstring(draw_world(values, "answers"))


def test_two_maps_on_a_page_have_ids_of_their_own():
    ids = [re.findall(r'id="([^"]+)"', draw_world({"Japan": n}, "answers")) for n in (1.0, 2.0)]
    assert not set(ids[0]) & set(ids[1])


def rings_around(name, longitude, latitude):
    """How many rings of a country a place is in: drawn is what is in an odd number."""
    (country,) = (one for one in load_world().countries if one.name == name)
    rings = (Path(_points(ring)) for ring in country.rings)
    return sum(ring.contains_point(project((longitude, latitude))) for ring in rings)


def test_a_place_is_in_its_country_and_a_hole_is_not():
    assert rings_around("Brazil", -53, -10) == rings_around("South Africa", 24, -29) == 1
    assert rings_around("South Africa", 28.2, -29.6) == 2, "Lesotho"
    assert rings_around("Lesotho", 28.2, -29.6) == 1
    assert rings_around("Brazil", 0, 0) == 0


def test_a_crop_shows_its_country_in_the_middle_dark_or_not_at_all(world):
    """Lesotho, a hole in South Africa, is not South Africa's."""
    drawn = {(name, crop): data for name, crop, data in draw_crops(["South Africa", "Tokyo"], 256)}
    assert list(drawn) == [("South Africa", "country"), ("South Africa", "place")], "a city is none"
    images = {crop: np.asarray(Image.open(io.BytesIO(data))) for (_, crop), data in drawn.items()}
    (country,) = (one for one in world.countries if one.name == "South Africa")
    left, top, side = crop_window(world, country)

    def at(place):
        x, y = project(place)
        return round((y - top) / side * 256), round((x - left) / side * 256)

    dark, land, sea = [0x30] * 3, [0xD0] * 3, [0xFF] * 3
    pretoria, maseru, ocean = at((28, -26)), at((28.2, -29.6)), at((15, -33))
    shown = [[images[crop][spot].tolist() for spot in (pretoria, maseru, ocean)] for crop in images]
    assert shown == [[dark, land, sea], [land, land, sea]]


def test_a_small_country_has_its_neighbours_around_it_and_a_large_one_is_whole(world):
    of = {one.name: one for one in world.countries}
    singapore, russia = (crop_window(world, of[name]) for name in ("Singapore", "Russia"))
    assert singapore[2] == pytest.approx(0.12 * world.width)
    left, top, right, bottom = of["Russia"].box
    x, y, side = russia
    assert x <= left and y <= top and right <= x + side and bottom <= y + side
