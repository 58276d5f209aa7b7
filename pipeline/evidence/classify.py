"""Zero-shot classification of a run: no image is read again, its embeddings are enough.

Scores are written shard by shard, and last the class set's record, which names them: views see either
all of a classification or what was there before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pipeline.base.errors import ConfigMismatchError, WarehouseError
from pipeline.base.faults import faults_told
from pipeline.base.leftovers import clear_half_written, clear_unnamed
from pipeline.base.locks import hold_lock
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import ClassifyConfig, digest
from pipeline.base.storage import Store, partition
from pipeline.clip.model import Clip, load_clip
from pipeline.clip.zero_shot import check_prompts, embed_classes, logit_scale, score_classes
from pipeline.tables.datasets import (
    check_name,
    run_folder,
)
from pipeline.tables.manifest_files import read_manifests
from pipeline.tables.manifests import FileEntry, ShardManifest, adopt_file, make_entry
from pipeline.tables.measured import ClassIdentity, ClassSetRecord, named_paths
from pipeline.tables.records import read_record
from pipeline.tables.runs import (
    ModelIdentity,
    RunRecord,
    has_run,
    named_model,
    read_run,
)
from pipeline.tables.schema import TABLES

EXAMPLES_AT_ONCE = 1024


@dataclass(frozen=True)
class ClassifySummary:
    """What a classification did, and what it found done already."""

    class_set: str
    shard_count: int
    skipped_shard_count: int
    example_count: int
    row_count: int


def classify(config: ClassifyConfig, progress: ProgressCallback | None = None) -> ClassifySummary:
    """Score every example of a run against classes. Shards that were scored before are skipped.

    Raises:
        ConfigError: Classes or templates cannot work.
        ConfigMismatchError: The class set has that name already and other classes, templates or
            weights; or the model is not the run's.
        WarehouseError: No such run, or it has no shard yet.
        NeuronsError: The model cannot be loaded.
    """
    check_prompts(config.classes, config.templates)
    store, progress = Store(config.warehouse), progress or NoProgress()
    folder = run_folder(config.dataset, config.run)
    if not has_run(store, folder):
        raise WarehouseError(
            f"Dataset {config.dataset!r} has no run {config.run!r}.",
            f"Make it first: neurons extract --dataset {config.dataset} --model {config.model}",
        )
    run = read_run(store, folder)["identity"]
    identity: ClassIdentity = {
        "classes": list(config.classes),
        "templates": list(config.templates),
        "weights_sha256": run["weights_sha256"],
    }
    name = check_name(config.class_set or digest(identity), "class set")
    record = f"{folder}/class_sets/{name}.json"
    with hold_lock(store, f"{record}.lock") as lock:
        place = f"{folder}/class_scores/{partition(class_set=name)}"
        clear_half_written(store, lock, place)
        clear_half_written(store, lock, f"{folder}/class_sets", prefix=f"{name}.json")
        known = read_record(store, record, ClassSetRecord) if store.exists(record) else None
        if known is not None:
            _refuse_another(known["identity"], identity, name)
        job = _ClassSet(store, folder, name, identity, known)
        if not job.shards:
            raise WarehouseError(
                f"Run {config.run!r} of {config.dataset!r} has no finished shard.",
                "Run neurons extract first.",
            )
        if job.todo or known is None:
            clip = load_clip(config.model, config.device)
            refuse_another_model(clip, run)
            job.score(clip, progress)
        clear_unnamed(store, lock, place, named_paths(read_record(store, record, ClassSetRecord)))
    return ClassifySummary(
        name,
        len(job.shards),
        len(job.shards) - len(job.todo),
        sum(int(shard["written_count"]) for shard in job.shards.values()),
        sum(int(file["row_count"]) for file in job.files.values()),
    )


def _refuse_another(known: Mapping[str, object], identity: Mapping[str, object], name: str) -> None:
    if differs := [key for key in identity if identity[key] != known.get(key)]:
        lines = "; ".join(f"{k}: there {known.get(k)!r}, now {identity[k]!r}" for k in differs)
        raise ConfigMismatchError(
            f"The class set {name!r} was made with others ({lines}).",
            "Two class sets never mix. Give another --class-set name, or none.",
        )


class _ClassSet:
    """One class set of one run: its shards, which of them are scored, and its record."""

    def __init__(
        self,
        store: Store,
        folder: str,
        name: str,
        identity: ClassIdentity,
        known: ClassSetRecord | None,
    ) -> None:
        self.store, self.folder, self.name, self.identity = store, folder, name, identity
        self.previous = [file["path"] for file in known["files"]] if known else []
        self.shards = finished_shards(store, folder)
        self.made_from = {
            ordinal: digest([identity, ordinal, shard["written_at"], shard["files"]])
            for ordinal, shard in self.shards.items()
        }
        self.files: dict[int, FileEntry] = {
            file["ordinal"]: file
            for file in (known["files"] if known else [])
            if self.made_from.get(file["ordinal"]) == file["made_from"]
        }
        self.todo = [ordinal for ordinal in self.shards if ordinal not in self.files]

    def score(self, clip: Clip, progress: ProgressCallback) -> None:
        """Score the shards that are left, then write the record."""
        classes = embed_classes(clip, self.identity["classes"], self.identity["templates"])
        progress.start(f"classify {self.name}", len(self.todo))
        try:
            for ordinal in self.todo:
                self.files[ordinal] = file = self._write_shard(clip, ordinal, classes)
                progress.advance(1, f"{self.shards[ordinal]['shard']}: {file['row_count']} scores")
        finally:
            progress.finish()
        example_count = sum(int(shard["written_count"]) for shard in self.shards.values())
        value: ClassSetRecord = {
            "class_set": self.name,
            "identity": self.identity,
            "logit_scale": logit_scale(clip),
            "example_count": example_count,
            "files": [self.files[ordinal] for ordinal in sorted(self.files)],
            "previous": self.previous,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        path = f"{self.folder}/class_sets/{self.name}.json"
        self.store.write_record(path, value, with_copy=True)

    def _write_shard(self, clip: Clip, ordinal: int, classes: torch.Tensor) -> FileEntry:
        made_from = self.made_from[ordinal]
        place = f"{self.folder}/class_scores/{partition(class_set=self.name)}"
        # Named by what it was made from: a connection may still read what the record named before,
        # and what an interrupted attempt has finished is not done again.
        rel = f"{place}/{ordinal:05d}-{made_from}.parquet"
        entry = adopt_file(self.store, "class_scores", rel)
        if entry is None:
            ids, embeddings = read_shard_embeddings(self.store, self.shards[ordinal])
            table = score_table(clip, ids, embeddings, self.identity["classes"], classes)
            dictionaries = ["example_id", "class_name"]
            written = self.store.write_parquet(rel, table, use_dictionary=dictionaries)
            entry = make_entry("class_scores", rel, len(table), written)
        return {**entry, "ordinal": ordinal, "made_from": made_from}


def load_run_model(run: RunRecord, model: str, device: str) -> Clip:
    """The model of a run.

    Args:
        run: The run's record.
        model: Where it is, if not where the run found it; empty: there.
        device: As `load_clip` takes it.

    Raises:
        ConfigMismatchError: Another one is named.
        NeuronsError: It cannot be loaded.
    """
    clip = load_clip(model or named_model(run), device)
    refuse_another_model(clip, run["identity"])
    return clip


def refuse_another_model(clip: Clip, run: ModelIdentity) -> None:
    """Refuse a model whose embeddings a run's cannot be compared with.

    Args:
        clip: The model.
        run: The run's identity. What a record of an earlier version does not say is not compared.

    Raises:
        ConfigMismatchError: It has other weights, or runs them in another way.
    """
    mine = {name: value for name, value in clip.identity().items() if name != "model_id"}
    known: Mapping[str, object] = run
    if differs := [name for name in mine if known.get(name, mine[name]) != mine[name]]:
        lines = "; ".join(f"{n}: the run's {known[n]!r}, this one's {mine[n]!r}" for n in differs)
        raise ConfigMismatchError(
            f"{clip.asked_for} is not the model of this run ({lines}).",
            "Name the model that the run was made with, or extract with this one first.",
        )


def read_shard_embeddings(
    store: Store, shard: ShardManifest
) -> tuple[np.ndarray[Any, Any], torch.Tensor]:
    """The examples and image embeddings of a shard of a run: int64 ``[N]`` and float16 ``[N, D]``.

    Args:
        store: The warehouse.
        shard: The shard's manifest.

    Raises:
        WarehouseError: A file is damaged or gone.
        StorageError: It cannot be read for another reason.
    """
    files = [file["path"] for file in shard["files"] if file["table"] == "embeddings"]
    tables = []
    for path in files:
        with faults_told(store.url), store.open(path) as file:
            tables.append(pq.read_table(file, page_checksum_verification=True))
    table = pa.concat_tables(tables).combine_chunks()
    values = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    embeddings = torch.from_numpy(values.copy()).reshape(len(table), -1)
    return table["example_id"].to_numpy(), embeddings


def finished_shards(store: Store, folder: str) -> dict[int, ShardManifest]:
    """Manifests of a run's shards that are done, by ordinal."""
    manifests = read_manifests(store, folder)
    return {m["ordinal"]: m for m in manifests if m["status"] == "done"}


def score_table(
    clip: Clip,
    ids: np.ndarray[Any, Any],
    embeddings: torch.Tensor,
    names: list[str],
    classes: torch.Tensor,
) -> pa.Table:
    """Rows of ``class_scores``: examples in the order given, classes in theirs.

    Args:
        clip: The model.
        ids: int64 ``[N]``, the examples.
        embeddings: ``[N, D]``.
        names: The ``C`` classes.
        classes: Float32 ``[C, D]``.
    """
    schema = TABLES["class_scores"].arrow_schema()
    dictionary = pa.array(names, pa.string())
    places = np.arange(len(names), dtype=np.int32)
    tables = [schema.empty_table()]
    for start in range(0, len(ids), EXAMPLES_AT_ONCE):
        some = ids[start : start + EXAMPLES_AT_ONCE]
        logits, probabilities = score_classes(
            clip, embeddings[start : start + EXAMPLES_AT_ONCE], classes
        )
        labels = pa.DictionaryArray.from_arrays(np.tile(places, len(some)), dictionary)
        columns = [
            np.repeat(some, len(names)),
            labels.cast(pa.string()),
            logits.reshape(-1).numpy(),
            probabilities.reshape(-1).numpy(),
        ]
        tables.append(pa.table(columns, schema=schema))
    return pa.concat_tables(tables)
