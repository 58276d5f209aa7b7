"""A picture of one's own: an image of the run gives what the run stored, and the warehouse stays as it was."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import open_clip
import pytest
from PIL import Image
from report_world import assert_self_contained
from textures import make_texture, write_textures

from pipeline.base.question_settings import LookOptions
from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
from pipeline.base.storage import Store
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import load_clip
from pipeline.clip.model_id import register_models
from pipeline.extract.run import extract
from pipeline.look.look import look_at
from pipeline.look.read import read_images
from pipeline.maps.seen import see_image
from pipeline.sources.ingest import ingest
from pipeline.warehouse.connect import connect
from pipeline.warehouse.images import find_places, read_image

STORED = 2.0**-10
"""What float16 keeps of a number."""
IMAGE_LAYERS = ("visual.layer4.0.act3:input:max", "visual.layer3.0:output:max")
VIT = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 48, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def vit_warehouse(tmp_path_factory) -> Path:
    """A run of a small ViT by the exact path, that nobody built."""
    folder = tmp_path_factory.mktemp("vit")
    (folder / "models").mkdir()
    (folder / "models/ViT-look.json").write_text(json.dumps(VIT))
    open_clip.add_model_config(folder / "models")
    register_models()
    place = str(folder / "warehouse")
    tars = write_textures(folder / "tars", shard_count=1)
    ingest(IngestConfig(place, "textures"), IngestStep("webdataset", (str(tars),)))
    layers = ("vit-mlp-all", "visual:output")
    extract(
        ExtractConfig(
            place, "textures", "ViT-look:random", layers, device="cpu", preprocess="exact"
        )
    )
    return folder / "warehouse"


def read_stored(warehouse: Path, layer: str, example_id: int) -> tuple[bytes, dict[int, float]]:
    """An image file of the run, and its stored activations by unit."""
    with connect(warehouse) as connection:
        place = find_places(connection, "textures", [example_id])[example_id]
        rows = connection.execute(
            "select unit, activation from activations where layer = $layer and example_id = $id",
            {"layer": layer, "id": example_id},
        ).fetchall()
    return read_image(Store(warehouse), *place), dict(rows)


def hash_tree(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    total = hashlib.sha256()
    for path in files:
        total.update(f"{path.relative_to(folder)} {path.stat().st_mtime_ns}".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jpg"
    path.write_bytes(make_texture(1000))
    return path


@pytest.mark.parametrize(
    ("world", "model", "layers", "is_exact"),
    [
        ("tiny_warehouse", "RN-demo:random", IMAGE_LAYERS, False),
        (
            "vit_warehouse",
            "ViT-look:random",
            ("visual.transformer.resblocks.1.mlp.gelu:output:max", "visual:output:max"),
            True,
        ),
    ],
)
def test_an_image_of_the_run_gives_what_the_run_stored(
    request, world: str, model: str, layers: tuple[str, ...], is_exact: bool
) -> None:
    warehouse = request.getfixturevalue(world)
    clip = load_clip(model)
    found = resolve_layers(clip, layers)
    for example_id in (0, 7, 23):
        for layer in found:
            data, stored = read_stored(warehouse, layer.name, example_id)
            seen = see_image(data, "", ImageSpec.from_model(clip.model), is_exact)
            reading = read_images(clip, found, seen.pixels)
            mine = reading.activations[layer.name][0].numpy()
            wanted = np.array([stored.get(unit, 0.0) for unit in range(len(mine))])
            # what is not stored of a rectified layer is zero or below
            got = np.where(np.isin(np.arange(len(mine)), list(stored)), mine, np.minimum(mine, 0))
            is_kept = np.isin(np.arange(len(mine)), list(stored))
            assert is_kept.sum() > 10
            np.testing.assert_allclose(got[is_kept], wanted[is_kept], rtol=STORED, atol=1e-5)
            assert (got[~is_kept] == mine[~is_kept]).all(), "it is above zero, and was not stored"


def test_the_neurons_are_those_that_the_view_names(tiny_warehouse: Path, tmp_path: Path) -> None:
    """Strengths and their order, of an image of the run; all layers of the image tower, none of the other."""
    data, _ = read_stored(tiny_warehouse, IMAGE_LAYERS[0], 5)
    (tmp_path / "five.jpg").write_bytes(data)
    look = look_at(str(tiny_warehouse), str(tmp_path / "five.jpg"), LookOptions(top=4))
    assert sorted(one.layer.name for one in look.layers) == sorted(IMAGE_LAYERS)
    with connect(tiny_warehouse) as connection:
        for found in look.layers:
            rows = connection.execute(
                """
                select unit, if(axis = 'z', (activation - mean) / sd, activation / sd) as strength
                from activations
                inner join neuron_stats using (dataset, run_id, layer, unit)
                inner join layer_axes using (dataset, run_id, layer)
                where layer = $layer and example_id = 5
                order by strength desc, unit
                limit 4
                """,
                {"layer": found.layer.name},
            ).fetchall()
            assert [one.unit for one in found.neurons] == [unit for unit, _ in rows]
            for one, (unit, strength) in zip(found.neurons, rows, strict=True):
                assert one.strength == pytest.approx(strength, rel=4 * STORED)
                assert one.map is not None
                assert float(one.map.values.max()) == one.activation  # what max pooling took
                best = connection.execute(
                    """
                    select example_id from top_examples
                    where layer = $layer and unit = $unit and polarity = 'positive'
                    order by example_rank limit 8
                    """,
                    {"layer": found.layer.name, "unit": unit},
                ).fetchall()
                assert one.example_ids == tuple(i for (i,) in best)
                ((concept, supported, measured),) = connection.execute(
                    """
                    select concept, supported_count, measured_count from neuron_labels
                    where layer = $layer and unit = $unit
                    """,
                    {"layer": found.layer.name, "unit": unit},
                ).fetchall()
                assert one.is_labelled == (concept is not None)
                assert one.support == (f"{supported} of {measured}" if measured else "")
    ids = {i for one in look.layers for n in one.neurons for i in n.example_ids}
    assert ids <= set(look.pictures)


@pytest.mark.slow
def test_the_warehouse_stays_as_it_was(full_warehouse: Path, picture: Path, told) -> None:
    before = hash_tree(full_warehouse)
    out = picture.parent
    text = told(
        *("look", picture, "--warehouse", full_warehouse, "--top", 3),
        *("--png", out / "look.png", "--html", out / "look.html"),
    )
    assert hash_tree(full_warehouse) == before
    assert "mine.jpg" in text and "weights are random" in text
    assert all(name in text for name in IMAGE_LAYERS)
    with Image.open(out / "look.png") as drawn:
        assert drawn.size[0] == 1360 and drawn.size[1] > 800
    page = (out / "look.html").read_text(encoding="utf-8")
    assert_self_contained(page)
    assert page.count('class="excited"') == 2 * 3 and "weights are random" in page


def test_a_name_is_shown_and_never_obeyed(tiny_warehouse: Path, picture: Path, told) -> None:
    evil = picture.rename(picture.parent / "<b>x\x1b[31m.jpg")
    out = picture.parent / "look.html"
    text = told("look", evil, "--warehouse", tiny_warehouse, "--html", out, "--top", 1)
    assert "\x1b" not in text
    page = out.read_text(encoding="utf-8")
    assert "<b>x" not in page and "&lt;b&gt;x\\x1b[31m.jpg" in page


@pytest.mark.slow
def test_a_run_that_nobody_built_and_a_transformer(
    vit_warehouse: Path, picture: Path, told
) -> None:
    """Patches and a layer without places; what is not known is said, and nothing is computed for minutes."""
    out = picture.parent / "look.png"
    text = told(
        "look",
        picture,
        "--warehouse",
        vit_warehouse,
        "--png",
        out,
        "--html",
        out.with_suffix(".html"),
    )
    assert "label not known: neurons build" in text
    assert "visual:output" in text and "resblocks.0.mlp.gelu" in text
    assert "is not known" in text and "neurons stimuli words" in text
    assert "no places" in out.with_suffix(".html").read_text(encoding="utf-8")


def test_classes_of_ones_own(tiny_warehouse: Path, picture: Path) -> None:
    options = LookOptions(classes=("red", "green", "blue"), templates=("the colour {}",), top=2)
    look = look_at(str(tiny_warehouse), str(picture), options)
    assert len(look.answers) == 2 and {name for name, _ in look.answers} <= {"red", "green", "blue"}
    every = look_at(str(tiny_warehouse), str(picture), LookOptions(classes=("red", "green"), top=9))
    assert sum(share for _, share in every.answers) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_any_readable_file_as_it_is_to_be_looked_at(
    tiny_warehouse: Path, tmp_path: Path, monkeypatch
) -> None:
    """Turned as its EXIF says, transparent on white, from a file or standard input."""
    plain = Image.open(io.BytesIO(make_texture(3))).convert("RGB")
    plain.save(tmp_path / "plain.png")
    turned, exif = plain.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    cut = plain.convert("RGBA")
    cut.putalpha(Image.new("L", plain.size, 0))
    cut.save(tmp_path / "nothing.webp", lossless=True)
    Image.new("RGB", plain.size, "white").save(tmp_path / "white.png")
    plain.save(tmp_path / "plain.tiff")
    options = LookOptions(top=1)

    def ask(name: str) -> tuple[float, ...]:
        look = look_at(str(tiny_warehouse), name, options)
        return tuple(one.activation for found in look.layers for one in found.neurons)

    wanted = ask(str(tmp_path / "plain.png"))
    assert ask(str(tmp_path / "plain.tiff")) == wanted
    assert ask(str(tmp_path / "nothing.webp")) == ask(str(tmp_path / "white.png"))
    turned.save(tmp_path / "lying.png")
    near = {"rel": 0.05}  # resized before it is turned: a grey level here and there
    assert ask(str(tmp_path / "turned.png")) == pytest.approx(wanted, **near)
    assert ask(str(tmp_path / "lying.png")) != pytest.approx(wanted, **near)
    with (tmp_path / "plain.png").open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        assert ask("-") == wanted


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("nowhere.png",), "cannot be read"),
        ((__file__,), "cannot be used: not_an_image"),
        (("s3://bucket/a.png",), "is a URL"),
        (("a.png", "--png", "a.jpg"), "not named .png"),
        (("a.png", "--html", "a.png"), "not named .html"),
        (("a.png", "--class", "cat"), "two or more"),
        (("a.png", "--class", "cat", "--class", "dog", "--template", "a"), "Write {} once"),
        (("a.png", "--layer", "visual.layer9"), "has a layer"),
        (("a.png", "--layer", "transformer.resblocks.1.mlp.gelu"), "reads no image"),
        (("huge.png",), "too_many_pixels"),
        (("half.jpg",), "image_truncated"),
    ],
)
def test_what_cannot_be_looked_at_says_why(
    tiny_warehouse: Path, tmp_path: Path, told, monkeypatch, arguments, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 40), "red").save("a.png")
    Image.new("1", (11_000, 10_000)).save("huge.png")
    Path("half.jpg").write_bytes(make_texture(4, (400, 400))[:9000])
    assert expected in told("look", *arguments, "--warehouse", tiny_warehouse, code=2)
    assert not list(tmp_path.glob("*.html")) and not Path("a.jpg").exists()
