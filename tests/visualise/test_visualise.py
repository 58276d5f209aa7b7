"""``neurons visualise`` on a warehouse: what is drawn stays, is found again, and is told."""

from __future__ import annotations

import hashlib
import io
import shutil
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from pipeline.base.errors import ConfigError, HookError, WarehouseError
from pipeline.base.storage import Store
from pipeline.base.visualise_settings import VisualiseConfig
from pipeline.tables.audit import audit_warehouse
from pipeline.upkeep.rename import rename
from pipeline.upkeep.vacuum import vacuum
from pipeline.visualise.run import visualise_neurons
from pipeline.warehouse.connect import connect

LAYER = "visual.layer3.0"


@pytest.fixture(scope="module")
def place(tiny_warehouse, tmp_path_factory):
    return shutil.copytree(tiny_warehouse, tmp_path_factory.mktemp("drawn") / "warehouse")


@pytest.fixture(scope="module")
def few(place):
    """A drawing of a few steps."""
    (run,) = place.glob("dataset=textures/run_id=*")
    where = {"warehouse": str(place), "dataset": "textures", "run": run.name[7:], "device": "cpu"}

    def make(*units, **changes):
        return VisualiseConfig(**where | {"layer": LAYER, "units": units, "steps": 3} | changes)

    return make


def rows_of(place, query):
    with connect(place) as con:
        return con.execute(query).fetchall()


def pictures(place):
    return {file.name: file.read_bytes() for file in place.rglob("visualisations/*/*.png")}


def test_a_picture_is_a_file_whose_row_says_what_the_model_answers_to_it(place, few):
    (done,) = visualise_neurons(few(8, 14, images=2))
    assert (done.picture_count, done.new_count, done.still) == (4, 4, ())
    found = rows_of(
        place,
        """
        select
            unit, number, url, image_sha256, bytes, width_px, height_px, activation,
            activation_sd, dataset_max, dataset_max_sd, sd, max
        from visualisations
        inner join neuron_stats using (dataset, run_id, layer, unit)
        where image_count = 2 order by unit, number
        """,
    )
    assert [row[:2] for row in found] == [(8, 0), (8, 1), (14, 0), (14, 1)]
    for row in found:
        data = (place / row[2]).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == row[3:5]
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == row[5:7] and image.mode == "RGB"
            assert "Made by a model, not an image of a dataset" in image.text["Description"]
        assert row[8] == pytest.approx(row[7] / row[11])
        assert row[9:11] == pytest.approx((row[12], row[12] / row[11]))
    assert found[0][3] != found[1][3]


def test_the_activation_is_that_of_a_fresh_image(place, few, tmp_path):
    """The file goes through the run's own extraction like any other."""
    from making import write_tar

    from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
    from pipeline.extract.run import extract
    from pipeline.sources.ingest import ingest

    visualise_neurons(few(8))
    ((url, activation),) = rows_of(
        place, "select url, activation from visualisations where unit = 8 and image_count = 1"
    )
    sample = {"__key__": "a", "png": (place / url).read_bytes()}
    tar = write_tar(tmp_path / "a.tar", [sample])
    again = str(tmp_path / "again")
    ingest(IngestConfig(again, "textures"), IngestStep("webdataset", (str(tar),)))
    config = Store(place).read_json(f"{url.split('/visualisations')[0]}/run.json")["config"]
    more = {"warehouse": again, "layers": (LAYER,), "store": "all", "activation_dtype": "float32"}
    extract(ExtractConfig(**config | more))
    ((found,),) = rows_of(again, "select activation from activations where unit = 8")
    assert found == pytest.approx(activation, abs=1e-5)


def test_what_is_drawn_stays_and_is_the_same_in_another_warehouse(place, few, tmp_path):
    visualise_neurons(few(8, 9))
    before = pictures(place)
    (again,) = visualise_neurons(few(8, 9, 11))
    assert (again.picture_count, again.new_count) == (3, 1)
    assert before.items() <= pictures(place).items()
    (none,) = visualise_neurons(few(8, 9, 11))
    assert none.new_count == 0
    elsewhere = shutil.copytree(place, tmp_path / "warehouse")
    shutil.rmtree(next(elsewhere.glob("dataset=*/run_id=*/visualisations")))
    visualise_neurons(few(11, warehouse=str(elsewhere)))
    ((name, data),) = pictures(elsewhere).items()
    assert pictures(place)[name] == data


def test_pictures_of_an_attempt_that_was_killed_are_taken_up(place, few, tmp_path):
    copy = shutil.copytree(place, tmp_path / "warehouse")
    config = few(8, 13, seed=3, warehouse=str(copy))
    visualise_neurons(config)
    query = "select * exclude (draw_s) from visualisations order by all"
    drawn, was = rows_of(copy, query), pictures(copy)
    for file in [*copy.rglob("visualisations/*.json*"), *copy.rglob("visualisations/*/*.parquet")]:
        file.unlink()
    next(copy.rglob("00013-*-0.png")).unlink()
    assert rows_of(copy, query) == []
    (again,) = visualise_neurons(config)
    assert (again.picture_count, again.new_count) == (2, 1)
    assert rows_of(copy, query) == [row for row in drawn if row in rows_of(copy, query)]
    assert len(rows_of(copy, query)) == 2
    assert pictures(copy) == was
    assert audit_warehouse(Store(copy), deep=True).damages == []
    vacuum(Store(copy))  # what no record names: pictures of the other settings
    assert len(pictures(copy)) == 2
    assert audit_warehouse(Store(copy), deep=True).damages == []


def test_a_renamed_dataset_has_its_pictures(place, few, tmp_path):
    visualise_neurons(few(8))
    copy = shutil.copytree(place, tmp_path / "warehouse")
    rename(Store(copy), "dataset", "textures", "new-name")
    query = "select url, image_sha256 from visualisations"
    found = rows_of(copy, query)
    assert len(found) == len(rows_of(place, query)) > 0
    for url, sha256 in found:
        assert unquote(url).startswith("dataset=new-name/")
        assert hashlib.sha256((copy / url).read_bytes()).hexdigest() == sha256
    assert vacuum(Store(copy)).removed == ()


def test_maco_has_an_opacity_and_the_colours_that_were_climbed(place, few):
    visualise_neurons(few(8, parametrisation="maco"))
    ((url,),) = rows_of(place, "select url from visualisations where parametrisation = 'maco'")
    with Image.open(place / url) as image:
        assert image.mode == "RGBA"
        opacity = np.asarray(image)[..., 3]
    assert opacity.max() == 255 and opacity.min() < 128


def test_a_direction_draws_like_a_neuron(place, few, tmp_path):
    """That of one unit with weight 1 answers as the unit does; a file says the same as its units."""
    (done,) = visualise_neurons(few(directions=("9:2,14:-0.5",)))
    assert done.picture_count == 1
    row = "select activation, unit, dataset_max_sd from visualisations where direction"
    ((activation, unit, of_dataset),) = rows_of(place, f"{row} = '9:2,14:-0.5'")
    assert activation > 0 and unit is None and of_dataset is None
    with connect(place) as con:
        ((count,),) = con.execute(
            "select unit_count from layers where starts_with(layer, $name)", {"name": LAYER}
        ).fetchall()
    weights = ["0"] * count
    weights[9], weights[14] = "2", "-0.5"
    file = tmp_path / "direction.txt"
    file.write_text("\n".join(weights))
    (again,) = visualise_neurons(few(directions=(str(file),)))
    assert again.new_count == 0, "it is the same direction"


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"units": ()}, ConfigError, "not said which neurons draw"),
        ({"units": (100000,)}, WarehouseError, "no unit 100000"),
        ({"layer": "visual.layer9"}, WarehouseError, "has a layer"),
        ({"layer": "transformer.resblocks.1.mlp.gelu"}, HookError, "is of the text tower"),
        ({"directions": ("5:x",)}, ConfigError, "direction '5:x' cannot be read"),
        ({"directions": ("5:0",)}, ConfigError, "is zero or not finite"),
        ({"directions": ("100000:1",)}, ConfigError, "names unit 100000"),
        ({"images": 2, "lower_layer": "visual.nothing"}, HookError, "--lower-layer"),
    ],
)
def test_what_cannot_be_drawn_is_said(few, changes, error, said):
    with pytest.raises(error, match=said):
        visualise_neurons(few(**{"units": (5,)} | changes))


def test_a_neuron_that_answers_alike_to_every_image_does_not_draw(place, few):
    """Unit 5 of the untrained model is 0 for all of them."""
    assert rows_of(
        place, "select sd from neuron_stats where unit = 5 and layer like '%layer3%'"
    ) == [(0,)]
    (done,) = visualise_neurons(few(5, 8))
    assert (done.picture_count, done.dead) == (1, (5,))
    assert "not drawn, since they answer alike to every image: 5" in str(done)


def test_the_command_says_what_was_drawn(place, told):
    where = ("--warehouse", place, "--dataset", "textures", "--device", "cpu", "--steps", 3)
    printed = told("visualise", *where, "--layer", LAYER, "--unit", 8, "--unit", 5)
    assert "1 pictures" in printed and "in dataset=textures/run_id=" in printed
    assert "00008-" in printed and "alike to every image: 5" in printed
