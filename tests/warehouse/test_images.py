"""Pictures are of the images that were indexed, or an error: never of whatever lies in the tar now."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from making import make_image
from PIL import Image

from pipeline.base.errors import WarehouseError
from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.cli.app import main
from pipeline.upkeep.build import build
from pipeline.warehouse.connect import connect
from pipeline.warehouse.images import IMAGE_COLUMNS, make_thumbnail, read_image, show_image

LAYER = "visual.layer4.0.act3"
PICTURES = {
    "top": ("top", "--layer", LAYER, "--unit", "UNIT", "--sheet", "out.png"),
    "card": ("card", LAYER, "UNIT", "--out", "out.png"),
    "report": ("report", "--out", "out.html"),
    "label sheet": ("label", "export", LAYER, "UNIT", "--out", "sheet"),
    "attack": (
        *("stimuli", "typographic", "dataset:textures", "--dataset", "attacked"),
        *("--text", "iPod", "--limit", 3),
    ),
    "forms": ("stimuli", "forms", "dataset:textures", "--dataset", "redrawn"),
}


def swap_tars(warehouse: Path, folder: Path, places: list[tuple[Any, ...]]) -> None:
    """Let a dataset's shards be others of the same sizes: each image is another valid one."""
    record = warehouse / "dataset=textures/dataset.json"
    value = json.loads(record.read_text())
    for shard in value["shards"]:
        old, new = Path(shard["url"]), folder / Path(shard["url"]).name
        data = bytearray(old.read_bytes())
        for number, (url, offset, size, _) in enumerate(places):
            if url == shard["url"]:
                data[offset : offset + size] = make_image(number).ljust(size, b"\0")
        new.write_bytes(data)
        assert new.stat().st_size == old.stat().st_size
        shard["url"] = str(new)
    record.write_text(json.dumps(value))


@pytest.fixture(scope="module")
def swapped(tiny_warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A warehouse whose every tar has been swapped, and a unit that its images excite."""
    folder = tmp_path_factory.mktemp("swapped")
    shutil.copytree(tiny_warehouse, folder / "warehouse")
    build(folder / "warehouse", LabelSettings(label_max_q=1.0))  # a report shows labelled neurons
    with connect(folder / "warehouse") as connection:
        (unit,) = connection.execute(
            "select arg_max(unit, (active_frac, -unit)) from neuron_stats where layer like $layer",
            {"layer": f"{LAYER}:%"},
        ).fetchall()[0]
        places = connection.execute(
            f"select {IMAGE_COLUMNS} from examples inner join shards using (dataset, shard_ordinal)"
        ).fetchall()
    swap_tars(folder / "warehouse", folder, places)
    return folder / "warehouse", unit


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["neurons", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


@pytest.mark.parametrize("command", PICTURES.values(), ids=PICTURES)
@pytest.mark.slow
def test_a_swapped_tar_of_the_same_size_is_never_drawn(
    swapped: tuple[Path, int],
    command: tuple[object, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    warehouse, unit = swapped
    monkeypatch.chdir(tmp_path)
    command = tuple(unit if one == "UNIT" else one for one in command)
    assert run(monkeypatch, *command, "--warehouse", warehouse) == 2
    error = capsys.readouterr().err
    assert "has changed since it was indexed" in error and ".tar" in error
    assert "Put the same tar back" in error
    for name in ("out.png", "out.html", "sheet/index.html", "sheet/images/0001.jpg"):
        assert not (tmp_path / name).exists()


def test_an_image_is_one_range_read_away(tiny_warehouse: Path, tmp_path: Path) -> None:
    with connect(tiny_warehouse) as connection:
        url, offset, size, sha256 = connection.execute(
            f"select {IMAGE_COLUMNS} from examples inner join shards using (dataset, shard_ordinal) "
            "order by example_id limit 1"
        ).fetchall()[0]
    store = Store(tiny_warehouse)
    data = read_image(store, url, offset, size, sha256)
    assert Path(url).read_bytes()[offset : offset + size] == data
    cut = tmp_path / "cut.tar"
    cut.write_bytes(Path(url).read_bytes()[: offset + size - 1])
    with pytest.raises(WarehouseError, match="has changed"):
        read_image(store, str(cut), offset, size, sha256)
    with pytest.raises(WarehouseError, match=r"gone\.tar cannot be read"):
        read_image(store, str(tmp_path / "gone.tar"), offset, size, sha256)
    assert show_image(store, url, offset, size, sha256) == data
    with pytest.raises(WarehouseError, match="has changed"):
        show_image(store, str(cut), offset, size, sha256)
    cards = [show_image(store, str(tmp_path / f"{n}.tar"), offset, size, sha256) for n in "ab"]
    assert cards[0] != cards[1], "each names its tar"
    for card in cards:
        assert make_thumbnail(card, 112).getpixel((1, 1)) == (228, 232, 236)


@pytest.mark.parametrize(
    ("form", "size"),
    [({}, (20, 20)), ({"is_square": False}, (10, 20)), ({"is_filled": True}, (40, 40))],
)
def test_a_thumbnail_is_upright_on_white_and_no_larger_than_asked(form, size) -> None:
    file = io.BytesIO()
    turned = Image.Exif()
    turned[0x0112] = 6  # lies on its side
    Image.new("RGB", (20, 10), "#c02020").save(file, "PNG", exif=turned)
    side = 40 if "is_filled" in form else 20
    small = make_thumbnail(file.getvalue(), side, **form)
    assert small.size == size and small.mode == "RGB"
    middle = small.getpixel((small.width // 2, small.height // 2))
    assert middle == (192, 32, 32)
    assert (small.getpixel((0, small.height // 2)) == (255, 255, 255)) == (size[0] == size[1])


def test_who_asks_where_an_image_lies_also_asks_for_its_hash() -> None:
    """Of an indexed image; the tars of WIT (``layouts``) come before there is an index."""
    root = Path(__file__).parents[2] / "pipeline"
    asking = [
        file
        for file in root.rglob("*.py")
        if file.parent.name != "layouts" and "image_offset" in file.read_text(encoding="utf-8")
    ]
    assert root / "warehouse" / "images.py" in asking
    for file in asking:
        assert "image_sha256" in file.read_text(encoding="utf-8"), file
