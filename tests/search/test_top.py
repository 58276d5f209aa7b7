"""``neurons top``: as many images as are asked for, or a word about why not; tars only for a picture."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.main import get_command

from bench.data import synthesise_activations, write_run
from pipeline.base.errors import ConfigError
from pipeline.base.storage import Store
from pipeline.cli.app import app
from pipeline.cli.neuron_arguments import which_neuron
from pipeline.clip.hooks import Layer, LayerSpec
from pipeline.extract.results import LayerOutput
from pipeline.search.top import find_top
from pipeline.upkeep.move import move_shards
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import NamedNeuron, find_neuron

pytestmark = pytest.mark.slow

POSITIVE = "visual.layer3.0"
"""Stores what is above zero."""
ALL = "transformer.resblocks.1.mlp.gelu"
"""Stores everything."""
KEPT = 10
"""Of each neuron, by the run."""


@pytest.fixture(scope="module")
def con(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        yield connection


def expected(con, neuron, polarity, k):
    """Sorted here, from everything that is stored of the neuron."""
    rows = con.execute(
        """
        select activation, example_id from activations
        inner join examples using (dataset, example_id)
        where layer = $layer and unit = $unit and duplicate_of is null
        """,
        {"layer": neuron.layer, "unit": neuron.unit},
    ).fetchall()
    sign = -1 if polarity == "positive" else 1
    return [(i, a) for a, i in sorted(rows, key=lambda row: (sign * row[0], row[1]))[:k]]


@pytest.mark.parametrize(
    ("layer", "polarity"), [(POSITIVE, "positive"), (ALL, "positive"), (ALL, "negative")]
)
@pytest.mark.parametrize("k", [3, KEPT, KEPT + 1, 20])
def test_more_than_the_run_keeps_come_from_the_activations(con, layer, polarity, k):
    neuron = find_neuron(con, layer, 7)
    top = find_top(con, neuron, k, polarity)
    assert [(row[3], row[1]) for row in top.rows] == expected(con, neuron, polarity, k)
    assert [row[0] for row in top.rows] == list(range(1, k + 1))
    assert top.note == ""


def test_fewer_than_asked_for_are_explained(con):
    neuron = find_neuron(con, ALL, 7)
    ((distinct,),) = con.execute(
        "select count(*) from examples where duplicate_of is null"
    ).fetchall()
    top = find_top(con, neuron, 500, "positive")
    assert len(top.rows) == distinct
    assert top.note == f"There are {distinct} of the 500 asked for: the run has no other."
    neuron = find_neuron(con, POSITIVE, 7)
    top = find_top(con, neuron, 500, "positive")
    assert all(row[1] > 0 for row in top.rows)
    assert top.note.endswith("of the 500 asked for: no other is above zero.")


def test_what_is_not_stored_is_said_and_how_to_have_it(con):
    ((unit,),) = con.execute(
        """
        select min(unit) from top_examples
        where layer like 'visual.layer4%' and polarity = 'negative' and example_rank = $kept
        """,
        {"kept": KEPT},
    ).fetchall()
    neuron = find_neuron(con, "goh2021", unit)
    assert find_top(con, neuron, KEPT, "negative").note == ""
    top = find_top(con, neuron, KEPT + 1, "negative")
    assert len(top.rows) == KEPT
    assert top.note.startswith(f"The run keeps the {KEPT} most inhibiting of each neuron")
    assert f"--top-k {KEPT + 1}" in top.note


@pytest.mark.parametrize(
    ("share", "is_rectified", "unit"),
    [(0.5, False, 0), (0.5, False, 3), (0.5, True, 0), (0.9, True, 1), (0.2, False, 0)],
)
def test_of_a_share_as_many_are_shown_as_are_the_strongest_for_sure(
    tmp_path, share, is_rectified, unit
):
    """What a shard left out comes after the last that it kept."""
    layer = Layer(LayerSpec("x"), "visual", "Block", "flat", 4, is_rectified)
    values = synthesise_activations(4 * 80, 4, 0.6).split(80)
    for number, block in enumerate(values):
        block += number / 8  # so one shard ends before the others
        block[:, 3] = torch.where(block[:, 3] > 1, 2.0, 1.0).half()  # ties
    if is_rectified:
        values = [block.clamp(min=0) for block in values]
    write_run(
        str(tmp_path),
        torch.cat(list(values)),
        80,
        LayerOutput(layer, f"top:{share}", torch.float16),
    )
    order, cuts = [], []
    for number, block in enumerate(values):
        keys = sorted((-value, number << 20 | n) for n, value in enumerate(block[:, unit].tolist()))
        keys = [key for key in keys if key[0] < 0 or not is_rectified]
        order += keys
        count = math.ceil(share * 80)
        cuts += keys[count - 1 : count] if len(keys) >= count else []
    order.sort()
    sure = order.index(min(cuts)) + 1 if cuts else len(order)
    with connect(tmp_path) as con:
        neuron = find_neuron(con, "x", unit)
        for k in (100, 101, sure, sure + 1, 320):
            top = find_top(con, neuron, k, "positive")
            shown = min(k, len(order), max(sure, 100))
            assert [(-row[1], row[3]) for row in top.rows] == order[:shown], k
            if k <= shown:
                assert top.note == ""
            elif cuts:
                assert f"the first {shown} are the strongest of all for sure" in top.note
                assert f"(--store top:{share})" in top.note and f"--top-k {k}" in top.note
            else:
                assert top.note.endswith("no other is above zero.")


def test_none_asked_for_is_an_error(con, tiny_warehouse, told):
    with pytest.raises(ConfigError, match="k is 0"):
        find_top(con, find_neuron(con, ALL, 7), 0, "positive")
    assert "k is 0" in told("top", POSITIVE, 7, "-k", 0, "--warehouse", tiny_warehouse, code=2)


def test_the_table_needs_no_tars_and_the_picture_says_that_it_does(
    tiny_warehouse, tmp_path, told, caplog
):
    place, tars = tmp_path / "warehouse", tmp_path / "tars"
    shutil.copytree(tiny_warehouse, place)
    with connect(place) as connection:
        ((url,),) = connection.execute("select min(url) from shards").fetchall()
    others = Path(url).parent
    shutil.copytree(others, tars)
    move_shards(Store(place), str(others), str(tars))
    tars.rename(tmp_path / "elsewhere")
    out = told("top", POSITIVE, 7, "-k", 3, "--warehouse", place)
    assert "visual.layer3.0:output:max  unit 7  positive" in out
    sheet = ("--sheet", tmp_path / "top.png")
    told("top", POSITIVE, 7, "--warehouse", place, *sheet)
    assert any("pictures need the tars" in line for line in caplog.messages)
    with Image.open(tmp_path / "top.png") as image:
        assert (228, 232, 236) in {colour for _, colour in image.getcolors(1 << 24)}
    (tmp_path / "elsewhere").rename(tars)
    out = told("top", POSITIVE, 7, "-k", 25, "--warehouse", place, *sheet)
    with Image.open(tmp_path / "top.png") as image:
        assert image.height > 300, "two rows"
    assert "Picture: " in out


@pytest.mark.parametrize(
    "called",
    [("a:b", 7, None, None), (None, None, "a:b", 7), ("a:b", None, None, 7),
     ("7", None, "a:b", None)],
)  # fmt: skip
def test_a_neuron_is_named_by_arguments_or_options(called):
    assert which_neuron(*called, "r", None) == NamedNeuron("a:b", 7, run="r", dataset=None)


@pytest.mark.parametrize(
    ("called", "message"),
    [((None, None, None, None), "layer and unit are not said"),
     ((POSITIVE, None, None, None), "unit is not said"),
     ((None, None, None, 7), "layer is not said"),
     ((POSITIVE, 7, None, 7), "unit is said twice"),
     ((POSITIVE, 7, ALL, None), "layer is said twice"),
     (("five", None, ALL, None), "'five' is no unit")],
)  # fmt: skip
def test_what_is_missing_or_said_twice_is_told(called, message):
    with pytest.raises(ConfigError, match=message):
        which_neuron(*called, None, None)


def test_every_command_about_a_neuron_takes_both(tiny_warehouse, tmp_path, told):
    commands = {
        ("top",): ("-k", 1),
        ("like",): ("-k", 1),
        ("card",): ("--out", tmp_path / "card.html"),
        ("label", "export"): ("--out", tmp_path / "sheet", "--per-bin", 1),
    }
    for name, more in commands.items():
        neuron = ("--layer", POSITIVE, "--unit", 7)
        assert told(*name, *neuron, *more, "--warehouse", tiny_warehouse)
        assert "is not said" in told(*name, POSITIVE, *more, "--warehouse", tiny_warehouse, code=2)
        (layer,) = (p for p in command_of(name).params if p.name == "layer")
        assert layer.param_type_name == "argument"


def command_of(names):
    command = get_command(app)
    for name in names:
        command = command.commands[name]
    return command


@pytest.mark.parametrize(
    ("more", "message"),
    [(("vit-mlp", 7), "No run here has a layer 'vit-mlp'"),
     ((POSITIVE, 7, "--dataset", "nope"), "There is no dataset 'nope' in this warehouse."),
     ((POSITIVE, 7, "--run", "nope"), "There is no run 'nope'")],
)  # fmt: skip
def test_what_is_not_there_is_told(tiny_warehouse, told, more, message):
    assert message in told("top", *more, "--warehouse", tiny_warehouse, code=2)


def test_a_preset_names_a_layer_everywhere(tiny_warehouse, tmp_path, told):
    here = ("--warehouse", tiny_warehouse)
    assert "visual.layer4.0.act3:input:max  unit 3" in told("top", "goh2021", 3, *here)
    card = ("--out", tmp_path / "card.html")
    assert "visual.layer4.0.act3:input:max  unit 3" in told("card", "goh2021", 3, *card, *here)
    assert "visual.layer4.0.act3:input:max  unit 3" in told("like", "goh2021", 3, "-k", 1, *here)
    assert "visual.layer4.0.act3" in told(
        "find", "cat", "--by", "concepts", "--layer", "goh2021", *here
    )
