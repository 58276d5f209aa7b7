"""Sheets for people: sampled images of a neuron in blind order, to be labelled and read back.

How selective a neuron is shows only in images of every strength, not in its strongest (Goh et al. 2021,
the Trump neuron). Whoever labels them must not know how strong each is, so they come in random order
and under numbers; which number is which example stands in ``sheet.json`` alone, the key of the sheet.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.outputs import new_folder
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.question_settings import SheetOptions
from pipeline.base.settings import digest
from pipeline.base.storage import Store
from pipeline.labelling.files import LABELS_FILE, SHEET_FILE, SheetKey
from pipeline.labelling.sheet_page import render_sheet, write_labels_file
from pipeline.warehouse.find import Neuron
from pipeline.warehouse.images import find_places, make_thumbnail, read_image

if TYPE_CHECKING:
    import duckdb

THUMBNAIL_PX = 256
TASK = (
    "Write what each image shows, in one or two words, always the same word for the same thing. Images come in "
    "random order; leave a field empty to skip it. Then save, and:"
)
COMMAND = "neurons label import labels.csv --sheet THIS_FOLDER"
USED_LABELS = 50
"""Words of earlier sheets that a sheet offers, at most."""
_SUFFIXES = {"image/jpeg": ".jpg", "image/svg+xml": ".svg"}


@dataclass(frozen=True)
class BinSample:
    """A uniform sample of the images in one bin of a neuron's activation."""

    sd_bin: int
    left_sd: float
    """Left edge in standard deviations on the axis of the layer (``layer_axes``), inclusive."""
    right_sd: float
    """Right edge, exclusive."""
    sampled_frac: float
    """Share of the bin's images that ``neuron_samples`` holds, estimated; 1: all of them."""
    example_ids: tuple[int, ...]
    activations_sd: tuple[float, ...]
    """Of each example, on that axis."""


@dataclass(frozen=True)
class DrawnSheet:
    """Which images people are shown of a neuron, in which order."""

    name: str
    """A hash of all of it."""
    neuron: Neuron
    options: SheetOptions
    example_ids: tuple[int, ...]
    """Item n is the n-th of them, from 1: a random order."""
    bin_count: int


@dataclass(frozen=True)
class SheetSummary:
    """A sheet that was written."""

    sheet: str
    """Its id, a hash of what is on it."""
    folder: Path
    image_count: int
    bin_count: int


def bin_samples(
    connection: duckdb.DuckDBPyConnection, neuron: Neuron, per_bin: int
) -> list[BinSample]:
    """Up to ``per_bin`` examples of every bin of a neuron, drawn at random, weakest bin first.

    Args:
        connection: Of ``pipeline.connect``.
        neuron: Of `find_neuron`.
        per_bin: The largest number of examples of a bin.
    """
    rows = connection.execute(
        """
        select
            sd_bin, bin_left_sd, bin_right_sd, min(sampled_frac),
            list(example_id order by sample_rank),
            list(if(axis = 'z', activation_z, activation_sd) order by sample_rank)
        from neuron_samples
        where
            dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
            and sample_rank <= $per_bin
        group by sd_bin, bin_left_sd, bin_right_sd
        order by sd_bin
        """,
        {**neuron.parameters, "per_bin": per_bin},
    ).fetchall()
    return [
        BinSample(bin_, left, right, frac, tuple(ids), tuple(sds))
        for bin_, left, right, frac, ids, sds in rows
    ]


def draw_sheet(
    connection: duckdb.DuckDBPyConnection, neuron: Neuron, options: SheetOptions
) -> DrawnSheet:
    """Choose the images of a sheet, and their order. The same arguments give the same.

    Args:
        connection: Of ``pipeline.connect``.
        neuron: Of `find_neuron`.
        options: How many images, and in which order.

    Raises:
        WarehouseError: There are no samples of the neuron.
    """
    per_bin, seed = astuple(options)
    bins = bin_samples(connection, neuron, per_bin)
    if not bins or not _has_samples(connection, neuron):
        raise _explain_none(connection, neuron)
    example_ids = sorted(example_id for each in bins for example_id in each.example_ids)
    random.Random(f"{seed} {neuron.layer} {neuron.unit}").shuffle(example_ids)
    drawn = {"seed": seed, "per_bin": per_bin, "example_ids": example_ids}
    name = digest({**neuron.parameters, **drawn})
    return DrawnSheet(name, neuron, options, tuple(example_ids), len(bins))


def export_sheet(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    neuron: Neuron,
    out: Path,
    options: SheetOptions | None = None,
    progress: ProgressCallback | None = None,
) -> SheetSummary:
    """Draw images from every bin of a neuron's activation and write a sheet to label them.

    The folder then holds ``labels.csv`` (one empty line an image), ``images/``, ``index.html`` (the
    images with a field each; it needs no network and saves the filled CSV) and, written last,
    ``sheet.json`` (the run, the neuron, and which item is which example). The same arguments draw the
    same images in the same order.

    Args:
        connection: Of ``pipeline.connect``.
        store: The warehouse.
        neuron: Of `find_neuron`.
        out: The folder to make.
        options: How many images, and in which order.
        progress: Told of every image.

    Raises:
        ConfigError: The folder holds a sheet already.
        WarehouseError: There are no samples of the neuron, or a tar is gone.
    """
    if (out / SHEET_FILE).exists():
        raise ConfigError(
            f"{out} already holds a labelling sheet.",
            "Give another --out, so that no labels are lost.",
        )
    drawn = draw_sheet(connection, neuron, options or SheetOptions())
    key: SheetKey = {
        "sheet": drawn.name,
        "dataset": neuron.dataset,
        "run_id": neuron.run_id,
        "layer": neuron.layer,
        "unit": neuron.unit,
        "seed": drawn.options.seed,
        "per_bin": drawn.options.per_bin,
        "items": [],
    }
    with new_folder(out, SHEET_FILE) as folder:
        _write_sheet(connection, store, folder, key, drawn.example_ids, progress or NoProgress())
    return SheetSummary(drawn.name, out, len(key["items"]), drawn.bin_count)


def _write_sheet(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    folder: Path,
    key: SheetKey,
    example_ids: Sequence[int],
    progress: ProgressCallback,
) -> None:
    """Write all files of a sheet into an empty folder.

    Args:
        connection: Of ``pipeline.connect``.
        store: The warehouse.
        folder: Where to.
        key: What the sheet is of; its items are put in.
        example_ids: The examples in their order.
        progress: Told of each image.
    """
    sheet = key["sheet"]
    items = _write_images(connection, store, key["dataset"], example_ids, folder, progress)
    key["items"] = [
        {"item": number, "image": image, "example_id": example_id}
        for number, ((image, _), example_id) in enumerate(zip(items, example_ids, strict=True), 1)
    ]
    page = render_sheet(sheet, TASK, COMMAND, items, used_labels(connection, key["dataset"]))
    (folder / "index.html").write_text(page, encoding="utf-8")
    write_labels_file(folder / LABELS_FILE, sheet, [image for image, _ in items])
    (folder / SHEET_FILE).write_text(json.dumps(key, indent=1) + "\n", encoding="utf-8")


def _write_images(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    dataset: str,
    example_ids: Sequence[int],
    folder: Path,
    progress: ProgressCallback,
) -> list[tuple[str, bytes]]:
    """Write each image as it is in its tar. Returns file name and JPEG thumbnail of each, in order."""
    places = find_places(connection, dataset, example_ids)
    kinds = connection.execute(
        """
        select example_id, mime_type from examples
        where dataset = $dataset and list_contains($ids::bigint[], example_id)
        """,
        {"dataset": dataset, "ids": list(example_ids)},
    ).fetchall()
    mimes = dict(kinds)
    items = []
    progress.start("sheet", len(example_ids))
    try:
        (folder / "images").mkdir()
        for number, example_id in enumerate(example_ids, 1):
            mime, data = mimes[example_id], read_image(store, *places[example_id])
            suffix = _SUFFIXES.get(mime, f".{mime.rsplit('/', 1)[1]}")
            name = f"images/{number:04d}{suffix}"
            (folder / name).write_bytes(data)
            items.append((name, _thumbnail(data)))
            progress.advance(1)
    finally:
        progress.finish()
    return items


def _thumbnail(data: bytes) -> bytes:
    """A JPEG of at most 256 px a side, on white, without the file's metadata."""
    file = io.BytesIO()
    make_thumbnail(data, THUMBNAIL_PX, is_square=False).save(file, "JPEG", quality=85)
    return file.getvalue()


def used_labels(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[str]:
    """Words that people gave to images of the dataset before, the most used first."""
    rows = connection.execute(
        """
        select category
        from human_labels
        where dataset = $dataset
        group by category
        order by count(*) desc, category
        limit $most
        """,
        {"dataset": dataset, "most": USED_LABELS},
    ).fetchall()
    return [label for (label,) in rows]


def _has_samples(connection: duckdb.DuckDBPyConnection, neuron: Neuron) -> bool:
    found = connection.execute(
        """
        select count(*) from stg_samples
        where dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
        """,
        neuron.parameters,
    ).fetchall()
    return bool(found[0][0])


def _explain_none(connection: duckdb.DuckDBPyConnection, neuron: Neuron) -> WarehouseError:
    where = f"unit {neuron.unit} of {neuron.layer!r} in run {neuron.run_id!r}"
    if not _has_samples(connection, neuron):
        return WarehouseError(
            f"There are no samples of {where}.",
            "Runs made before samples were kept have none: extract again under another --run name.",
        )
    return WarehouseError(
        f"There is nothing to sample from {where}: its activation is the same for every image.",
        "Choose a neuron with neuron_stats.sd above zero.",
    )
