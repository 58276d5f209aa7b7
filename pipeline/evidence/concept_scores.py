"""The model's own reading of a run's images: concept prompts against the embeddings that are stored.

No image is read again. Files are written shard by shard, and last ``similarity.json``, which names
them: views see either all of it or what was there before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pipeline.base.errors import WarehouseError
from pipeline.base.faults import faults_told
from pipeline.base.leftovers import clear_half_written, clear_unnamed
from pipeline.base.locks import hold_lock
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import SimilarityConfig, digest
from pipeline.base.storage import Store
from pipeline.clip.model import Clip, load_clip
from pipeline.clip.zero_shot import check_prompts, embed_classes, score_classes
from pipeline.evidence.classify import (
    EXAMPLES_AT_ONCE,
    finished_shards,
    read_shard_embeddings,
    refuse_another_model,
)
from pipeline.tables.datasets import run_folder
from pipeline.tables.manifests import FileEntry, ShardManifest, make_entry
from pipeline.tables.measured import ConceptIdentity, SimilarityRecord, named_paths
from pipeline.tables.records import read_record
from pipeline.tables.runs import has_run, named_model, read_run
from pipeline.tables.schema import TABLES

MIN_STORED = 0.05
"""Concepts with a smaller probability are not written."""


@dataclass(frozen=True)
class SimilaritySummary:
    """What was scored, and what was found done already."""

    run_id: str
    model: str
    """The model as it was named, with the path of a checkpoint."""
    concept_count: int
    shard_count: int
    skipped_shard_count: int
    example_count: int
    row_count: int


def score_concepts(
    config: SimilarityConfig, concepts: Sequence[str], progress: ProgressCallback | None = None
) -> SimilaritySummary:
    """Score every example of a run against concepts. Shards that were scored before are skipped.

    A concept's embedding is the mean over the templates (see ``embed_classes``); its probability is
    the softmax over all concepts at the model's own scale. Other concepts, templates or weights than
    before replace what was there.

    Raises:
        ConfigError: Fewer than two concepts, or a template without ``{}``.
        ConfigMismatchError: The model is not the run's.
        WarehouseError: No such run, or it has no shard yet.
        NeuronsError: The model cannot be loaded.
    """
    check_prompts(concepts, config.templates)
    store, progress = Store(config.warehouse), progress or NoProgress()
    folder = run_folder(config.dataset, config.run)
    if not has_run(store, folder):
        raise WarehouseError(
            f"Dataset {config.dataset!r} has no run {config.run!r}.",
            f"Make it first: neurons extract --dataset {config.dataset}",
        )
    run = read_run(store, folder)
    model = config.model or named_model(run)
    identity: ConceptIdentity = {
        "concepts": list(concepts),
        "templates": list(config.templates),
        "weights_sha256": run["identity"]["weights_sha256"],
    }
    record = f"{folder}/similarity.json"
    with hold_lock(store, f"{record}.lock") as lock:
        places = [f"{folder}/concept_scores", f"{folder}/concept_embeddings"]
        clear_half_written(store, lock, *places)
        clear_half_written(store, lock, folder, prefix="similarity.json")
        known = read_record(store, record, SimilarityRecord) if store.exists(record) else None
        old = known["files"] if known and known["identity"] == identity else []
        shards = finished_shards(store, folder)
        if not shards:
            raise WarehouseError(
                f"Run {config.run!r} of {config.dataset!r} has no finished shard.",
                "Run neurons extract first.",
            )
        made_from = {
            n: digest([identity, n, shard["written_at"], shard["files"]])
            for n, shard in shards.items()
        }
        files = {f["ordinal"]: f for f in old if f["made_from"] == made_from.get(f["ordinal"])}
        todo = [ordinal for ordinal in shards if ordinal not in files]
        prompts = next((file for file in old if file["ordinal"] == -1), None)  # a file too
        if todo or prompts is None:
            clip = load_clip(model, config.device)
            refuse_another_model(clip, run["identity"])
            if prompts is not None:
                embeddings = _read_embeddings(store, prompts)
            else:
                embeddings = embed_classes(clip, concepts, config.templates)
                prompts = _write_embeddings(store, folder, identity, concepts, embeddings)
            progress.start(f"similarity {config.run}", len(todo))
            try:
                for n in todo:
                    rel = f"{folder}/concept_scores/{n:05d}-{made_from[n]}.parquet"
                    table = _score_shard(clip, store, shards[n], concepts, embeddings)
                    written = store.write_parquet(rel, table)
                    entry = make_entry("concept_scores", rel, len(table), written)
                    files[n] = {**entry, "ordinal": n, "made_from": made_from[n]}
                    progress.advance(1, f"{shards[n]['shard']}: {len(table)} concepts")
            finally:
                progress.finish()
            value: SimilarityRecord = {
                "identity": identity,
                "files": [
                    {**prompts, "ordinal": -1, "made_from": ""},
                    *(files[n] for n in sorted(files)),
                ],
                "previous": [file["path"] for file in known["files"]] if known else [],
                "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            store.write_record(record, value, with_copy=True)
        for place in places:
            clear_unnamed(
                store, lock, place, named_paths(read_record(store, record, SimilarityRecord))
            )
    return SimilaritySummary(
        config.run,
        model,
        len(concepts),
        len(shards),
        len(shards) - len(todo),
        sum(int(shard["written_count"]) for shard in shards.values()),
        sum(int(file["row_count"]) for file in files.values()),
    )


def _read_embeddings(store: Store, prompts: FileEntry) -> torch.Tensor:
    """Float32 ``[concepts, D]``, in the order of the identity's concepts.

    What a record names is never written over: all its shards are scored against the same embeddings,
    and a kill finds the record and its files as they were.

    Raises:
        WarehouseError: The file is damaged or gone.
        StorageError: It cannot be read for another reason.
    """
    with faults_told(store.url), store.open(prompts["path"]) as file:
        table = pq.read_table(file, page_checksum_verification=True)
    values = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return torch.from_numpy(values.copy()).reshape(len(table), -1)


def _write_embeddings(
    store: Store,
    folder: str,
    identity: ConceptIdentity,
    concepts: Sequence[str],
    embeddings: torch.Tensor,
) -> FileEntry:
    rel = f"{folder}/concept_embeddings/{digest(identity)}.parquet"
    table = pa.table(
        [pa.array(concepts, pa.string()), pa.array(embeddings.tolist(), pa.list_(pa.float32()))],
        schema=TABLES["concept_embeddings"].arrow_schema(),
    )
    return make_entry("concept_embeddings", rel, len(table), store.write_parquet(rel, table))


def _score_shard(
    clip: Clip,
    store: Store,
    shard: ShardManifest,
    concepts: Sequence[str],
    embeddings: torch.Tensor,
) -> pa.Table:
    """The likely concepts of each example, in order of example and concept."""
    ids, images = read_shard_embeddings(store, shard)
    schema = TABLES["concept_scores"].arrow_schema()
    names = pa.array(concepts, pa.string())
    tables = [schema.empty_table()]
    for start in range(0, len(ids), EXAMPLES_AT_ONCE):
        _, probabilities = score_classes(clip, images[start : start + EXAMPLES_AT_ONCE], embeddings)
        rows, columns = (probabilities >= MIN_STORED).nonzero(as_tuple=True)
        kept = probabilities[rows, columns].numpy()
        values = [ids[start + rows.numpy()], names.take(pa.array(columns.numpy())), kept]
        tables.append(pa.table(values, schema=schema))
    return pa.concat_tables(tables)
