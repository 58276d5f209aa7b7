"""What a neuron drew stands on its card as what it is: made by the model, no image of the dataset."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from report_world import make_card, make_drawn

from pipeline.base.errors import WarehouseError
from pipeline.report.card_html import render_card
from pipeline.report.card_png import draw_card
from pipeline.report.gather import gather_card
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_neuron

SAID = "Made by the model, no images of the dataset"


def test_a_card_with_pictures_says_what_they_are_and_one_without_says_nothing():
    card = make_card(
        drawn=(make_drawn((200, 30, 30)), make_drawn((30, 30, 200), "<b>rendered word"))
    )
    page = render_card(card)
    assert SAID in page and "2.5 SD at most" in page and "12.3 SD" in page
    assert page.count('alt="Made by the model, ') == 2 and "<b>rendered" not in page
    bare = make_card(drawn=())
    assert SAID not in render_card(bare)
    pixels = np.asarray(draw_card(card))
    assert (
        (pixels == (200, 30, 30)).all(2).sum() == (pixels == (30, 30, 200)).all(2).sum() == 96 * 96
    )
    assert len(pixels) > len(np.asarray(draw_card(bare)))


def test_what_was_hardly_climbed_is_white_paper():
    assert make_drawn((10, 10, 10), alpha=0).image(48).getpixel((24, 24)) == (255, 255, 255)


def test_a_card_reads_the_pictures_of_its_neuron(full_warehouse, tmp_path):
    place = shutil.copytree(full_warehouse, tmp_path / "warehouse")
    with connect(place) as con:
        neuron = find_neuron(con, "visual.layer3.0", 9)
        drawn = gather_card(con, None, neuron, ["drawn"]).drawn
        assert [one.number for one in drawn] == [0, 1]
        assert all(one.data.startswith(b"\x89PNG") for one in drawn)
        assert gather_card(con, None, find_neuron(con, "visual.layer3.0", 2), ["drawn"]).drawn == ()
    next(place.rglob("visualisations/*/00009-*-1.png")).unlink()
    with connect(place) as con, pytest.raises(WarehouseError, match="cannot be read"):
        gather_card(con, None, neuron, ["drawn"])
