"""Whether neurons matter: ``neurons effect``. What is measured is named by a record, written last; what was
measured before stays, as long as it is measured in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from pipeline.base.effect_settings import AblationConfig, EffectConfig
from pipeline.base.errors import ConfigError
from pipeline.base.leftovers import clear_half_written, clear_unnamed
from pipeline.base.locks import hold_lock
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import digest
from pipeline.base.storage import Store, partition
from pipeline.effects.blocks import KINDS, LayerWork
from pipeline.effects.choose import tested_names
from pipeline.effects.work import Work
from pipeline.tables.datasets import read_dataset
from pipeline.tables.measured import EffectRecord, named_paths
from pipeline.tables.records import read_record
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import FoundLayer, find_image_layers


@dataclass(frozen=True)
class LayerSummary:
    """What was measured of a layer."""

    dataset: str
    run_id: str
    layer: str
    neuron_count: int
    """That are measured now."""
    new_count: int
    """Of these, measured just now."""
    silent_count: int
    """That were meant and are never above zero."""
    bare_count: int
    """That were meant and for which no example is held out."""
    concept_count: int

    def __str__(self) -> str:
        left = f"; {self.silent_count} are never above zero" * bool(self.silent_count)
        left += f"; for {self.bare_count} no example is held out" * bool(self.bare_count)
        return (
            f"{self.dataset}, run {self.run_id}, {self.layer}: {self.neuron_count} neurons on "
            f"{self.concept_count} concepts, {self.new_count} of them measured now{left}"
        )


def measure_effects(
    config: EffectConfig, progress: ProgressCallback | None = None
) -> list[LayerSummary]:
    """Measure what neurons of a run do to what its images are taken for; what is measured is kept.

    Raises:
        ConfigError: Levels or prompts cannot work.
        ConfigMismatchError: The model is not the run's.
        HookError: The layer that is meant is of a text tower.
        WarehouseError: No such run, layer or unit; or too few concepts are tested.
        NeuronsError: The model cannot be loaded, or an image is gone.
    """
    check_levels(config.levels)
    store, progress = Store(config.warehouse), progress or NoProgress()
    read_dataset(store, config.dataset)  # says which there are
    with connect(config.warehouse) as connection:
        layers = choose_layers(connection, config)
        concepts = tested_names(connection, config.dataset, config.run)
        work = Work(store, connection, config, concepts, progress)
        return [measure_layer(work, layer) for layer in layers]


def check_levels(levels: Sequence[float]) -> None:
    """Refuse levels that leave nothing to compare.

    Raises:
        ConfigError: 0 is not among them, none is above it, one is below it, or one is there twice.
    """
    if 0 not in levels or min(levels) < 0 or max(levels) <= 0 or len(set(levels)) < len(levels):
        raise ConfigError(
            f"The levels are {list(levels)}.",
            "Give 0, which ablates, and one or more above it, each once: --level 0 --level 2.",
        )


def choose_layers(
    connection: duckdb.DuckDBPyConnection, config: EffectConfig | AblationConfig
) -> list[FoundLayer]:
    """The layers that are meant, without those of text towers unless one is named.

    Raises:
        HookError: All are of a text tower.
        WarehouseError: There is no such run or layer.
    """
    return find_image_layers(connection, config.dataset, config.run, config.layer or None)


def measure_layer(work: Work, layer: FoundLayer) -> LayerSummary:
    """Measure what is new of a layer, and write the record that names all."""
    store, identity = work.store, work.identity(layer.layer)
    record = f"{work.folder}/effects/{digest(layer.layer)}.json"
    places = [f"{work.folder}/{kind}/{partition(layer=layer.layer)}" for kind in KINDS]
    with hold_lock(store, f"{record}.lock") as lock:
        clear_half_written(store, lock, *places)
        clear_half_written(store, lock, f"{work.folder}/effects", prefix=record.rsplit("/", 1)[-1])
        known = read_record(store, record, EffectRecord) if store.exists(record) else None
        old = known if known and known["identity"] == identity else None
        layer_work = LayerWork(work, layer, identity, places, old)
        files = layer_work.measure()
        units = list(layer_work.plan.units)
        if old is None or (files, units) != (old["files"], old["units"]):
            value: EffectRecord = {
                "layer": layer.layer,
                "units": units,
                "identity": identity,
                "files": files,
                "previous": [file["path"] for file in known["files"]] if known else [],
                "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            store.write_record(record, value, with_copy=True)
        for place in places:
            clear_unnamed(store, lock, place, named_paths(read_record(store, record, EffectRecord)))
    plan = layer_work.plan
    return LayerSummary(
        layer.dataset,
        layer.run_id,
        layer.layer,
        len(plan.neurons),
        layer_work.new_count,
        len(plan.silent),
        len(plan.bare),
        len(work.concepts),
    )
