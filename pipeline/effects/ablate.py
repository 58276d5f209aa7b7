"""Whether attacks live by the neurons they move: ``neurons ablate``. What is measured is named by a record,
written last; an attack that was tried before in the same way is not tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import duckdb
import pyarrow as pa

from pipeline.base.effect_settings import AblationConfig
from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.leftovers import clear_half_written, clear_unnamed
from pipeline.base.locks import hold_lock
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import digest
from pipeline.base.storage import Store, partition
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import Clip
from pipeline.clip.replay import Replay
from pipeline.clip.zero_shot import embed_classes
from pipeline.effects.attacks import AttackPlan, ClassSet, find_class_sets, plan_attacks
from pipeline.effects.flips import Classes, list_ablations, measure_attack
from pipeline.effects.run import choose_layers
from pipeline.evidence.classify import load_run_model
from pipeline.extract.images import Images
from pipeline.tables.datasets import read_dataset, run_folder
from pipeline.tables.manifests import FileEntry, adopt_file, make_entry
from pipeline.tables.measured import AblationIdentity, AblationRecord, named_paths
from pipeline.tables.records import read_record
from pipeline.tables.runs import read_run
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import FoundLayer


@dataclass(frozen=True)
class AblationSummary:
    """What was tried of a layer with the attacks of a class set."""

    dataset: str
    run_id: str
    class_set: str
    layer: str
    attack_count: int
    new_count: int
    """Of these, tried just now."""
    idle_count: int
    """Others: they flip no image of the half that is tried, or there are too few neurons to choose from."""

    def __str__(self) -> str:
        left = f"; {self.idle_count} flip no image that can be tried" * bool(self.idle_count)
        return (
            f"{self.dataset}, run {self.run_id}, {self.layer}, class set {self.class_set}: "
            f"{self.attack_count} attacks, {self.new_count} of them tried now{left}"
        )


def measure_ablations(
    config: AblationConfig, progress: ProgressCallback | None = None
) -> list[AblationSummary]:
    """Try the images that attacks of a run flip without the neurons that these attacks move most.

    Raises:
        ConfigError: A number of neurons cannot be.
        ConfigMismatchError: The model is not the run's.
        HookError: The layer that is meant is of a text tower.
        WarehouseError: No such run, layer or class set; it has no attack; or no activations are kept.
        NeuronsError: The model cannot be loaded, or an image is gone.
    """
    check_counts(config.counts)
    store = Store(config.warehouse)
    read_dataset(store, config.dataset)  # says which there are
    with connect(config.warehouse) as connection:
        layers = kept_layers(connection, config)
        class_sets = find_class_sets(connection, config)
        work = _Work(store, connection, config, progress or NoProgress())
        return [work.measure(layer, one) for layer in layers for one in class_sets]


def check_counts(counts: Sequence[int]) -> None:
    """Refuse numbers of neurons that cannot be.

    Raises:
        ConfigError: One is below one, or there twice.
    """
    if min(counts) < 1 or len(set(counts)) < len(counts):
        raise ConfigError(
            f"The numbers of neurons are {list(counts)}.",
            "Give one or more from 1 on, each once: --count 1 --count 10.",
        )


def kept_layers(connection: duckdb.DuckDBPyConnection, config: AblationConfig) -> list[FoundLayer]:
    """The layers that are meant and keep the activations by which neurons are chosen.

    Raises:
        ConfigError: None of them has so many neurons.
        HookError: All are of a text tower.
        WarehouseError: There is no such run or layer, or none of them keeps activations.
    """
    layers = choose_layers(connection, config)
    rows = connection.execute(
        "select layer from stg_layers where dataset = $dataset and run_id = $run_id and is_cut",
        {"dataset": config.dataset, "run_id": config.run},
    ).fetchall()
    cut = {name for (name,) in rows}
    kept = [layer for layer in layers if layer.layer not in cut]
    if not kept:
        raise WarehouseError(
            f"Layer {layers[0].layer!r} of run {config.run!r} does not keep all its activations.",
            "How much neurons move is read from them: make a run that stores them (--store positive).",
        )
    if all(min(config.counts) > layer.unit_count for layer in kept):
        raise ConfigError(
            f"{min(config.counts)} neurons are more than layer {kept[0].layer!r} has: {kept[0].unit_count}.",
            "Give a smaller --count.",
        )
    return kept


class _Work:
    """A measurement of one run: what its layers and class sets share."""

    def __init__(
        self,
        store: Store,
        connection: duckdb.DuckDBPyConnection,
        config: AblationConfig,
        progress: ProgressCallback,
    ) -> None:
        self.store, self.connection = store, connection
        self.config, self.progress = config, progress
        self.folder = run_folder(config.dataset, config.run)
        self.run = read_run(store, self.folder)

    @cached_property
    def clip(self) -> Clip:
        return load_run_model(self.run, self.config.model, self.config.device)

    def measure(self, layer: FoundLayer, class_set: ClassSet) -> AblationSummary:
        """Try what is new, and write the record that names all."""
        store, config = self.store, self.config
        record = f"{self.folder}/ablations/{digest([layer.layer, class_set.name])}.json"
        where = partition(layer=layer.layer, class_set=class_set.name)
        place = f"{self.folder}/ablations/{where}"
        identity: AblationIdentity = {
            "weights_sha256": self.run["identity"]["weights_sha256"],
            "layer": layer.layer,
            "class_set": class_set.name,
            "classes": list(class_set.classes),
            "templates": list(class_set.templates),
            "counts": sorted(config.counts),
            "draws": config.draws,
            "images": config.images,
            "seed": config.seed,
        }
        with hold_lock(store, f"{record}.lock") as lock:
            clear_half_written(store, lock, place)
            name = record.rsplit("/", 1)[-1]
            clear_half_written(store, lock, f"{self.folder}/ablations", prefix=name)
            plans, idle = plan_attacks(self.connection, layer, class_set.name, config)
            known = read_record(store, record, AblationRecord) if store.exists(record) else None
            trial = _Trial(self, layer, class_set, identity, place)
            files = trial.measure(plans, known["files"] if known else [])
            if known is None or (files, identity) != (known["files"], known["identity"]):
                value: AblationRecord = {
                    "layer": layer.layer,
                    "class_set": class_set.name,
                    "identity": identity,
                    "files": files,
                    "previous": [file["path"] for file in known["files"]] if known else [],
                    "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
                }
                store.write_record(record, value, with_copy=True)
            named = named_paths(read_record(store, record, AblationRecord))
            clear_unnamed(store, lock, place, named)
        return AblationSummary(
            layer.dataset,
            layer.run_id,
            class_set.name,
            layer.layer,
            len(plans),
            trial.new_count,
            idle,
        )


class _Trial:
    """One layer and the attacks of one class set: a file of each."""

    def __init__(
        self,
        work: _Work,
        layer: FoundLayer,
        class_set: ClassSet,
        identity: AblationIdentity,
        place: str,
    ) -> None:
        self.work, self.layer, self.class_set = work, layer, class_set
        self.identity, self.place, self.new_count = identity, place, 0

    def measure(self, plans: list[AttackPlan], known: list[FileEntry]) -> list[FileEntry]:
        """The files of all attacks: what was named before, what a killed attempt left, and new ones."""
        old = {file["made_from"]: file for file in known}
        files: list[FileEntry] = []
        progress = self.work.progress
        progress.start(f"ablate {self.layer.layer}", len(plans))
        try:
            for ordinal, plan in enumerate(plans):
                made_from = digest([self.identity, plan.made_from])
                file = old.get(made_from) or self._file(plan, ordinal, made_from)
                files.append({**file, "ordinal": ordinal})
                progress.advance(1, f"{plan.attack_text}, {plan.placement}")
        finally:
            progress.finish()
        return files

    def _file(self, plan: AttackPlan, ordinal: int, made_from: str) -> FileEntry:
        store = self.work.store
        rel = f"{self.place}/{ordinal:05d}-{made_from}.parquet"
        entry = adopt_file(store, "ablations", rel)
        if entry is None:
            self.new_count += 1
            table = self._table(plan)
            entry = make_entry("ablations", rel, len(table), store.write_parquet(rel, table))
        return {**entry, "layer": self.layer.layer, "made_from": made_from}

    def _table(self, plan: AttackPlan) -> pa.Table:
        work, config = self.work, self.work.config
        key = f"{config.seed}/{self.layer.layer}"
        images = Images(
            work.connection,
            work.store,
            self.layer.dataset,
            work.run["identity"],
            work.clip,
            [*(example_id for example_id, _ in plan.flipped), *plan.clean],
        )
        return measure_attack(
            self._replay,
            self._classes,
            plan,
            list_ablations(plan, config.counts, config.draws, key, self.layer.unit_count),
            images,
            config.batch_size,
        )

    @cached_property
    def _replay(self) -> Replay:
        clip = self.work.clip
        return Replay(clip, resolve_layers(clip, (self.layer.layer,))[0])

    @cached_property
    def _classes(self) -> Classes:
        names = tuple(sorted(self.class_set.classes))
        return Classes(names, embed_classes(self.work.clip, names, self.class_set.templates))
