"""What is in a warehouse: all that its manifests say, as rows and as lists of files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from pipeline.base.errors import NeuronsError, WarehouseError
from pipeline.base.settings import LabelSettings, digest
from pipeline.base.storage import Store
from pipeline.base.warn import warn_once
from pipeline.concepts.facets import FACET_CLASS_SET
from pipeline.tables.datasets import (
    Dataset,
    check_file_folder,
    check_run_folder,
    check_shard,
    holds_dataset,
    is_marked,
    list_ordinals,
    read_dataset_folder,
    read_manifest,
    read_manifests,
    shard_file,
)
from pipeline.tables.manifests import FileEntry, ShardManifest
from pipeline.tables.records import read_record
from pipeline.tables.runs import (
    ClassSetRecord,
    CompactRecord,
    HumanLabelsRecord,
    RunRecord,
    SimilarityRecord,
    has_run,
    read_run,
    run_path,
)
from pipeline.warehouse.left_out import LeftOut, is_of_data
from pipeline.warehouse.views import load_statements, load_views

RANKS_FORM = "within halves"
"""What the ranks of ``compact.json`` are; a compaction of an earlier form is not used."""

SETUP = (
    "image_activation", "text_activation", "image_mean", "image_std", "interpolation", "resize_mode",
)  # fmt: skip
"""What a run's model was set up with; records of format 1 do not say it."""

SECONDS = ("read", "decode", "forward", "write", "wall")
"""What a run's manifests tell the time of."""


_SHARD_FIELDS = (
    *("status", "error", "read_count", "written_count"),
    *("rejected_count", "canonical_count", "written_at"),
)


@dataclass
class Inventory:
    """All that manifests say of a warehouse: the rows of the small tables, and the files."""

    store: Store
    shards: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)
    run_shards: list[dict[str, Any]] = field(default_factory=list)
    class_sets: list[dict[str, Any]] = field(default_factory=list)
    files: list[FileEntry] = field(default_factory=list)
    compact_versions: dict[str, str] = field(default_factory=dict)
    """By run folder: what the version of a compaction of today's files is called."""
    datasets: list[str] = field(default_factory=list)
    """Names of those that can be read."""
    left_out: list[LeftOut] = field(default_factory=list)
    """What cannot be read; nothing else here speaks of it."""

    def add(self, part: Inventory) -> None:
        """Take all that another one of the same warehouse says."""
        for rows in ("datasets", "shards", "runs", "layers", "run_shards", "class_sets", "files"):
            getattr(self, rows).extend(getattr(part, rows))
        self.compact_versions |= part.compact_versions
        self.left_out += part.left_out

    def leave_out(self, folder: str, error: NeuronsError) -> None:
        """Forget a dataset or a run that cannot be read, and remember why.

        Raises:
            NeuronsError: The error, if it says nothing of the data.
        """
        if not is_of_data(error):
            raise error
        one = LeftOut(folder, error)
        where = {"dataset": one.dataset} | ({"run_id": one.run_id} if one.run_id else {})
        for rows in (self.shards, self.runs, self.layers, self.run_shards, self.class_sets):
            rows[:] = [row for row in rows if not where.items() <= row.items()]
        self.files[:] = [file for file in self.files if not file["path"].startswith(f"{folder}/")]
        self.datasets[:] = [name for name in self.datasets if one.run_id or name != one.dataset]
        self.left_out.append(one)

    def tell_left_out(self) -> None:
        """Warn of what cannot be read.

        Raises:
            NeuronsError: Nothing else is there.
        """
        if self.left_out and not self.datasets:
            raise self.left_out[0].error
        for one in self.left_out:
            warn_once(one.told)

    def files_of(self, table: str) -> list[FileEntry]:
        """Files of one table, as manifests list them; paths are relative to the warehouse."""
        return [file for file in self.files if file["table"] == table]

    def paths(self, table: str) -> list[str]:
        """Paths of the files of one table."""
        return [file["path"] for file in self.files_of(table)]

    def add_files(self, record: Mapping[str, Any]) -> None:
        """Take the files that a record lists, each with the format it was written in."""
        written = record.get("format", 1)
        files: list[FileEntry] = record.get("files", [])
        for file in files:
            self.files.append({**file, "format": file.get("format", written)})

    def fingerprint(self, settings: LabelSettings) -> str:
        """Changes whenever the data, the SQL or the settings do."""
        sql = [view.body for view in load_views()] + list(load_statements())
        rest = [file for file in self.files if _marts_rest_on(file)]
        files = sorted((file["path"], file["row_count"], file["bytes"]) for file in rest)
        runs = [{k: v for k, v in run.items() if k != "is_compacted"} for run in self.runs]
        return digest([files, runs, self.run_shards, sql, _code_digests(), asdict(settings)])


def _marts_rest_on(file: FileEntry) -> bool:
    """Compaction changes no answer, and of zero-shot classes only those of the facets are used.

    Samples, and what people say of them, are read by views that stay views.
    """
    if file["table"] == "class_scores":
        return f"class_set={FACET_CLASS_SET}/" in file["path"]
    apart = ("activations", "compact", "compact_stats", "shard_samples", "human_labels")
    return file["table"] not in apart


@cache
def _code_digests() -> list[str]:
    """Hashes of what marts rest on beside data and SQL: the lexicon, and what computes some of them."""
    here = Path(__file__).parent.parent
    files = [here / "concepts" / "lexicon.csv", *sorted((here / "evidence").glob("*.py"))]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def take_inventory(store: Store) -> Inventory:
    """Read all manifests. A dataset or a run that cannot be read is left out, with a warning.

    Raises:
        WarehouseError: There is no dataset at all.
        NeuronsError: None can be read: what is wrong with the first; or the machine is in the way.
    """
    inventory = Inventory(store)
    for folder in store.list(""):
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


def _add_or_leave_out(inventory: Inventory, folder: str, read: Callable[[Inventory], None]) -> None:
    """Read a dataset or a run: all that is said of it, or nothing."""
    part = Inventory(inventory.store)
    try:
        read(part)
        for file in part.files:
            check_file_folder(inventory.store, folder, file)
    except NeuronsError as error:
        inventory.leave_out(folder, error)
    else:
        inventory.add(part)


def _add_dataset(inventory: Inventory, folder: str) -> None:
    store = inventory.store
    if not holds_dataset(store, folder):
        return
    dataset = read_dataset_folder(store, folder)
    name = dataset.name
    inventory.datasets.append(name)
    index: dict[int, list[FileEntry]] = {}
    beyond = (n for n in list_ordinals(store, folder) if n >= len(dataset.shards))
    for ordinal in beyond:
        if (manifest := read_manifest(store, folder, ordinal)) is not None:
            check_shard(manifest, None, store.uri(folder))
    for shard in dataset.shards:
        manifest = read_manifest(store, folder, shard.ordinal)
        if manifest is not None:
            check_shard(manifest, shard, store.uri(folder))
        status = manifest["status"] if manifest else "pending"
        source = (manifest["source"] if manifest and "source" in manifest else "") or dataset.source
        if manifest and status == "done" and not is_marked(store, folder, manifest):
            status, manifest = "unmarked", None  # its repeated images would be counted again
        names = ("read_count", "written_count", "rejected_count")
        counts = {key: dict(manifest or {}).get(key, 0) for key in names}
        inventory.shards.append(
            {
                "dataset": name,
                "source": source,
                "shard_ordinal": shard.ordinal,
                "shard": shard.name,
                "url": shard.url,
                "size_bytes": shard.size_bytes,
                "status": status,
                "error": manifest["error"] if manifest else None,
                **counts,
            }
        )
        if manifest is None:
            continue
        inventory.add_files(manifest)
        if status == "done" and not any(f["table"] == "duplicates" for f in manifest["files"]):
            rel = shard_file(folder, "duplicates", shard.ordinal)
            entry = {"table": "duplicates", "path": rel, "row_count": -1, "bytes": -1}
            inventory.add_files({**manifest, "files": [entry]})
        index[shard.ordinal] = manifest["files"]
    for place in store.list(folder):
        if place.startswith("run_id="):
            run_folder = f"{folder}/{place}"
            read = partial(_add_run, registered=dataset, folder=run_folder, index=index)
            _add_or_leave_out(inventory, run_folder, read)


def _add_run(
    inventory: Inventory, registered: Dataset, folder: str, index: dict[int, list[FileEntry]]
) -> None:
    store, dataset, shards = inventory.store, registered.name, dict(enumerate(registered.shards))
    if not has_run(store, folder):
        if store.list(f"{folder}/manifests", ".json"):
            raise WarehouseError(
                f"{store.uri(run_path(folder))} is gone, but shards of the run are extracted.",
                f"Make it again from its copy with: neurons repair --dataset {dataset}",
            )
        return
    record = read_run(store, folder)
    check_run_folder(store, folder, record)
    identity, run_id, model_id = record["identity"], record["run_id"], record["model"]["model_id"]
    manifests = read_manifests(store, folder)
    done = sorted(m["ordinal"] for m in manifests if m["status"] == "done")
    compact = f"{folder}/compact.json"
    compacted = read_record(store, compact, CompactRecord) if store.exists(compact) else None
    version = _compact_version(manifests, index)
    inventory.compact_versions[folder] = version
    is_compacted = bool(
        done
        and compacted
        and (compacted["ordinals"], compacted.get("form")) == (done, RANKS_FORM)
        and (compacted["version"] == version or compacted.get("format", 1) < 2)
    )
    for manifest in manifests:
        check_shard(manifest, shards.get(manifest["ordinal"]), store.uri(folder))
        files = manifest["files"]
        inventory.run_shards.append(
            {
                "dataset": dataset,
                "run_id": run_id,
                "shard_ordinal": manifest["ordinal"],
                **{k: dict(manifest).get(k) for k in _SHARD_FIELDS},
                **{f"{k}_s": manifest["seconds"].get(k) for k in SECONDS},
                "file_bytes": sum(file["bytes"] for file in files),
            }
        )
        shown = [file for file in files if not (is_compacted and file["table"] == "activations")]
        inventory.add_files({**manifest, "files": shown})
    if compacted and is_compacted:
        inventory.add_files(compacted)
    if store.exists(f"{folder}/similarity.json"):
        inventory.add_files(read_record(store, f"{folder}/similarity.json", SimilarityRecord))
    for name in store.list(f"{folder}/class_sets", ".json"):
        class_set = read_record(store, f"{folder}/class_sets/{name}", ClassSetRecord)
        _add_class_set(inventory, dataset, run_id, class_set)
    for name in store.list(f"{folder}/human_labels", ".json"):
        inventory.add_files(read_record(store, f"{folder}/human_labels/{name}", HumanLabelsRecord))
    inventory.runs.append(
        {
            "dataset": dataset,
            "run_id": run_id,
            "model_id": model_id,
            "weights_sha256": identity["weights_sha256"],
            "is_random": record["model"]["is_random"],
            **{k: identity.get(k) for k in SETUP},
            "image_height_px": identity.get("image_size_px", [None])[0],
            "image_width_px": identity.get("image_size_px", [None])[-1],
            **{k: identity[k] for k in ("preprocess", "precision", "activation_dtype", "top_k")},
            "layers": identity["layers"],
            "versions": json.dumps(record["versions"]),
            "is_compacted": is_compacted,
            "created_at": record["created_at"],
        }
    )
    presets = _presets(record)
    for layer in record["layers"]:
        row = {key: value for key, value in layer.items() if key != "path"}
        row |= {"dataset": dataset, "run_id": run_id, "model_id": model_id}
        row["presets"] = [name for name, layers in presets.items() if row["layer"] in layers]
        inventory.layers.append(row | {"layer_path": layer["path"]})


def _compact_version(manifests: list[ShardManifest], index: dict[int, list[FileEntry]]) -> str:
    """Changes whenever what is compacted does: activations, and the images that are told apart.

    A shard that is extracted again, on another device say, has other last digits.
    """
    done = [manifest for manifest in manifests if manifest["status"] == "done"]
    files = [file for manifest in done for file in manifest["files"]]
    files += [file for manifest in done for file in index.get(manifest["ordinal"], [])]
    marks = [
        (file["path"], file.get("checksum", file["bytes"]))
        for file in files
        if file["table"] in ("activations", "examples", "duplicates")
    ]
    return digest([RANKS_FORM, sorted(marks)])


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
    inventory.add_files(record)
    inventory.class_sets.append(
        {
            "dataset": dataset,
            "run_id": run_id,
            "class_set": record["class_set"],
            "classes": record["identity"]["classes"],
            "templates": record["identity"]["templates"],
            "logit_scale": record["logit_scale"],
            "example_count": record["example_count"],
            "created_at": record["created_at"],
        }
    )
