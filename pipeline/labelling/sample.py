"""A blind sample of neurons: can a person say what each one's strongest images have in common?

Goh et al. 2021 call 76 % of RN50x4's neurons interpretable, of 50 drawn at random. Here a sheet shows, in
random order, the strongest images of neurons and, among them, sets of images drawn at random that belong to
no neuron: how often a person sees something common in those is what chance gives. Which item is which stands
in ``sample.json`` alone, the key of the sheet.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict

from PIL import Image

from pipeline.base.errors import ConfigError, SourceError, WarehouseError
from pipeline.base.outputs import new_folder
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.question_settings import NeuronSampleOptions
from pipeline.base.settings import digest
from pipeline.base.storage import Store
from pipeline.labelling.files import LABELS_FILE, read_answers
from pipeline.labelling.sheet_page import render_sheet, write_labels_file
from pipeline.tables.records import check_shape
from pipeline.warehouse.find import FoundLayer
from pipeline.warehouse.images import find_places, make_thumbnail, read_image

if TYPE_CHECKING:
    import duckdb

SAMPLE_FILE = "sample.json"
TILE_PX, GAP_PX, COLUMNS = 96, 4, 4
NONE = "none"
"""What a person answers who sees nothing in common; the button of the page writes it."""

TASK = (
    "Each picture holds the images that belong together. Write what they have in common, in a few words; "
    "none if there is nothing that has a name. Leave a field empty to skip it. Some pictures hold images that "
    "were drawn at random: nobody knows which before all is answered. Then save labels.csv here, and:"
)


class SampleItem(TypedDict):
    """One picture of a sheet."""

    item: int
    """Its number, from 1."""
    image: str
    """Its file in the sheet's folder."""
    unit: NotRequired[int]
    """The neuron whose images it holds; images drawn at random have none."""
    example_ids: list[int]


class SampleKey(TypedDict):
    """``sample.json``: of which layer the neurons are, and which item is which."""

    sample: str
    dataset: str
    run_id: str
    layer: str
    count: int
    shams: int
    images: int
    seed: int
    """How it was drawn: `NeuronSampleOptions`."""
    items: list[SampleItem]


@dataclass(frozen=True)
class Judged:
    """What a person said of a sample."""

    key: SampleKey
    answers: dict[int, str]
    """By unit; `NONE`, or what the images have in common. Neurons without an answer are left out."""
    sham_answers: tuple[str, ...]
    """Of the sets that were drawn at random."""


def export_sample(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    layer: FoundLayer,
    out: Path,
    options: NeuronSampleOptions,
    progress: ProgressCallback | None = None,
) -> SampleKey:
    """Draw neurons at random and write a sheet with the strongest images of each.

    The folder then holds ``labels.csv`` (one empty line a picture), ``images/``, ``index.html`` (which saves
    the filled CSV and needs no network) and, written last, ``sample.json``. The same arguments draw the same
    neurons and images in the same order.

    Args:
        connection: Of ``pipeline.connect``.
        store: The warehouse.
        layer: Which neurons are meant.
        out: The folder to make.
        options: How many of what.
        progress: Told of every picture.

    Raises:
        ConfigError: The folder holds a sheet already.
        WarehouseError: The layer has no top images, or a tar is gone.
    """
    if (out / SAMPLE_FILE).exists():
        raise ConfigError(
            f"{out} already holds a sample of neurons.",
            "Give another --out, so that no answers are lost.",
        )
    drawn = _draw(connection, layer, options)
    where = {"dataset": layer.dataset, "run_id": layer.run_id, "layer": layer.layer}
    name = digest([*where.values(), *asdict(options).values(), drawn])
    items: list[SampleItem] = []
    for number, (unit, ids) in enumerate(drawn, 1):
        item: SampleItem = {"item": number, "image": f"images/{number:03d}.png", "example_ids": ids}
        if unit is not None:
            item["unit"] = unit
        items.append(item)
    key: SampleKey = {
        "sample": name,
        "dataset": layer.dataset,
        "run_id": layer.run_id,
        "layer": layer.layer,
        "count": options.count,
        "shams": options.shams,
        "images": options.images,
        "seed": options.seed,
        "items": items,
    }
    with new_folder(out, SAMPLE_FILE) as folder:
        pictures = _write_pictures(connection, store, key, folder, progress or NoProgress())
        command = f"neurons paper --dataset {layer.dataset} --judged THIS_FOLDER --out paper.html"
        page = render_sheet(name, TASK, command, pictures, ())
        (folder / "index.html").write_text(page, encoding="utf-8")
        write_labels_file(folder / LABELS_FILE, name, [image for image, _ in pictures])
        (folder / SAMPLE_FILE).write_text(json.dumps(key, indent=1) + "\n", encoding="utf-8")
    return key


def _draw(
    connection: duckdb.DuckDBPyConnection, layer: FoundLayer, options: NeuronSampleOptions
) -> list[tuple[int | None, list[int]]]:
    """Units, and None for a set at random, with the examples of each; in the order of the sheet.

    Every unit of the layer may be drawn. One that excites nothing has no image to show, and is drawn anew:
    a person could say nothing of it.
    """
    where = {"dataset": layer.dataset, "run_id": layer.run_id, "layer": layer.layer}
    tops = dict(
        connection.execute(
            """
            select unit, list(example_id order by example_rank)
            from top_examples
            where
                dataset = $dataset and run_id = $run_id and layer = $layer
                and polarity = 'positive' and example_rank <= $images
            group by unit
            order by unit
            """,
            {**where, "images": options.images},
        ).fetchall()
    )
    if not tops:
        raise WarehouseError(
            f"No neuron of {layer.layer!r} in run {layer.run_id!r} has top images.",
            "Run neurons build first, or name another layer with --layer.",
        )
    examples = [
        example_id
        for (example_id,) in connection.execute(
            """
            select example_id from stg_run_examples
            where dataset = $dataset and run_id = $run_id and not is_duplicate
            order by example_id
            """,
            {"dataset": layer.dataset, "run_id": layer.run_id},
        ).fetchall()
    ]
    chance = random.Random(f"{options.seed} {layer.layer}")
    units = chance.sample(list(tops), min(options.count, len(tops)))
    drawn: list[tuple[int | None, list[int]]] = [(unit, tops[unit]) for unit in units]
    # As many images as some neuron has, which may be few: their number does not tell either.
    sizes = [len(tops[chance.choice(units)]) for _ in range(options.shams)]
    drawn.extend((None, chance.sample(examples, min(size, len(examples)))) for size in sizes)
    for _, ids in drawn:
        chance.shuffle(ids)  # the strongest first would tell a neuron from a set at random
    chance.shuffle(drawn)
    return drawn


def _write_pictures(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    key: SampleKey,
    folder: Path,
    progress: ProgressCallback,
) -> list[tuple[str, bytes]]:
    """A PNG for each item with its images side by side. Returns file name and JPEG of each."""
    wanted = sorted({example_id for item in key["items"] for example_id in item["example_ids"]})
    places = find_places(connection, key["dataset"], wanted)
    (folder / "images").mkdir()
    pictures = []
    progress.start("sample", len(key["items"]))
    try:
        for item in key["items"]:
            tiles = [
                make_thumbnail(read_image(store, *places[example_id]), TILE_PX, is_square=True)
                for example_id in item["example_ids"]
            ]
            grid = _lay_out(tiles)
            grid.save(folder / item["image"], "PNG")
            file = io.BytesIO()
            grid.save(file, "JPEG", quality=85)
            pictures.append((item["image"], file.getvalue()))
            progress.advance(1)
    finally:
        progress.finish()
    return pictures


def _lay_out(tiles: Sequence[Image.Image]) -> Image.Image:
    step = TILE_PX + GAP_PX
    rows = -(-len(tiles) // COLUMNS)
    grid = Image.new("RGB", (COLUMNS * step - GAP_PX, rows * step - GAP_PX), "white")
    for place, tile in enumerate(tiles):
        row, column = divmod(place, COLUMNS)
        grid.paste(tile, (column * step, row * step))
    return grid


def read_judged(folder: Path) -> Judged:
    """What a person answered on a sheet.

    Args:
        folder: Of `export_sample`, with its ``labels.csv`` filled.

    Raises:
        SourceError: It is no such folder, or nothing on it is answered, or lines are wrong.
    """
    place = folder / SAMPLE_FILE
    try:
        key: SampleKey = json.loads(place.read_text(encoding="utf-8"))
        check_shape(key, SampleKey, str(place))
    except OSError as error:
        raise SourceError(
            f"{folder} holds no sample of neurons: {error.strerror} ({SAMPLE_FILE}).",
            "Give the folder that neurons label sample wrote.",
        ) from error
    except (ValueError, WarehouseError) as error:
        why = error.message if isinstance(error, WarehouseError) else f"{error}."
        raise SourceError(
            f"{place} is not the key of a sample: {why}", "Restore it, or draw the sample again."
        ) from error
    known = {item["item"]: item for item in key["items"]}
    answers: dict[int, str] = {}
    shams: list[str] = []
    for item, said in read_answers(folder / LABELS_FILE, key["sample"], known).items():
        unit = known[item].get("unit")
        if unit is None:
            shams.append(said)
        else:
            answers[unit] = said
    if not answers:
        raise SourceError(
            f"{folder / LABELS_FILE} has no answer for any neuron.",
            "Open index.html of that folder, fill it, and save labels.csv there.",
        )
    return Judged(key, answers, tuple(shams))
