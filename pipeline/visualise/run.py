"""Neurons draw: ``neurons visualise``. Pictures are named by a record, written last; one that is there is not
drawn again, also where an attempt was interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.faults import faults_told
from pipeline.base.leftovers import clear_half_written, clear_unnamed
from pipeline.base.locks import hold_lock
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import digest
from pipeline.base.storage import Store, partition
from pipeline.base.visualise_settings import VisualiseConfig
from pipeline.tables.datasets import read_dataset
from pipeline.tables.manifests import FileEntry, make_entry
from pipeline.tables.measured import Drawing, VisualisationRecord, named_paths
from pipeline.tables.records import read_record
from pipeline.tables.schema import TABLES
from pipeline.visualise.choose import Chosen, choose_subjects
from pipeline.visualise.draw import Drawer, Picture
from pipeline.visualise.work import LayerWork, Work
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import FoundLayer, find_image_layers

TABLE = "visualisations"


@dataclass(frozen=True)
class VisualiseSummary:
    """What was drawn of a layer."""

    dataset: str
    run_id: str
    layer: str
    picture_count: int
    """Of what was meant, that are there now."""
    new_count: int
    """Of these, drawn just now."""
    dead: tuple[int, ...]
    """Units that answer alike to every image, and did not draw."""
    still: tuple[str, ...]
    """Neurons and directions that no change of the picture changes: there was nothing to climb."""
    settings: str
    """Hash of all that decided the pictures: the column of the view."""
    folder: str
    """Where they lie, in the warehouse."""

    def __str__(self) -> str:
        left = ""
        if self.dead:
            left += f"; not drawn, since they answer alike to every image: {_list(self.dead)}"
        if self.still:
            left += f"; not drawn, since their gradient is zero: {_list(self.still)}"
        return (
            f"{self.dataset}, run {self.run_id}, {self.layer}: {self.picture_count} pictures, "
            f"{self.new_count} of them drawn now{left}\n  in {self.folder}"
        )


def _list(names: Sequence[object]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(str(name) for name in names[:10]) + more


def visualise_neurons(
    config: VisualiseConfig, progress: ProgressCallback | None = None
) -> list[VisualiseSummary]:
    """Let neurons of a run, or directions in a layer, draw pictures; what is drawn is kept.

    Raises:
        ConfigError: It is not said which draw; or a direction cannot be read.
        ConfigMismatchError: The model is not the run's.
        HookError: The layer that is meant is of a text tower; or no lower layer can be chosen.
        WarehouseError: No such run, layer or unit; no such facet probe, or a poor one; an image is gone.
        NeuronsError: The model cannot be loaded.
    """
    store, progress = Store(config.warehouse), progress or NoProgress()
    read_dataset(store, config.dataset)  # says which there are
    with connect(config.warehouse) as connection:
        layers = find_image_layers(connection, config.dataset, config.run, config.layer or None)
        chosen = [choose_subjects(connection, layer, config) for layer in layers]
        work = Work(store, connection, config, progress)
        return [draw_layer(work, *pair) for pair in zip(layers, chosen, strict=True)]


def draw_layer(work: Work, layer: FoundLayer, chosen: Chosen) -> VisualiseSummary:
    """Draw what is not there yet of a layer, and write the record that names all."""
    store, one = work.store, LayerWork(work, layer.layer)
    place = f"{work.folder}/{TABLE}/{partition(layer=layer.layer)}"
    record = f"{work.folder}/{TABLE}/{digest(layer.layer)}.json"
    with hold_lock(store, f"{record}.lock") as lock:
        clear_half_written(store, lock, place)
        clear_half_written(store, lock, f"{work.folder}/{TABLE}", prefix=record.rsplit("/", 1)[-1])
        known = read_record(store, record, VisualisationRecord) if store.exists(record) else None
        drawer = Drawer(one, place, _read_pictures(store, known), known["files"] if known else [])
        meant = drawer.draw(chosen.subjects)
        if known is None or drawer.new_count or drawer.adopted_count:
            value: VisualisationRecord = {
                "layer": layer.layer,
                "drawn": _add_drawing(known["drawn"] if known else [], one, chosen),
                "files": [_write_table(store, place, drawer.pictures), *drawer.files],
                "previous": [file["path"] for file in known["files"]] if known else [],
                "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            store.write_record(record, value, with_copy=True)
            clear_unnamed(store, lock, place, named_paths(value))
    return VisualiseSummary(
        *(layer.dataset, layer.run_id, layer.layer, meant, drawer.new_count),
        *(chosen.dead, tuple(drawer.still), one.settings, place),
    )


def _read_pictures(store: Store, known: VisualisationRecord | None) -> list[Picture]:
    """What is known of the pictures that a record names."""
    found: list[Picture] = []
    for file in known["files"] if known else []:
        if file["table"] == TABLE:
            with faults_told(store.url), store.open(file["path"]) as opened:
                table = pq.read_table(opened, page_checksum_verification=True)
            found += [Picture(**row) for row in table.select(Picture._fields).to_pylist()]
    return found


def _write_table(store: Store, place: str, pictures: Sequence[Picture]) -> FileEntry:
    """All that is known of the pictures of a layer, in one file."""
    rows = [picture._asdict() for picture in pictures]
    table = pa.Table.from_pylist(rows, TABLES[TABLE].arrow_schema())
    rel = f"{place}/{digest([(one.picture, one.image_sha256, one.draw_s) for one in pictures])}.parquet"
    return make_entry(TABLE, rel, len(table), store.write_parquet(rel, table))


def _add_drawing(drawn: Sequence[Drawing], one: LayerWork, chosen: Chosen) -> list[Drawing]:
    """What was asked for, with what is asked for now."""
    same = [each for each in drawn if each["settings"] == one.settings]
    units = {unit for each in same for unit in each["units"]}
    units |= {subject.unit for subject in chosen.subjects if subject.unit is not None}
    directions = {name for each in same for name in each["directions"]}
    directions |= {subject.name for subject in chosen.subjects if subject.unit is None}
    new: Drawing = {
        "settings": one.settings,
        "choice": one.deciding,
        "units": sorted(units),
        "directions": sorted(directions),
    }
    return [*(each for each in drawn if each["settings"] != one.settings), new]
