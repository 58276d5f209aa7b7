"""Names of countries to neurons: kept as the layer pools them, and held against chance on the page's maps."""

from __future__ import annotations

import io
import shutil

import pytest
import torch
from PIL import Image

from pipeline.base.figure_settings import FigureConfig
from pipeline.clip.hooks import capture_layers
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import load_clip
from pipeline.figures.run import measure_figures
from pipeline.figures.words import draw_words
from pipeline.paper import regions
from pipeline.paper.write import open_subject
from pipeline.warehouse.connect import connect

NAMES = ("France", "Japan", "Kenya", "Tokyo")

ANSWERS = """
create or replace table labels as select * replace (
    unit < 3 as is_labelled, if(unit < 3, ['France', 'Japan', 'Kenya'][unit + 1], null) as concept,
    if(unit < 3, 'region', null) as category
)
from neuron_labels where layer like 'visual.layer3%' and unit < 9;
create or replace view neuron_labels as from labels;
create or replace table axes as select * replace ('sd' as axis) from layer_axes;
create or replace view layer_axes as from axes;
-- Unit 0 answers most to its own country, unit 1 to its capital and then to its country, unit 2 to another one.
create or replace table answers as
select * replace (
    case
        when unit = 0 and concept = 'France' then 5 when unit = 1 and concept = 'Tokyo' then 9
        when unit = 1 and concept = 'Japan' then 3 when unit = 2 and concept = 'France' then 2
        when unit = 7 then 8 else 1
    end::double as activation_sd
)
from region_answers where unit < 9;
create or replace view region_answers as from answers;
-- Of crops unit 0 alone tells its own country, and only where that is dark.
create or replace table crops as
select * replace (
    case when unit = 0 and concept = 'France' and crop = 'country' then 5 when unit = 0 then -length(concept)
    else length(concept) end::double as activation_sd
)
from map_answers where unit < 9;
create or replace view map_answers as from crops
"""


@pytest.fixture(scope="module")
def asked(tiny_warehouse, tmp_path_factory):
    """A warehouse whose neurons were asked, and what for."""
    place = tmp_path_factory.mktemp("regions") / "warehouse"
    shutil.copytree(tiny_warehouse, place)
    with connect(place) as con:
        ((dataset, run),) = con.execute("select dataset, run_id from runs").fetchall()
    where = {"warehouse": str(place), "dataset": dataset, "run": run, "device": "cpu"}
    both = ("countries", "maps")
    config = FigureConfig(**where, figures=both, layer="visual.layer3.0", words=NAMES)
    return config, *measure_figures(config)


def test_answers_are_those_of_the_layer_in_its_units(asked):
    config, done, _ = asked
    assert all("there already" in str(again) for again in measure_figures(config))
    with connect(config.warehouse) as con:
        rows = con.execute(
            "select unit, activation from region_answers where concept = 'Japan' order by unit"
        ).fetchall()
        ((wrong,),) = con.execute(
            "select count(*) from region_answers inner join neuron_stats using (dataset, run_id, layer, unit) "
            "where sd > 0 and abs(activation_sd - activation / sd) > 1e-6"
        ).fetchall()
        ((model, layer),) = con.execute(
            "select distinct model_id, layer from region_answers"
        ).fetchall()
    assert done.row_count == len(NAMES) * len(rows)
    assert wrong == 0
    clip = load_clip(model)
    size = max(160, *clip.setup.image.size_px)
    image = Image.open(io.BytesIO(draw_words(["Japan"], size)["Japan"]))
    with torch.inference_mode(), capture_layers(clip, resolve_layers(clip, (layer,))) as capture:
        clip.model.encode_image(clip.preprocess(image)[None])
    own = capture.pooled[layer][0].tolist()
    assert [activation for _, activation in rows] == pytest.approx(own, rel=0.05, abs=0.02)


def test_crops_of_the_map_are_asked_of_each_country_in_both_ways(asked):
    config, names, done = asked
    assert "6 crops of a map" in done.told, "Tokyo is no country"
    assert done.row_count == 6 * names.row_count // len(NAMES)
    with connect(config.warehouse) as con:
        told = con.execute(
            """
            select one.unit from map_answers as one
            inner join map_answers as other using (dataset, run_id, layer, unit, concept)
            where one.crop = 'country' and other.crop = 'place' and one.activation <> other.activation
            limit 1
            """
        ).fetchall()
    assert told, "a dark country is not a grey one"


def test_the_page_counts_neurons_that_answer_most_to_their_own_country(asked):
    config, *_ = asked
    with open_subject(config.warehouse, config.dataset, config.run) as subject:
        subject.ask.connection.execute(ANSWERS)
        section = regions.make_section(subject)
    first, five, median, dark, _, marked, _ = section.rows
    assert first.ours == "2 of 3 (66.7%)", "a capital is no country"
    assert first.of == "3 neurons, 3 countries"
    assert first.control == "at random 33.3%, another neuron's country 16.7%"
    assert five.ours == "3 of 3 (100.0%)"
    assert median.ours == "3.0 SD"
    *maps, listed = section.parts
    assert [chart.caption.split(" of ")[0] for chart in maps][:7] == [
        "Unit 0", "Unit 0", "Unit 1", "Unit 1", "Unit 2", "Unit 2", "Unit 7",
    ]  # fmt: skip
    assert "crops of a map" in maps[1].caption and "crops" not in maps[0].caption
    assert (dark.ours, marked.ours) == ("1 of 3 (33.3%)", "0 of 3 (0.0%)")
    assert "control: one at random" in maps[-1].caption
    assert listed.rows[0][2:] == ("France", 1, "France 5.0, Japan 1.0, Kenya 1.0")


def test_a_run_that_was_not_asked_says_what_to_do(tiny_warehouse):
    with open_subject(str(tiny_warehouse), None, None) as subject:
        section = regions.make_section(subject)
    assert section.missing is not None
    assert "has not been shown" in section.missing.why
