"""What the figures ask, asked: ``neurons figures``. The figure of a layer is one file; the record that names it
is written last, and what is there already is not asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import get_args

from pipeline.base.figure_settings import Figure, FigureConfig
from pipeline.base.leftovers import clear_half_written, clear_unnamed
from pipeline.base.locks import hold_lock
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import digest
from pipeline.base.storage import Store, partition
from pipeline.figures.work import OF_MODEL, TABLE_OF, Work
from pipeline.tables.datasets import read_dataset
from pipeline.tables.manifests import adopt_file, make_entry
from pipeline.tables.measured import FigureRecord, named_paths
from pipeline.tables.records import read_record
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_image_layers


@dataclass(frozen=True)
class FigureSummary:
    """What was asked for one figure of a layer."""

    figure: Figure
    dataset: str
    run_id: str
    layer: str
    """Empty for a figure of the whole model."""
    row_count: int
    told: str
    """What was done, in words; empty if it was there already."""

    def __str__(self) -> str:
        return (
            f"{self.figure}: {self.dataset}, run {self.run_id}{', ' * bool(self.layer)}{self.layer}: "
            f"{self.told or f'{self.row_count} rows, there already'}"
        )


def measure_figures(
    config: FigureConfig, progress: ProgressCallback | None = None
) -> list[FigureSummary]:
    """Ask a run's model what the figures need, for each layer of its image tower where it is of layers.

    Raises:
        ConfigMismatchError: The model is not the run's.
        HookError: The layer that is meant is of a text tower.
        SourceError: The list of words cannot be read.
        WarehouseError: No such run or layer.
        NeuronsError: The model cannot be loaded.
    """
    store, progress = Store(config.warehouse), progress or NoProgress()
    read_dataset(store, config.dataset)  # says which there are
    figures: tuple[Figure, ...] = config.figures or get_args(Figure)
    with connect(config.warehouse) as connection:
        layers = find_image_layers(connection, config.dataset, config.run, config.layer or None)
        work = Work(store, connection, config, progress)
        asked = [
            (figure, layer)
            for figure in figures
            for layer in ([""] if figure in OF_MODEL else [one.layer for one in layers])
        ]
        return [_measure(work, figure, layer) for figure, layer in asked]


def _measure(work: Work, figure: Figure, layer: str) -> FigureSummary:
    """The figure of a layer or of the whole model, and the record that names it."""
    store, identity = work.store, work.identity(figure, layer)
    made_from = digest(identity)
    record = f"{work.folder}/figures/{figure}-{digest(layer)}.json"
    place = f"{work.folder}/{TABLE_OF[figure]}"
    if layer:
        place += f"/{partition(layer=layer)}"
    rel, told = f"{place}/{made_from}.parquet", ""
    with hold_lock(store, f"{record}.lock") as lock:
        clear_half_written(store, lock, place)
        clear_half_written(store, lock, f"{work.folder}/figures", prefix=record.rsplit("/", 1)[-1])
        known = read_record(store, record, FigureRecord) if store.exists(record) else None
        file = adopt_file(store, TABLE_OF[figure], rel)
        if file is None:
            table, told = work.make(figure, layer)
            file = make_entry(TABLE_OF[figure], rel, len(table), store.write_parquet(rel, table))
        value: FigureRecord = {
            "layer": layer,
            "identity": identity,
            "files": [{**file, "layer": layer or None, "ordinal": 0, "made_from": made_from}],
            "previous": [one["path"] for one in known["files"]] if known else [],
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        if known is None or known["files"] != value["files"]:
            store.write_record(record, value, with_copy=True)
        clear_unnamed(store, lock, place, named_paths(read_record(store, record, FigureRecord)))
    return FigureSummary(
        figure, work.config.dataset, work.config.run, layer, file["row_count"], told
    )
