"""Taking the inventory of a warehouse: every record is read, and what it says becomes rows and files."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial

from pipeline.base.errors import NeuronsError, WarehouseError
from pipeline.base.storage import Store
from pipeline.tables.datasets import (
    Dataset,
    check_file_folder,
    check_run_folder,
    check_shard,
    lost_list,
    make_dataset,
)
from pipeline.tables.folder_records import Records
from pipeline.tables.manifest_files import (
    is_marked,
    shard_file,
)
from pipeline.tables.manifests import DatasetRecord, FileEntry, ShardManifest
from pipeline.tables.measured import (
    AblationRecord,
    ClassSetRecord,
    EffectRecord,
    FacetProbeRecord,
    FigureRecord,
    HumanLabelsRecord,
    SimilarityRecord,
    SupportRecord,
    VisualisationRecord,
)
from pipeline.tables.merged import PARTIALS, as_lost, find_coverage, mark, width_of
from pipeline.tables.own_concepts import FOLDER, read_own_concepts
from pipeline.tables.runs import (
    RUN,
    CompactRecord,
    MergedRecord,
    RunRecord,
    run_path,
)
from pipeline.warehouse.contents import (
    ClassSetRow,
    Inventory,
    LayerRow,
    RunRow,
    RunShardRow,
    ShardRow,
)
from pipeline.warehouse.levels import list_valid_levels, mark_compaction


def take_inventory(store: Store) -> Inventory:
    """Read all manifests. A dataset or a run that cannot be read is left out, with a warning.

    Raises:
        WarehouseError: There is no dataset at all.
        NeuronsError: None can be read: what is wrong with the first; or the machine is in the way.
    """
    inventory = Inventory(store)
    with collecting_later():
        for folder in store.list(""):
            if folder == FOLDER:
                inventory.own_concepts = read_own_concepts(store)
            if folder.startswith("dataset="):
                _add_or_leave_out(inventory, folder, partial(_add_dataset, folder=folder))
    if not inventory.datasets and not inventory.left_out:
        raise WarehouseError(
            f"There is no dataset in {store.url}.",
            "Make one with: neurons ingest SOURCE PATH --warehouse DIR --dataset NAME, "
            "or see one with: neurons demo",
        )
    inventory.tell_left_out()
    return inventory


@contextmanager
def collecting_later() -> Iterator[None]:
    """Without looking for garbage: there is none, and looking takes a quarter of the time for many shards."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _add_or_leave_out(inventory: Inventory, folder: str, read: Callable[[Inventory], None]) -> None:
    """Read a dataset or a run: all that is said of it, or nothing."""
    part = Inventory(inventory.store)
    try:
        read(part)
    except NeuronsError as error:
        inventory.leave_out(folder, error)
    else:
        inventory.add(part)


def _check_files(inventory: Inventory, folder: str) -> None:
    """Refuse files that do not lie in the folder whose records name them.

    Raises:
        WarehouseError: One does not.
    """
    inside = f"{folder}/"
    for file in [file for file in inventory.files if not file["path"].startswith(inside)]:
        check_file_folder(inventory.store, folder, file)


def _add_dataset(inventory: Inventory, folder: str) -> None:
    store, records = inventory.store, Records(inventory.store, folder)
    if not records.has("dataset.json"):
        if records.has_manifests():
            raise lost_list(store, folder)
        return
    dataset = make_dataset(store, folder, records.read("dataset.json", DatasetRecord))
    name, manifests, place = dataset.name, records.manifests(), store.uri(folder)
    inventory.datasets.append(name)
    index: dict[int, list[FileEntry]] = {}
    for ordinal, beyond in manifests.items():
        if ordinal >= len(dataset.shards):
            check_shard(beyond, None, place)
    for shard in dataset.shards:
        manifest = manifests.get(shard.ordinal)
        if manifest is not None:
            check_shard(manifest, shard, place)
        status = manifest["status"] if manifest else "pending"
        source = (manifest["source"] if manifest and "source" in manifest else "") or dataset.source
        if manifest and status == "done" and not is_marked(store, folder, manifest):
            status, manifest = "unmarked", None  # its repeated images would be counted again
        inventory.shards.append(
            ShardRow(
                dataset=name,
                source=source,
                shard_ordinal=shard.ordinal,
                shard=shard.name,
                url=shard.url,
                size_bytes=shard.size_bytes,
                status=status,
                error=manifest["error"] if manifest else None,
                read_count=manifest["read_count"] if manifest else 0,
                written_count=manifest["written_count"] if manifest else 0,
                rejected_count=manifest["rejected_count"] if manifest else 0,
            )
        )
        if manifest is None:
            continue
        written = manifest.get("format", 1)
        inventory.add_files(manifest["files"], written)
        if status == "done" and not any(f["table"] == "duplicates" for f in manifest["files"]):
            rel = shard_file(folder, "duplicates", shard.ordinal)
            entry: FileEntry = {"table": "duplicates", "path": rel, "row_count": -1, "bytes": -1}
            inventory.add_files([entry], written)
        index[shard.ordinal] = manifest["files"]
    _check_files(inventory, folder)
    for run_folder in records.folders("run_id="):
        read = partial(_add_run, registered=dataset, folder=run_folder, index=index)
        _add_or_leave_out(inventory, run_folder, read)


def _add_run(
    inventory: Inventory, registered: Dataset, folder: str, index: dict[int, list[FileEntry]]
) -> None:
    store, dataset, shards = inventory.store, registered.name, dict(enumerate(registered.shards))
    place = store.uri(folder)
    records = Records(store, folder)
    if not records.has(RUN):
        if records.has_manifests():
            raise WarehouseError(
                f"{store.uri(run_path(folder))} is gone, but shards of the run are extracted.",
                f"Make it again from its copy with: neurons repair --dataset {dataset}",
            )
        return
    record = records.read(RUN, RunRecord)
    check_run_folder(store, folder, record)
    run_id = record["run_id"]
    manifests = list(records.manifests().values())
    is_there = records.has("merged.json")
    merged = records.read("merged.json", MergedRecord) if is_there else None
    coverage = find_coverage(manifests, merged)
    manifests = [as_lost(manifest, coverage.lost) for manifest in manifests]
    inventory.partial_marks[folder] = cache(partial(_mark_partials, manifests))
    done = sorted(m["ordinal"] for m in manifests if m["status"] == "done")
    is_there = records.has("compact.json")
    compacted = records.read("compact.json", CompactRecord) if is_there else None
    marks = inventory.compact_marks[folder] = cache(partial(mark_compaction, manifests, index))
    levels = inventory.levels[folder] = list_valid_levels(compacted, marks) if compacted else []
    is_compacted = bool(done) and [level["ordinals"] for level in levels] == [done]
    sorted_ordinals = {ordinal for level in levels for ordinal in level["ordinals"]}
    for manifest in manifests:
        check_shard(manifest, shards.get(manifest["ordinal"]), place)
        seconds, files = manifest["seconds"], manifest["files"]
        inventory.run_shards.append(
            RunShardRow(
                dataset=dataset,
                run_id=run_id,
                shard_ordinal=manifest["ordinal"],
                status=manifest["status"],
                error=manifest["error"],
                read_count=manifest["read_count"],
                written_count=manifest["written_count"],
                rejected_count=manifest["rejected_count"],
                canonical_count=manifest.get("canonical_count"),
                read_s=seconds.get("read"),
                decode_s=seconds.get("decode"),
                forward_s=seconds.get("forward"),
                write_s=seconds.get("write"),
                wall_s=seconds.get("wall"),
                file_bytes=sum(file["bytes"] for file in files),
                written_at=manifest["written_at"],
            )
        )
        hidden = {"activations"} if manifest["ordinal"] in sorted_ordinals else set()
        hidden |= {*PARTIALS} if manifest["ordinal"] in coverage.covered else set()
        if hidden:
            files = [file for file in files if file["table"] not in hidden]
        inventory.add_files(files, manifest.get("format", 1))
    if merged:
        inventory.add_files(coverage.files, merged.get("format", 1))
    if compacted:
        # of several levels the ranks are not those of the run: they come from the counts
        unused = "compact_counts" if is_compacted else "compact_stats"
        places = tuple(f"{folder}/compact/{level['version']}/" for level in levels)
        used = [f for f in compacted["files"] if f["path"].startswith(places)]
        used = [file for file in used if file["table"] != unused]
        inventory.add_files(used, compacted.get("format", 1))
    if records.has("similarity.json"):
        similarity = records.read("similarity.json", SimilarityRecord)
        inventory.add_files(similarity["files"], similarity.get("format", 1))
    for class_set in records.read_all("class_sets", ClassSetRecord):
        _add_class_set(inventory, dataset, run_id, class_set)
    for effects in records.read_all("effects", EffectRecord):
        inventory.add_files(effects["files"], effects.get("format", 1))
    for ablations in records.read_all("ablations", AblationRecord):
        inventory.add_files(ablations["files"], ablations.get("format", 1))
    for support in records.read_all("support", SupportRecord):
        inventory.add_files(support["files"], support.get("format", 1))
    for probe in records.read_all("facet_probes", FacetProbeRecord):
        inventory.add_files(probe["files"], probe.get("format", 1))
    for drawn in records.read_all("visualisations", VisualisationRecord):
        tables = [file for file in drawn["files"] if file["table"] == "visualisations"]
        inventory.add_files(tables, drawn.get("format", 1))
    for figure in records.read_all("figures", FigureRecord):
        inventory.add_files(figure["files"], figure.get("format", 1))
    for labels in records.read_all("human_labels", HumanLabelsRecord):
        inventory.add_files(labels["files"], labels.get("format", 1))
    _add_run_rows(inventory, dataset, record, is_compacted, width_of(record, merged))
    _check_files(inventory, folder)


def _add_run_rows(
    inventory: Inventory, dataset: str, record: RunRecord, is_compacted: bool, merge_width: int
) -> None:
    """What ``run.json`` says of the run and of its layers."""
    identity, model = record["identity"], record["model"]
    size_px = identity.get("image_size_px")
    inventory.runs.append(
        RunRow(
            dataset=dataset,
            run_id=record["run_id"],
            model_id=model["model_id"],
            weights_sha256=identity["weights_sha256"],
            is_random=model["is_random"],
            image_activation=identity.get("image_activation"),
            text_activation=identity.get("text_activation"),
            image_height_px=size_px[0] if size_px else None,
            image_width_px=size_px[-1] if size_px else None,
            image_mean=identity.get("image_mean"),
            image_std=identity.get("image_std"),
            interpolation=identity.get("interpolation"),
            resize_mode=identity.get("resize_mode"),
            preprocess=identity["preprocess"],
            precision=identity["precision"],
            activation_dtype=identity["activation_dtype"],
            top_k=identity["top_k"],
            layers=identity["layers"],
            versions=json.dumps(record["versions"]),
            is_compacted=is_compacted,
            merge_width=merge_width,
            created_at=record["created_at"],
        )
    )
    presets = _presets(record)
    inventory.layers += [
        LayerRow(
            dataset=dataset,
            run_id=record["run_id"],
            model_id=model["model_id"],
            layer=layer["layer"],
            layer_path=layer["path"],
            point=layer["point"],
            pooling=layer["pooling"],
            tower=layer["tower"],
            module_kind=layer["module_kind"],
            unit_count=layer["unit_count"],
            is_rectified=layer["is_rectified"],
            grid_rows=grid[0] if (grid := layer.get("grid")) else None,
            grid_columns=grid[1] if grid else None,
            token_count=layer.get("token_count"),
            prefix_tokens=layer.get("prefix_tokens"),
            store=layer["store"],
            presets=[name for name, layers in presets.items() if layer["layer"] in layers],
        )
        for layer in record["layers"]
    ]


def _mark_partials(manifests: list[ShardManifest]) -> dict[int, str]:
    return {manifest["ordinal"]: mark(manifest) for manifest in manifests}


def _presets(record: RunRecord) -> dict[str, list[str]]:
    """Layers of the model by preset. An older record tells only which preset was asked for."""
    layers = record["layers"]
    asked = record["config"].get("layers", [])
    if "presets" in record or len(asked) != 1:
        return record.get("presets", {})
    if asked[0].split(":")[0] in [layer["path"] for layer in layers]:
        return {}
    return {asked[0]: [layer["layer"] for layer in layers]}


def _add_class_set(inventory: Inventory, dataset: str, run_id: str, record: ClassSetRecord) -> None:
    inventory.add_files(record["files"], record.get("format", 1))
    inventory.class_sets.append(
        ClassSetRow(
            dataset=dataset,
            run_id=run_id,
            class_set=record["class_set"],
            classes=record["identity"]["classes"],
            templates=record["identity"]["templates"],
            logit_scale=record["logit_scale"],
            example_count=record["example_count"],
            created_at=record["created_at"],
        )
    )
