"""A neuron's card: what it gathers is what the views say; what it draws is there; what it says is safe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from report_world import (
    assert_self_contained,
)

from pipeline.base.storage import Store
from pipeline.report import words
from pipeline.report.card_html import render_card
from pipeline.report.card_png import WIDTH_PX, draw_card
from pipeline.report.card_queries import name_these
from pipeline.report.gather import gather_card, gather_cards
from pipeline.report.peaks import InImage, read_peaks
from pipeline.report.thumbnails import Picture, mark_place
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import Neuron

LAYER = "visual.layer3.0"


@pytest.fixture
def world(tiny_warehouse):
    """A connection whose views can be replaced, a store, and one neuron."""
    with connect(tiny_warehouse) as con:
        (layer,) = con.execute(
            "select layer from layers where layer_path = $path", {"path": LAYER}
        ).fetchall()[0]
        (run_id,) = con.execute("select run_id from runs").fetchall()[0]
        neuron = {"dataset": "textures", "run_id": run_id, "layer": layer, "unit": 3}
        yield con, Store(tiny_warehouse), neuron


THIS = "dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit"


def test_what_is_zero_and_what_is_in_a_bin_are_all_examples(world):
    con, store, neuron = world
    units = con.execute(
        "select distinct unit from neuron_stats where layer = $layer", {"layer": neuron["layer"]}
    ).fetchall()
    cards = gather_cards(con, store, [Neuron(**neuron | {"unit": unit}) for (unit,) in units])
    zeros = set()
    for card in cards.values():
        stats = card.stats
        assert sum(b.example_count for b in card.histogram) + stats.zero_count == 120
        zeros.add(stats.zero_count)
    assert len(zeros) > 20, "odd and even counts"


def test_a_card_holds_what_the_views_say(world):
    con, store, neuron = world
    card = gather_card(con, store, Neuron(**neuron))
    for polarity, pictures in (("positive", card.top), ("negative", card.bottom)):
        expected = con.execute(
            f"select example_id, activation_{card.axis} from top_examples where {THIS} and polarity = "
            f"'{polarity}' order by example_rank limit 12",
            neuron,
        ).fetchall()
        assert [(p.example_id, p.strength) for p in pictures] == expected
        assert {p.axis for p in pictures} <= {card.axis}
    assert len(card.top) > 3
    stats = con.execute(
        f"select example_count, mean, sd, min, max from neuron_stats where {THIS}", neuron
    ).fetchall()[0]
    got = card.stats
    assert (got.example_count, got.mean, got.sd, got.min, got.max) == stats
    assert sum(b.example_count for b in card.histogram) + got.zero_count == got.example_count
    lefts = [b.left_sd for b in card.histogram]
    assert lefts == sorted(lefts)
    origin = got.mean if card.axis == "z" else 0.0
    last = card.histogram[-1]
    edges = (origin + last.left_sd * got.sd, origin + last.right_sd * got.sd)
    assert edges[0] - 1e-9 <= got.max <= edges[1] + 1e-9
    ((axis,),) = con.execute(
        "select axis from layer_axes where layer = $layer", {"layer": neuron["layer"]}
    ).fetchall()
    assert card.axis == axis
    samples = con.execute(
        f"select bin_left_sd, example_id from neuron_samples where {THIS} and sample_rank <= 12 "
        "order by bin_left_sd, sample_rank",
        neuron,
    ).fetchall()
    assert [(b.left_sd, p.example_id) for b in card.samples for p in b.pictures] == samples
    near = con.execute(
        f"select example_id from contrasting_examples where {THIS} order by contrast_rank", neuron
    ).fetchall()
    assert [(p.example_id,) for p in card.contrasting] == near[:12]
    sizes = con.execute(
        f"select group_size from neuron_groups where {THIS} order by group_rank", neuron
    ).fetchall()
    assert [(g.group_size,) for g in card.groups] == sizes
    texts = dict(con.execute("select example_id, text from texts").fetchall())
    assert all(p.name == texts[p.example_id] for p in card.top)
    assert card.is_random
    assert "random" in words.card_notes(card)[0]


def test_labels_tests_and_probabilities_are_those_of_the_neuron(world):
    con, store, neuron = world
    key = ", ".join(f"'{v}' as {n}" for n, v in neuron.items() if n != "unit") + ", 3 as unit"
    con.execute(
        f"""
        create or replace temp table shown as
        select * replace (
            'dog' as concept, 'animal' as category, 'texts' as origin, 0.9e0 as score,
            true as is_labelled, null as reason, 'dog' as enrichment_concept
        ) from neuron_labels;
        create or replace view neuron_labels as from shown;
        create or replace view neuron_facets as
        select {key}, 1 as candidate_rank, 'dog' as concept, 'animal' as category,
            'texts' as origin, 'facet' as dimension, stratum, 'stimulus' as facet_origin,
            positive_count, 20 as other_count, auroc, p_value, auroc < 0.6 as is_failed,
            positive_count < 3 as is_thin
        from (values ('photo', 7, 0.875e0, 0.01e0), ('edge map', 5, 0.5e0, 0.9e0), ('word', 1, null, null))
            as rows (stratum, positive_count, auroc, p_value)
        union all
        select {key}, 2, 'cat', 'animal', 'texts', 'facet', 'photo', 'stimulus', 9, 9, 0.1, 1, true, false;
        create or replace view raw_facet_aurocs as
        select *, [0.25, 0.5, 0.75]::float[] as surrogate_aurocs from neuron_facets
        union all by name
        select {key.replace("3 as unit", "4 as unit")}, 1 as candidate_rank, 'facet' as dimension,
            'silhouette' as stratum, 'stimulus' as facet_origin;
        create or replace view neuron_multimodality as
        select {key}, 1 as candidate_rank, 'dog' as concept, 'animal' as category,
            'texts' as origin, 'stimulus' as facet_origin, true as is_label,
            0.5e0 as multimodality_index, 0.9e0 as p_value, 2 as facet_count,
            'edge map' as weakest_facet, ['edge map'] as failed_facets,
            ['word'] as untested_facets, []::varchar[] as thin_facets, null as language_index,
            0 as language_count, null as weakest_language;
        create or replace view conditional_activations as
        select {key}, origin, labeller, concept, category, sd_bin,
            sd_bin::double as bin_left_sd, sd_bin + 1.0 as bin_right_sd, 10 as sample_count,
            hits as hit_count, hits / 10 as probability, 0.1e0 as probability_low,
            0.9e0 as probability_high, hits::double as category_count,
            hits / 10 as activation_frac, 0.5e0 as overall_frac
        from (values
            ('texts', null, 'dog', 'animal', 0, 2), ('texts', null, 'dog', 'animal', 1, 8),
            ('texts', null, null, 'animal', 0, 4), ('texts', null, null, 'place', 0, 5),
            ('stimulus', null, 'dog', 'animal', 0, 1), ('human', 'anna', null, 'pet', 0, 3)
        ) as rows (origin, labeller, concept, category, sd_bin, hits)
        """
    )
    card = gather_card(con, store, Neuron(**neuron))
    assert (card.label.concept, card.label.score) == ("dog", 0.9)
    showing = {
        i
        for (i,) in con.execute(
            "select example_id from run_concepts where concept = 'dog'"
        ).fetchall()
    }
    assert {p.example_id for p in card.top if p.is_labelled} == showing & {
        p.example_id for p in card.top
    }
    assert any(p.is_labelled for b in card.samples for p in b.pictures)
    test = card.halle_berry
    assert test is not None
    assert test.concept == "dog"
    told = {s.name: (s.positive_count, s.auroc, s.is_failed) for s in test.strata}
    assert told == {
        "photo": (7, 0.875, False),
        "edge map": (5, 0.5, True),
        "word": (1, None, None),
        "silhouette": (0, None, None),
    }
    assert test.strata[0].surrogate_low == pytest.approx(0.275)
    assert test.strata[0].surrogate_high == pytest.approx(0.725)
    lines = " ".join(words.describe_test(test))
    assert "index 0.500 (p 0.90), the smallest AUROC of 2 forms (edge map)" in lines
    assert "fails in edge map" in lines
    assert "shows it as: silhouette" in lines
    assert [(p.what, p.left_sd, p.hit_count) for p in card.probabilities] == [
        ("dog", 0, 2),
        ("dog", 1, 8),
        ("any animal", 0, 4),
        ("pet (anna)", 0, 3),
    ]


@pytest.mark.slow
def test_a_card_of_a_text_tower_shows_the_texts_that_it_read(world):
    con, store, _ = world
    (layer, unit, run_id), *_ = con.execute(
        "select layer, unit, run_id from neuron_labels inner join layers using "
        "(dataset, run_id, layer) where tower = 'text' order by is_circular desc, unit"
    ).fetchall()
    neuron = {"dataset": "textures", "run_id": run_id, "layer": layer, "unit": unit}
    card = gather_card(con, store, Neuron(**neuron))
    assert (card.tower, card.axis) == ("text", "z")
    texts = dict(con.execute("select example_id, text from primary_texts").fetchall())
    page = assert_self_contained(render_card(card))
    for place, picture in enumerate(card.top, 1):
        assert picture.caption.startswith("z ")
        assert f"{place}. {picture.caption} {texts[picture.example_id]}" in page.text
    assert "a text tower read the texts below, not the images" in page.text
    assert "A text tower sees no form of an image" in page.text
    assert draw_card(card).height > draw_card(replace(card, tower="visual")).height


@pytest.mark.slow
def test_both_commands_write_files_and_say_so(tiny_warehouse, tmp_path, told):
    here = ("--warehouse", tiny_warehouse)
    png, html = tmp_path / "new" / "card.png", tmp_path / "card.html"
    out = told("card", LAYER, 3, *here, "--out", png)
    assert f"Picture: {png}" in out
    with Image.open(png) as picture:
        assert picture.format == "PNG"
        assert picture.width == WIDTH_PX
    told("card", LAYER, 3, *here, "--dataset", "textures", "--out", html)
    page = assert_self_contained(html.read_text(encoding="utf-8"))
    assert "The model's weights are random" in page.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((LAYER, 3, "--out", "card.jpg"), "Expected .png or .html"),
        ((LAYER, 3, "--out", "card"), "suffix 'none'"),
        ((LAYER, 99999, "--out", "card.png"), "has no unit 99999"),
        (("visual.nowhere", 3, "--out", "card.png"), "Layers: "),
        ((LAYER, 3, "--run", "none", "--out", "card.png"), "no run 'none'"),
    ],
)
def test_wrong_arguments_are_told(tiny_warehouse, tmp_path, told, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in told("card", *arguments, "--warehouse", tiny_warehouse, code=2)
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_which_little_is_known(world):
    con, store, neuron = world
    for name in (
        *("neuron_samples", "neuron_clarity", "neuron_groups", "top_example_groups"),
        *("contrasting_examples", "neuron_facets", "raw_facet_aurocs", "neuron_multimodality"),
    ):
        con.execute(f"create temp table no_{name} as from {name} limit 0")
        con.execute(f"create or replace view {name} as from no_{name}")
    card = gather_card(con, store, Neuron(**neuron))
    assert (card.samples, card.groups, card.contrasting, card.clarity) == ((), (), (), None)
    assert card.halle_berry is None
    told = assert_self_contained(render_card(card)).text
    assert "Not computed: neurons build does" in told
    assert "No form or language of any image is known here" in told
    assert "This run kept no samples by activation" in told
    draw_card(card)


def test_tars_that_are_gone_are_named(world, caplog, monkeypatch):
    monkeypatch.setattr("pipeline.base.warn._said", set())
    con, store, neuron = world
    con.execute("create temp table gone as select * replace ('/gone/' || shard as url) from shards")
    con.execute("create or replace view shards as from gone")
    card = gather_card(con, store, Neuron(**neuron))
    lines = [one for one in caplog.messages if "cannot be read" in one]
    assert len(lines) == len(set(lines)) == 3, "each tar once"
    for number, line in enumerate(sorted(lines)):
        assert f"The shard /gone/0000{number} cannot be read" in line
        assert "Images are never copied" in line
    grey = {picture.image.getpixel((2, 2)) for picture in card.top}
    assert grey == {(228, 232, 236)}, "a card that names the tar stands where the image was"


def test_a_ring_marks_where_the_neuron_answers_most():
    """In the middle of the square lies an image that is wider than high; what is around it is paper."""
    paper = Image.new("RGB", (96, 96), "#808080")
    picture = Picture(1, paper, "a picture", shape=(96, 48))
    marked = mark_place(picture, InImage(0.75, 0.5))
    assert marked.is_marked and not picture.is_marked
    changed = np.argwhere((np.asarray(marked.image) != np.asarray(paper)).any(2))
    assert changed.mean(0) == pytest.approx([48, 72], abs=1) and np.ptp(changed, 0).max() <= 18
    low = mark_place(picture, InImage(0.25, 1.0))
    changed = np.argwhere((np.asarray(low.image) != np.asarray(paper)).any(2))
    assert changed.mean(0) == pytest.approx([72, 24], abs=1)
    assert mark_place(picture, None) is picture


@pytest.mark.slow
def test_the_card_of_a_layer_that_pools_by_max_has_rings(world):
    con, store, neuron = world
    card = gather_card(con, store, Neuron(**neuron))
    assert {picture.is_marked for picture in card.top} == {True}
    samples = [picture for one in card.samples for picture in one.pictures]
    groups = [picture for group in card.groups for picture in group.pictures]
    assert {picture.is_marked for picture in (*samples, *groups)} == {True}
    assert "ring" in words.describe_examples(card, "positive")
    ((layer,),) = con.execute("select layer from layers where pooling = 'cls'").fetchall()
    other = gather_card(con, store, Neuron(**neuron | {"layer": layer}))
    shown = [*other.top, *(picture for one in other.samples for picture in one.pictures)]
    assert {picture.is_marked for picture in shown} == {False}
    assert "ring" not in words.describe_examples(other, "positive")


def test_rings_are_where_the_view_peaks_says(world):
    con, _, neuron = world
    rows = con.execute(
        "select distinct example_id, image_x_frac, image_y_frac from peaks "
        "where layer = $layer and unit = $unit",
        {name: neuron[name] for name in ("layer", "unit")},
    ).fetchall()
    these, views = name_these([Neuron(**neuron)]), ("top_examples", "neuron_samples")
    found = read_peaks(con, these, [row[0] for row in rows], views)
    unit = neuron["unit"]
    assert found == {unit: {example_id: (x, y) for example_id, x, y in rows if x is not None}}
    some = [row[0] for row in rows][:3]
    assert read_peaks(con, these, some, views)[unit].keys() <= set(some)


@pytest.mark.slow
def test_cards_of_several_neurons_are_those_of_each_alone(world):
    con, _, neuron = world
    neurons = [Neuron(**neuron | {"unit": unit}) for unit in (3, 0, 7)]
    cards = gather_cards(con, None, neurons)
    assert cards == {one.unit: gather_card(con, None, one) for one in neurons}
