"""From a shard's index to a plan: its examples, where each lies, and its text."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pipeline.base.errors import NeuronsError, ShardError, WarehouseError
from pipeline.base.faults import faults_told
from pipeline.base.storage import Store
from pipeline.tables.datasets import (
    Shard,
    dataset_folder,
    shard_url,
)
from pipeline.tables.manifest_files import (
    is_marked,
    read_manifest,
    shard_file,
)
from pipeline.warehouse.duck import open_duckdb

TEXT_ORDER = ("caption", "alt", "attribution", "page_title", "section_title", "section", "page")
"""The primary text of an example is its first by kind in this order, then English, then a text of
unknown language, then by language tag, then by text_rank, then by the text itself: the order of the
macro ``text_place`` in ``sql/macros/texts.sql``."""


STAGES = ("read", "decode", "forward", "wait", "write")
"""Where a shard's time goes."""


@dataclass(frozen=True)
class Example:
    """One indexed example."""

    example_id: int
    position: int
    shard_key: str
    offset: int
    size: int
    sha256: str
    text: str | None = None


@dataclass(frozen=True)
class Reject:
    """One row of ``run_rejects``."""

    shard_ordinal: int
    position: int | None
    shard_key: str | None
    stage: str
    reason: str
    detail: str


@dataclass
class ShardPlan:
    """A shard that is being streamed."""

    shard: Shard
    url: str
    examples: list[Example]
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    rejects: list[Reject] = field(default_factory=list)
    error: NeuronsError | None = None


def plan_shard(store: Store, dataset: str, shard: Shard, with_texts: bool) -> ShardPlan:
    """Read a shard's index.

    Raises:
        ShardError: It was not indexed, or its ingest failed.
    """
    folder = dataset_folder(dataset)
    manifest = read_manifest(store, folder, shard.ordinal)
    if manifest is None or manifest["status"] != "done":
        raise ShardError(
            f"Shard {shard.name!r} of {dataset!r} is not indexed"
            + (f": {manifest['error']}" if manifest else "."),
            "Replace the file if it is damaged, and run the same neurons ingest again.",
        )
    columns = ["example_id", "shard_key", "image_offset", "image_bytes", "image_sha256"]
    table = _read_index(store, folder, "examples", shard, columns)
    texts = primary_texts(store, folder, shard) if with_texts else {}
    first = shard.example_id(0)
    rows = zip(*(table[name].to_pylist() for name in columns), strict=True)
    examples = [
        Example(id_, id_ - first, key, offset, size, sha, texts.get(id_))
        for id_, key, offset, size, sha in rows
    ]
    return ShardPlan(shard, shard_url(store, shard), examples)


def primary_texts(store: Store, folder: str, shard: Shard) -> dict[int, str]:
    """The primary text (see ``TEXT_ORDER``) of each example of a shard that has any text."""
    texts = _read_index(store, folder, "texts", shard)
    with open_duckdb() as connection:
        connection.register("texts", texts)
        rows = connection.execute(
            """
            select example_id, text from texts
            where list_contains($kinds, text_kind)
            qualify row_number() over (
                partition by example_id
                order by
                    list_position($kinds, text_kind),
                    not regexp_matches(language, '^(en|simple)(-|$)'),
                    language <> 'und', language, text_rank, text
            ) = 1
            """,
            {"kinds": list(TEXT_ORDER)},
        ).fetchall()
    return dict(rows)


def read_duplicates(store: Store, folder: str, shard: Shard) -> torch.Tensor:
    """int64, sorted: example_ids of the shard whose image, or a copy, an earlier example showed.

    Raises:
        ShardError: The ingest that indexed the shard has not finished yet.
    """
    manifest = read_manifest(store, folder, shard.ordinal)
    if manifest is None or not is_marked(store, folder, manifest):
        raise ShardError(
            f"Shard {shard.name!r} is indexed, but its ingest has not marked repeated images yet: "
            f"its manifest in {store.uri(folder)} names no duplicates.",
            "Wait for the neurons ingest, or run it again if it was killed; then this once more.",
        )
    ids = _read_index(store, folder, "duplicates", shard, ["example_id"])["example_id"]
    return torch.tensor(sorted(ids.to_pylist()), dtype=torch.int64)


def _read_index(
    store: Store, folder: str, table: str, shard: Shard, columns: list[str] | None = None
) -> pa.Table:
    """Read a table of a shard's index; one that is damaged or gone makes the shard fail.

    Raises:
        ShardError: It is damaged or gone.
        StorageError: It cannot be read for another reason.
    """
    rel = shard_file(folder, table, shard.ordinal)
    try:
        with faults_told(store.url), store.open(rel) as file:
            return pq.read_table(file, columns=columns)
    except WarehouseError as error:
        raise ShardError(
            f"The index of shard {shard.name!r} cannot be read: {store.uri(rel)}: {error.message}",
            error.hint,
        ) from error


def reject(plan: ShardPlan, example: Example, stage: str, reason: str, detail: str) -> Reject:
    """A reject row for an example of a plan."""
    key = example.shard_key
    return Reject(plan.shard.ordinal, example.position, key, stage, reason, detail)
