"""Where a neuron answers: planted words light up where they stand, and what is told is what the map says."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops, ImageDraw, ImageFont

import pipeline
from pipeline.base.errors import HookError
from pipeline.base.question_settings import WhereOptions
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import load_clip
from pipeline.maps.compute import ActivationMap, map_images, map_texts
from pipeline.maps.draw import draw_where
from pipeline.maps.page import render_where
from pipeline.maps.panels import DIMMED, draw_over, draw_panels
from pipeline.maps.where import Place, Where, find_where
from pipeline.nano.planted import load_planted
from pipeline.stimuli.fonts import find_fonts
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import NamedNeuron, Neuron

LAYER = "visual.layer4.0.act3:input:max"
WORDS = ("guitar", "Japan", "zebra", "cactus", "love", "gorilla", "eight", "Brazil")
CORNERS = [(0, 0), (0, 1), (1, 0), (1, 1)]


def write_in_corner(word: str, row: int, column: int, dy: int, dx: int) -> Image.Image:
    """A word as large as fits into one quarter of a white square, up to some pixels from its corner."""
    image = Image.new("RGB", (448, 448), "white")
    path = str(next(f.path for f in find_fonts(["font_source_sans_pro"]) if "Bold" in f.path.name))
    size = 150
    while ImageFont.truetype(path, size).getlength(word) > 200:
        size -= 2
    x, y = 224 * column + 8 + dx, 224 * row + 60 + dy
    ImageDraw.Draw(image).text((x, y), word, "black", ImageFont.truetype(path, size))
    return image


def share_in_corner(model: str) -> float:
    """How often the planted neuron of a word answers most in the quarter where that word stands.

    Four words stand on a page, one in each corner, so that it is not enough to answer where ink is.
    """
    clip = load_clip(model)
    (layer,) = resolve_layers(clip, (LAYER,))
    channels = {p.concept.lower(): p.channel for p in load_planted()}
    pages, words = [], []
    for group in (WORDS[:4], WORDS[4:]):
        for turn, dy, dx in product(range(4), (0, 12), (0, 8)):
            words.append(group[turn:] + group[:turn])
            page = Image.new("RGB", (448, 448), "white")
            for word, corner in zip(words[-1], CORNERS, strict=True):
                page = ImageChops.darker(page, write_in_corner(word, *corner, dy, dx))
            pages.append(clip.preprocess(page))
    hits = [
        found.of_unit(channels[word.lower()]).cell == corner
        for four, found in zip(words, map_images(clip, layer, torch.stack(pages)), strict=True)
        for word, corner in zip(four, CORNERS, strict=True)
    ]
    assert len(hits) == 128
    return float(np.mean(hits))


@pytest.mark.slow
def test_a_planted_word_lights_up_the_corner_where_it_stands() -> None:
    """Of 128 places of eight words; with random weights the same network reads nothing: a quarter is chance."""
    assert share_in_corner("nano") >= 0.9
    assert share_in_corner("nano:random") <= 0.5


def test_maps_are_what_passes_the_layer() -> None:
    clip = load_clip("nano")
    (layer,) = resolve_layers(clip, ("visual.layer2.0.act3:input:max",))
    images = [clip.preprocess(write_in_corner("zebra", *corner, 0, 0)) for corner in CORNERS]
    seen: list[torch.Tensor] = []
    module = clip.model.get_submodule("visual.layer2.0.act3")
    handle = module.register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
    with torch.inference_mode():
        clip.model.encode_image(torch.stack(images))
    handle.remove()
    plain = seen[0].permute(0, 2, 3, 1).numpy()
    found = map_images(clip, layer, torch.stack(images))
    assert np.array_equal(np.stack([one.grid for one in found]), plain)
    one = found[1].of_unit(5)
    assert one.cell == divmod(int(plain[1, :, :, 5].argmax()), plain.shape[2])
    alone = pipeline.map_activations("nano", layer.name, write_in_corner("zebra", 0, 1, 0, 0))
    assert alone.shape == plain.shape[1:]
    np.testing.assert_allclose(alone, plain[1], rtol=1e-3, atol=1e-4)
    with pytest.raises(HookError, match="no places"):
        pipeline.map_activations("nano", "visual", write_in_corner("zebra", 0, 1, 0, 0))


def test_a_text_is_mapped_up_to_its_end() -> None:
    clip = load_clip("nano")
    (layer,) = resolve_layers(clip, ("transformer.resblocks.1",))
    one, other = map_texts(clip, layer, ["a drawing of Japan", "Japan"])
    assert one.tokens[1:-1] == ("a", "drawing", "of", "japan")
    assert len(one.values) == 6 and len(other.values) == 3 and one.grid is None
    # a causal text tower: what begins alike is alike
    (again,) = map_texts(clip, layer, ["a drawing of Peru"])
    np.testing.assert_allclose(again.values[:4], one.values[:4], rtol=1e-3, atol=1e-4)


def make_place(values: np.ndarray, size: tuple[int, int] = (90, 60)) -> Place:
    from pipeline.clip.hooks import Layer, LayerSpec

    layer = Layer(LayerSpec("x"), "visual", "", "channels_first", 1, True, grid=values.shape)
    image = Image.new("RGB", size, "#c86432")
    found = ActivationMap(layer, values.astype(np.float32).ravel())
    return Place("1  a", "a text", found, image, (0.0, 0.0, 1.0, 1.0))


def test_colours_stand_where_the_map_says() -> None:
    """Cells at zero or below are dim grey, the largest is the brightest, and none is smeared into another."""
    place = make_place(np.array([[0.0, -1.0, 0.5], [0.0, 0.0, 2.0]]))
    assert place.image is not None
    over = np.asarray(draw_over(place, place.image, (0.0, 2.0))).astype(int)
    grey = int(np.asarray(place.image.convert("L"))[0, 0] * DIMMED)
    cells = over.reshape(2, 30, 3, 30, 3).transpose(0, 2, 1, 3, 4)
    assert (cells.max((2, 3)) == cells.min((2, 3))).all()
    flat = cells[:, :, 0, 0]
    assert all((abs(flat[r, c] - grey) <= 1).all() for r, c in ((0, 0), (0, 1), (1, 0), (1, 1)))
    assert flat[1, 2].sum() > flat[0, 2].sum() > flat[0, 0].sum()
    marked, _, crop = draw_panels(place, (0.0, 2.0))
    assert crop is not None and place.seen_frac == (2.5 / 3, 0.75)
    changed = np.asarray(marked) != np.asarray(place.image)
    assert changed.any(2)[30:, 60:].any() and not changed.any(2)[:30].any()


@pytest.mark.parametrize("is_random", [False, True])
def test_pictures_and_pages_hold_what_is_told(is_random: bool) -> None:
    neuron = Neuron("d", "r", LAYER, 3)
    places = (make_place(np.eye(3)), make_place(np.arange(4.0).reshape(2, 2) - 9))
    where = Where(neuron, "x  unit 3", "<b>label</b>", places, is_random)
    assert where.scale == (0.0, 1.0)
    assert draw_where(where).size[0] == 1360
    page = render_where(where)
    assert page.count("data:image/webp") == 6 and "&lt;b&gt;label" in page
    assert ("weights are random" in page) == is_random
    assert Where(neuron, "x", "", places[1:], False).scale == (-9.0, -6.0)
    assert draw_where(Where(neuron, "x", "", (), False)).size[0] == 1360


OF_IMAGES, OF_TEXTS = "visual.layer3.0", "transformer.resblocks.1.mlp.gelu"


@pytest.mark.slow
def test_the_strongest_examples_are_shown_with_the_places_that_the_run_kept(
    tiny_warehouse: Path, tmp_path: Path, told
) -> None:
    with connect(tiny_warehouse) as connection:
        ((unit,),) = connection.execute(
            "select unit from neuron_stats where starts_with(layer, $layer) order by max desc, unit limit 1",
            {"layer": OF_IMAGES},
        ).fetchall()
    named = NamedNeuron(OF_IMAGES, unit)
    where = find_where(str(tiny_warehouse), named, WhereOptions(examples=3))
    with connect(tiny_warehouse) as connection:
        rows = connection.execute(
            """
            select example_id, activation, peak_row, peak_column, image_x_frac, image_y_frac
            from top_examples inner join peaks
                using (dataset, run_id, layer, unit, example_id, activation, peak_row, peak_column)
            where layer = $layer and unit = $unit and polarity = 'positive' and example_rank <= 3
            order by example_rank
            """,
            {"layer": where.neuron.layer, "unit": unit},
        ).fetchall()
    assert len(where.places) == len(rows) == 3
    for place, (example_id, activation, row, column, x, y) in zip(where.places, rows, strict=True):
        assert place.example_id == example_id
        assert place.map.values.max() == pytest.approx(activation, rel=2e-3)
        assert place.map.grid is not None
        assert place.map.grid[row, column] == pytest.approx(activation, rel=2e-3)
        if place.map.cell == (row, column):
            assert place.image_frac == (pytest.approx(x), pytest.approx(y))
    for name in ("w.png", "w.html"):
        out = tmp_path / name
        text = told(
            "where", OF_IMAGES, unit, "--examples", 3, "--out", out, "--warehouse", tiny_warehouse
        )
        assert f"Picture: {out}" in text and str(where.places[0].map.cell[0]) in text
        assert out.stat().st_size > 1000
    with Image.open(tmp_path / "w.png") as picture:
        assert picture.size[0] == 1360


def test_an_image_or_a_text_of_ones_own(tiny_warehouse: Path, tmp_path: Path, told) -> None:
    path = tmp_path / "mine.png"
    write_in_corner("zebra", 0, 1, 0, 0).save(path)
    ask = ("--warehouse", tiny_warehouse)
    assert "mine.png" in told("where", OF_IMAGES, 5, "--image", path, *ask)
    text = told("where", OF_TEXTS, 3, "--text", "a zebra", "--out", tmp_path / "t.html", *ask)
    assert "zebra" in text and "[" in text
    assert "zebra" in (tmp_path / "t.html").read_text()


@pytest.mark.parametrize(
    ("layer", "more", "expected"),
    [
        (OF_IMAGES, ("--text", "a zebra"), "reads no text"),
        (OF_TEXTS, ("--image", "x.png"), "reads no image"),
        (OF_IMAGES, ("--image", "nowhere.png"), "cannot be read"),
        (OF_IMAGES, ("--image", __file__), "cannot be used"),
        (OF_IMAGES, ("--image", "a.png", "--text", "b"), "--image or --text"),
        (OF_IMAGES, ("--out", "w.jpg"), "neither .png nor .html"),
    ],
)
def test_what_cannot_be_mapped_says_why(
    tiny_warehouse: Path, told, layer: str, more: tuple[str, ...], expected: str
) -> None:
    assert expected in told("where", layer, 1, *more, "--warehouse", tiny_warehouse, code=2)
