"""Labels held against fresh images: ``neurons support``. What was measured is named by a record, written last;
images that an interrupted attempt has measured are not measured again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.base.leftovers import clear_half_written, clear_unnamed
from pipeline.base.locks import hold_lock
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import digest
from pipeline.base.storage import Store, partition
from pipeline.base.support_settings import SupportConfig
from pipeline.support.measure import KINDS, Work
from pipeline.tables.datasets import read_dataset
from pipeline.tables.measured import SupportRecord, named_paths
from pipeline.tables.records import read_record
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import FoundLayer, find_image_layers


@dataclass(frozen=True)
class SupportSummary:
    """What was measured of a layer."""

    dataset: str
    run_id: str
    layer: str
    image_count: int
    new_count: int
    """Of the images, measured just now."""
    concept_count: int
    drawn_count: int
    """Concepts that are drawn as well as written."""
    bare_count: int
    """Concepts that no font can write and no set draws."""
    made_with: tuple[str, ...]
    """Fonts and sets."""

    def __str__(self) -> str:
        left = f"; {self.bare_count} can neither be written nor drawn" * bool(self.bare_count)
        return (
            f"{self.dataset}, run {self.run_id}, {self.layer}: {self.image_count} fresh images of "
            f"{self.concept_count} concepts, {self.drawn_count} of them drawn{left}; "
            f"{self.new_count} images measured now"
        )


def measure_support(
    config: SupportConfig, progress: ProgressCallback | None = None
) -> list[SupportSummary]:
    """Measure what the neurons of a run answer to fresh images of its labels' concepts.

    Raises:
        ConfigError: No font and no set of drawings is fresh.
        ConfigMismatchError: The model is not the run's.
        HookError: The layer that is meant is of a text tower.
        WarehouseError: No such run or layer; or there are fewer than two concepts.
        NeuronsError: The model cannot be loaded, or a font or set is not there.
    """
    store, progress = Store(config.warehouse), progress or NoProgress()
    read_dataset(store, config.dataset)  # says which there are
    with connect(config.warehouse) as connection:
        layers = find_image_layers(connection, config.dataset, config.run, config.layer or None)
        work = Work(store, connection, config, progress)
        return [measure_layer(work, layer) for layer in layers]


def measure_layer(work: Work, layer: FoundLayer) -> SupportSummary:
    """Measure what is new of a layer, and write the record that names all."""
    store, identity = work.store, work.identity(layer.layer)
    record = f"{work.folder}/support/{digest(layer.layer)}.json"
    places = [f"{work.folder}/{kind}/{partition(layer=layer.layer)}" for kind in KINDS]
    with hold_lock(store, f"{record}.lock") as lock:
        clear_half_written(store, lock, *places)
        clear_half_written(store, lock, f"{work.folder}/support", prefix=record.rsplit("/", 1)[-1])
        known = read_record(store, record, SupportRecord) if store.exists(record) else None
        made = work.measure(layer.layer, places)
        if known is None or made.files != known["files"]:
            value: SupportRecord = {
                "layer": layer.layer,
                "identity": identity,
                "files": made.files,
                "previous": [file["path"] for file in known["files"]] if known else [],
                "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            store.write_record(record, value, with_copy=True)
        for place in places:
            clear_unnamed(
                store, lock, place, named_paths(read_record(store, record, SupportRecord))
            )
    return SupportSummary(
        layer.dataset,
        layer.run_id,
        layer.layer,
        made.image_count,
        made.new_count,
        len(work.concepts),
        made.drawn_count,
        made.bare_count,
        tuple(identity["made_with"]),
    )
