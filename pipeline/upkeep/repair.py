"""Making again what is damaged: the command that ``check`` names.

An audit says what is damaged. Each shard that it touches is first marked as not done, under the lock of
whoever writes it, and then made anew with the configuration that its record holds; so a repair that is
interrupted goes on where it stopped. Nothing is made up: what only a source, a person or a lost record
knew is named, and everything else is kept.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from functools import partial
from pathlib import Path

from pipeline.base.errors import NeuronsError
from pipeline.base.fields import make_settings
from pipeline.base.locks import hold_lock
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import ExtractConfig
from pipeline.base.storage import COPY, Store
from pipeline.tables.audit import Damage, audit_warehouse
from pipeline.tables.manifest_files import (
    read_manifest,
    shard_file,
)
from pipeline.tables.manifests import BuildRecord, ShardManifest
from pipeline.tables.merged import MERGED_LOCK
from pipeline.tables.news import delete_told, write_told
from pipeline.tables.presence import drop_void_merges, forget_merges, mark_undone
from pipeline.tables.record_list import KINDS, Record, read_good
from pipeline.tables.records import UPDATE
from pipeline.tables.runs import MergedRecord, RunRecord, has_run, read_run, run_path
from pipeline.tables.snapshots import (
    drop_snapshots,
    find_snapshot_problem,
    list_folders,
    write_snapshot,
)
from pipeline.upkeep.build import build
from pipeline.upkeep.repair_steps import STEPS, Repair, RepairSummary, compact_run
from pipeline.warehouse.parts import MART


def repair(
    warehouse: str | Path,
    dataset: str | None = None,
    model: str = "",
    device: str = "",
    progress: ProgressCallback | None = None,
) -> RepairSummary:
    """Look at every file, and make again what is damaged or gone.

    Args:
        warehouse: Folder or URL.
        dataset: Only this dataset, and the marts.
        model: The runs' model, if it is no longer where their records say.
        device: Where it runs, if not where the records say.
        progress: Told of every step.
    """
    store, progress = Store(warehouse), progress or NoProgress()
    summary = RepairSummary()
    work = Repair(store, model, device, progress, summary)
    damages = _find_damages(work, dataset)
    summary.damage_count = len(damages)
    wrong = {f"marts/{damage.record.folder.split('/')[0]}" for damage in damages} - {"marts/marts"}
    restored = [damage for damage in damages if _restore_copy(work, damage)]
    if restored:
        damages = _find_damages(work, dataset)  # now with their files
    _drop_wrong_snapshots(work, dataset)
    _repair_datasets(work, damages)
    _forget_merges(work, damages)
    damages = _find_damages(work, dataset) if damages else []
    runs = _by_folder(damages, ("run", "shard"))
    for folder, found in runs.items():
        _repair_run(work, folder, found)
        _restore(work, folder)
        # what was merged with a shard that is another now
        if lost := drop_void_merges(store, folder):
            _extract_lost(work, folder, lost)
    for record, found in _by_record(damages).items():
        if record.kind in STEPS:
            STEPS[record.kind](work, record, found)
    for folder in runs:
        if store.exists(f"{folder}/compact.json"):  # of the shards as they were
            work.attempt(f"compaction of {folder}", partial(compact_run, work, folder))
    if summary.damage_count and store.exists("marts/build.json"):
        for rel in [rel for folder in sorted(wrong) for rel, _ in store.walk(folder)]:
            if MART.match(rel):  # perhaps made from what was damaged
                store.delete(rel)
        _rebuild(work, damages)
    return summary


def _drop_wrong_snapshots(work: Repair, dataset: str | None) -> None:
    """Snapshots that are damaged or do not say what the records say are made from these again."""
    store = work.store
    for folder in list_folders(store):
        if dataset not in (None, folder.split("/")[0].removeprefix("dataset=")):
            continue
        if problem := find_snapshot_problem(store, folder):
            drop_snapshots(store, folder)
            write_snapshot(store, folder)
            work.summary.damage_count += 1
            work.summary.done.append(f"{folder}/{problem.replace(' ', ', which ', 1)}: made again")


def _find_damages(work: Repair, dataset: str | None) -> list[Damage]:
    """What an audit finds; nothing in a dataset or a run of which a newer version of ours wrote a record."""
    damages = audit_warehouse(work.store, True, dataset, work.progress).damages
    newer = [damage for damage in damages if damage.is_newer]
    for damage in newer:
        line = f"{damage.path} {damage.problem}. {UPDATE}"
        work.summary.left += [line] * (line not in work.summary.left)
    folders = tuple(f"{damage.record.folder}/" for damage in newer if damage.record.kind != "marts")
    return [
        damage
        for damage in damages
        if not damage.is_newer and not f"{damage.record.folder}/".startswith(folders)
    ]


def _restore_copy(work: Repair, damage: Damage) -> bool:
    """Write a damaged record again from its copy, or a damaged copy from its record."""
    store, record = work.store, damage.record
    if not damage.is_of_record:
        return False
    path = record.path
    source = path if damage.path.endswith(COPY) else path + COPY
    if not store.exists(source) or read_good(store, source, KINDS[record.kind])[0] is None:
        return False
    with store.open(source) as file:
        data = file.read()
    write_told(store, damage.path, data)
    work.summary.done.append(f"{damage.path}: written again from {source}")
    return True


def _repair_datasets(work: Repair, damages: list[Damage]) -> None:
    from pipeline.sources.reindex import repair_dataset

    wrong = [d for d in damages if d.record.kind in ("dataset", "index")]
    wrong += [d for d in damages if "is of the shard" in d.problem and d not in wrong]
    for name in sorted({damage.record.dataset for damage in wrong}):
        mine = [damage for damage in wrong if damage.record.dataset == name]
        try:
            done, left = repair_dataset(work.store, name, mine, work.progress)
        except NeuronsError as error:
            done, left = [], [f"dataset {name}: {error}"]
        work.summary.done += done
        work.summary.left += left


def _repair_run(work: Repair, folder: str, damages: list[Damage]) -> None:
    """Mark the damaged shards of a run as not done, and extract them again."""
    store = work.store
    name = f"run {folder.partition('/run_id=')[2]}"
    if not has_run(store, folder):
        _tell_lost_run(work, folder, name)
        return
    try:
        record = read_run(store, folder)
    except NeuronsError:
        _tell_lost_run(work, folder, name)
        return
    paths = {d.record.path: d for d in damages if d.record.kind == "shard"}
    for path, damage in sorted(paths.items()):
        ordinal = int(path.rsplit("/", 1)[-1].removesuffix(".json"))
        with hold_lock(store, shard_file(folder, "locks", ordinal, ".lock")):
            if read_good(store, path, ShardManifest)[0] is None:
                delete_told(store, path)
                continue
            manifest = read_manifest(store, folder, ordinal)
            if manifest is not None and manifest["status"] == "done":
                mark_undone(store, folder, manifest, f"{damage.path} was damaged")
    ordinals = [int(path.rsplit("/", 1)[-1].removesuffix(".json")) for path in paths]
    if ordinals:
        work.attempt(name, lambda: _extract(work, folder, record, ordinals))


def _forget_merges(work: Repair, damages: list[Damage]) -> None:
    """Forget merges of which a file, or the record, is damaged; what they stood for is read again from the
    shards' own files, or extracted again where these are gone."""
    store = work.store
    for record, found in _by_record([d for d in damages if d.record.kind == "merged"]).items():
        bad = {damage.path for damage in found}
        value = read_good(store, record.path, MergedRecord)[0]
        if value is not None:
            _restore(work, record.folder, _made_from(value, bad))
        with hold_lock(store, f"{record.folder}/{MERGED_LOCK}"):
            value = read_good(store, record.path, MergedRecord)[0]
            if value is None:  # nothing is merged any more: shards whose own files are gone say so
                for path in (record.path, record.path + COPY):
                    store.delete(path)
                continue
            which = _made_from(value, bad)
            lost = forget_merges(store, record.folder, value, which)
            for path in bad - {record.path, record.path + COPY}:
                store.delete(path)
        work.summary.done.append(
            f"merged statistics of {record.folder}: {len(which)} merges are read from their shards again"
            + (f", of which {len(lost)} are to be extracted again" if lost else "")
        )


def _made_from(record: MergedRecord, paths: set[str]) -> set[str]:
    """Of the merges that have these files."""
    return {str(file.get("made_from")) for file in record["files"] if file["path"] in paths}


def _restore(work: Repair, folder: str, damaged: Collection[str] = ()) -> None:
    """Statistics that went with a merge, from stored activations, where these tell them."""
    from pipeline.extract.restore import restore_partials

    def step() -> str:
        done = restore_partials(work.store, folder, damaged, work.progress)
        return f"statistics of {len(done)} shards made again from activations" if done else ""

    work.attempt(f"run {folder.partition('/run_id=')[2]}", step)


def _extract_lost(work: Repair, folder: str, ordinals: list[int]) -> None:
    record = read_run(work.store, folder)
    name = f"run {folder.partition('/run_id=')[2]}"
    work.attempt(name, lambda: _extract(work, folder, record, ordinals))


def _tell_lost_run(work: Repair, folder: str, name: str) -> None:
    work.summary.left.append(
        f"{name}: {run_path(folder)} and its copy are gone or damaged, and with them its configuration. "
        "Move them away and run the same neurons extract again: it keeps the shards that are done"
    )


def _extract(work: Repair, folder: str, record: RunRecord, ordinals: list[int]) -> str:
    from pipeline.extract.run import extract

    known = {one.name for one in fields(ExtractConfig)}
    config = {name: value for name, value in record["config"].items() if name in known}
    config |= {"warehouse": work.store.url, "run": record["run_id"]}
    config |= {"model": work.model_of(record), "device": work.device_of(record)}
    settings = make_settings(ExtractConfig, config, work.store.uri(run_path(folder)))
    done = extract(settings, work.progress, ordinals)
    made = len(done.manifests)
    return f"{made} of {len(ordinals)} shards extracted again, {done.written_count} examples"


def _rebuild(work: Repair, damages: list[Damage]) -> None:
    if any(damage.record.kind == "marts" for damage in damages):
        with hold_lock(work.store, "marts/build.lock"):
            for damage in damages:
                if damage.record.kind == "marts":
                    work.store.delete(damage.path)
            _forget_build(work)
    work.attempt("marts", lambda: _build(work))


def _forget_build(work: Repair) -> None:
    """Without the record of its files a build reads each of them; its settings stay, if they are known."""
    value = read_good(work.store, "marts/build.json", BuildRecord)[0]
    if value is None:
        work.store.delete("marts/build.json")
    else:
        work.store.write_record("marts/build.json", {**value, "files": []})


def _build(work: Repair) -> str:
    done = build(work.store.url, progress=work.progress)
    return "nothing had changed" if done.was_current else f"{len(done.row_counts)} built again"


def _by_record(damages: list[Damage]) -> dict[Record, list[Damage]]:
    found: dict[Record, list[Damage]] = {}
    for damage in damages:
        found.setdefault(damage.record, []).append(damage)
    return found


def _by_folder(damages: list[Damage], kinds: tuple[str, ...]) -> dict[str, list[Damage]]:
    found: dict[str, list[Damage]] = {}
    for damage in damages:
        if damage.record.kind in kinds:
            found.setdefault(damage.record.folder, []).append(damage)
    return found
