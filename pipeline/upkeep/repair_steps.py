"""Making again what was made from a run: scores, compactions; and what is done about people's labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypedDict, TypeVar

from pipeline.base.effect_settings import AblationConfig, EffectConfig
from pipeline.base.errors import NeuronsError, WarehouseError
from pipeline.base.facet_settings import FacetProbeConfig
from pipeline.base.fields import make_settings
from pipeline.base.figure_settings import FigureConfig
from pipeline.base.locks import hold_lock
from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import ClassifyConfig, SimilarityConfig
from pipeline.base.storage import COPY, Store
from pipeline.base.support_settings import SupportConfig
from pipeline.base.visualise_settings import VisualiseConfig
from pipeline.tables.audit import Damage
from pipeline.tables.measured import (
    AblationRecord,
    ClassSetRecord,
    EffectRecord,
    FacetProbeRecord,
    FigureRecord,
    Measured,
    SimilarityRecord,
    SupportRecord,
    VisualisationRecord,
)
from pipeline.tables.record_list import Record, read_good
from pipeline.tables.runs import RunRecord, named_model, read_run
from pipeline.upkeep.compact import compact

Scores = TypeVar("Scores", bound=Measured)


@dataclass
class RepairSummary:
    """What a repair did."""

    damage_count: int = 0
    done: list[str] = field(default_factory=list)
    """What was made again."""
    left: list[str] = field(default_factory=list)
    """What could not be, and why."""


@dataclass(frozen=True)
class Repair:
    """One repair: where, and what goes before the recorded configuration."""

    store: Store
    model: str
    device: str
    progress: ProgressCallback
    summary: RepairSummary

    def model_of(self, run: RunRecord) -> str:
        """The run's model, as it is named today."""
        return self.model or named_model(run)

    def device_of(self, run: RunRecord) -> str:
        """Where it runs."""
        return self.device or run["config"].get("device", "auto")

    def attempt(self, what: str, step: Callable[[], str]) -> None:
        """One step and what it did, if anything; an error of ours is told, and the others go on."""
        try:
            if did := step():
                self.summary.done.append(f"{what}: {did}")
        except NeuronsError as error:
            self.summary.left.append(f"{what}: {error}")


def _drop_files(
    work: Repair, record: Record, damages: list[Damage], shape: type[Scores], known: str, cure: str
) -> Scores:
    """Take damaged files of scores out of their record and away; what the record says.

    Args:
        work: The repair.
        record: The record.
        damages: What is damaged of it.
        shape: What it says.
        known: What it alone knows, for the message if it is lost.
        cure: What makes it anew then.

    Raises:
        WarehouseError: The record itself is lost.
    """
    store = work.store
    with hold_lock(store, f"{record.path}.lock"):
        value = read_good(store, record.path, shape)[0]
        if value is None:
            raise WarehouseError(
                f"{record.path} and its copy are damaged, and with them {known}.",
                f"Move them away and {cure}.",
            )
        bad = {damage.path for damage in damages}
        files = [file for file in value["files"] if file["path"] not in bad]
        store.write_record(record.path, {**value, "files": files}, with_copy=True)
        for path in bad - {record.path, record.path + COPY}:
            store.delete(path)
    return value


class _Where(TypedDict):
    """What every measurement of a layer is given."""

    warehouse: str
    dataset: str
    run: str
    layer: str
    model: str
    device: str


def _where(work: Repair, record: Record, layer: str) -> _Where:
    run = read_run(work.store, record.folder)
    return {
        "warehouse": work.store.url,
        "dataset": record.dataset,
        "run": run["run_id"],
        "layer": layer,
        "model": work.model_of(run),
        "device": work.device_of(run),
    }


def _repair_similarity(work: Repair, record: Record, damages: list[Damage]) -> None:
    from pipeline.evidence.concept_scores import score_concepts

    def step() -> str:
        lost = ("which concepts were scored", "run neurons similarity again")
        identity = _drop_files(work, record, damages, SimilarityRecord, *lost)["identity"]
        run = read_run(work.store, record.folder)
        config = SimilarityConfig(
            work.store.url,
            record.dataset,
            run["run_id"],
            work.model_of(run),
            tuple(identity["templates"]),
            work.device_of(run),
        )
        done = score_concepts(config, identity["concepts"], work.progress)
        return f"{done.shard_count - done.skipped_shard_count} shards scored again"

    work.attempt(f"similarity of {record.folder}", step)


def _repair_class_set(work: Repair, record: Record, damages: list[Damage]) -> None:
    from pipeline.evidence.classify import classify

    def step() -> str:
        lost = ("the classes and templates", "classify again: neurons similarity, attack or stroop")
        value = _drop_files(work, record, damages, ClassSetRecord, *lost)
        run = read_run(work.store, record.folder)
        config = ClassifyConfig(
            work.store.url,
            record.dataset,
            run["run_id"],
            work.model_of(run),
            tuple(value["identity"]["classes"]),
            tuple(value["identity"]["templates"]),
            value["class_set"],
            work.device_of(run),
        )
        done = classify(config, work.progress)
        return f"{done.shard_count - done.skipped_shard_count} shards scored again"

    work.attempt(f"class set {record.path.rsplit('/', 1)[-1]} of {record.folder}", step)


def _repair_effects(work: Repair, record: Record, damages: list[Damage]) -> None:
    from pipeline.effects.run import measure_effects

    def step() -> str:
        lost = ("which neurons were measured, and how", "run neurons effect again")
        value = _drop_files(work, record, damages, EffectRecord, *lost)
        identity = value["identity"]
        config = EffectConfig(
            **_where(work, record, value["layer"]),
            units=tuple(value["units"]),
            levels=tuple(identity["levels"]),
            hidden=identity["hidden"],
            shown=identity["shown"],
            seed=identity["seed"],
            templates=tuple(identity["templates"]),
        )
        (done,) = measure_effects(config, work.progress)
        return f"{done.new_count} neurons measured again"

    work.attempt(f"effects of {record.folder}", step)


def _repair_ablations(work: Repair, record: Record, damages: list[Damage]) -> None:
    from pipeline.effects.ablate import measure_ablations

    def step() -> str:
        lost = ("which attacks were tried, and how", "run neurons ablate again")
        value = _drop_files(work, record, damages, AblationRecord, *lost)
        identity = value["identity"]
        config = AblationConfig(
            **_where(work, record, value["layer"]),
            class_set=value["class_set"],
            counts=tuple(identity["counts"]),
            draws=identity["draws"],
            images=identity["images"],
            seed=identity["seed"],
        )
        (done,) = measure_ablations(config, work.progress)
        return f"{done.new_count} attacks tried again"

    work.attempt(f"ablations of {record.folder}", step)


def _repair_support(work: Repair, record: Record, damages: list[Damage]) -> None:
    from pipeline.support.run import measure_support

    def step() -> str:
        lost = ("which fresh images were made", "run neurons support again")
        value = _drop_files(work, record, damages, SupportRecord, *lost)
        identity = value["identity"]
        config = SupportConfig(
            **_where(work, record, value["layer"]),
            images=identity["images"],
            controls=identity["controls"],
            fonts=tuple(identity["fonts"]),
            sets=tuple(identity["sets"]),
            size_px=identity["size_px"],
            seed=identity["seed"],
        )
        (done,) = measure_support(config, work.progress)
        return f"{done.new_count} fresh images measured again"

    work.attempt(f"support of {record.folder}", step)


def _repair_facet_probe(work: Repair, record: Record, damages: list[Damage]) -> None:
    from pipeline.visualise.facet_run import train_facet_probes

    def step() -> str:
        lost = ("by which images it was trained", "run neurons facet-probes again")
        value = _drop_files(work, record, damages, FacetProbeRecord, *lost)
        identity = value["identity"]
        config = FacetProbeConfig(
            **_where(work, record, value["layer"]),
            facets=(value["facet"],),
            shown=identity["shown"],
            others=identity["others"],
            probe_layer=identity["probe_layer"],
            images=identity["images"],
            seed=identity["seed"],
        )
        (done,) = train_facet_probes(config, work.progress)
        return f"{int(done.is_new)} probes trained again"

    work.attempt(f"facet probe {record.path.rsplit('/', 1)[-1]} of {record.folder}", step)


def _repair_visualisations(work: Repair, record: Record, damages: list[Damage]) -> None:
    from pipeline.visualise.run import visualise_neurons

    def step() -> str:
        lost = ("which neurons drew, and how", "run neurons visualise again")
        value = _drop_files(work, record, damages, VisualisationRecord, *lost)
        new_count = 0
        for drawing in value["drawn"]:
            given = {
                **drawing["choice"],
                **_where(work, record, value["layer"]),
                "units": drawing["units"],
                "directions": drawing["directions"],
            }
            config = make_settings(VisualiseConfig, given, record.path)
            (done,) = visualise_neurons(config, work.progress)
            new_count += done.new_count
        return f"{new_count} pictures drawn again"

    work.attempt(f"pictures of {record.folder}", step)


def _repair_figure(work: Repair, record: Record, damages: list[Damage]) -> None:
    from pipeline.figures.run import measure_figures

    def step() -> str:
        lost = ("which figure it was of", "run neurons figures again")
        value = _drop_files(work, record, damages, FigureRecord, *lost)
        config = make_settings(
            FigureConfig,
            {
                **_where(work, record, value["layer"]),
                "figures": [value["identity"]["figure"]],
                "words": value["identity"]["texts"],
            },
            record.path,
        )
        (done,) = measure_figures(config, work.progress)
        return f"{done.row_count} rows asked for again"

    work.attempt(f"figures of {record.folder}", step)


def _repair_compact(work: Repair, record: Record, damages: list[Damage]) -> None:
    store = work.store

    def step() -> str:
        with hold_lock(store, f"{record.folder}/compact.lock"):
            for damage in damages:
                store.delete(damage.path)
            store.delete(record.path)  # until it is there again, the shards answer
        return compact_run(work, record.folder)

    work.attempt(f"compaction of {record.folder}", step)


def compact_run(work: Repair, folder: str) -> str:
    """Compact the run in a folder again; what was done, if anything."""
    done = compact(work.store.url, folder.partition("/run_id=")[2], work.progress)
    return f"{done.row_count} rows compacted again" if done.run_count else ""


def _repair_labels(work: Repair, record: Record, damages: list[Damage]) -> None:
    """Nobody can make people's labels again: put them where no view reads them, and say so."""
    _put_aside(work.store, record, damages)
    work.summary.left.append(
        f"{record.path}: labels that a person gave cannot be made again. They lie beside it as "
        "*.damaged; import them again with neurons label import, if you have the file"
    )


def _repair_concepts(work: Repair, record: Record, damages: list[Damage]) -> None:
    """A person's own phrases are in nothing else: put them where nothing reads them, and say so."""
    _put_aside(work.store, record, damages)
    work.summary.left.append(
        f"{record.path}: concepts that a person gave cannot be made again. They lie beside it as "
        "*.damaged; give them again with neurons concepts add, if you have the file"
    )


def _put_aside(store: Store, record: Record, damages: list[Damage]) -> None:
    aside = sorted({damage.path for damage in damages} | {record.path, record.path + COPY})
    with hold_lock(store, f"{record.path.removesuffix('.json')}.lock"):
        for path in aside:
            if store.exists(path):
                store.fs.mv(store.path(path), store.path(f"{path}.damaged"))


STEPS: dict[str, Callable[[Repair, Record, list[Damage]], None]] = {
    "similarity": _repair_similarity,
    "class set": _repair_class_set,
    "effects": _repair_effects,
    "ablations": _repair_ablations,
    "support": _repair_support,
    "facet probe": _repair_facet_probe,
    "visualisations": _repair_visualisations,
    "figures": _repair_figure,
    "compact": _repair_compact,
    "labels": _repair_labels,
    "concepts": _repair_concepts,
}
