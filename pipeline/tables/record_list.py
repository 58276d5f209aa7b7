"""Which records a warehouse has, where each lies, and what it says even if others are damaged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from pipeline.base.checksums import find_seal_problem, hash_bytes
from pipeline.base.errors import NewerFormatError, WarehouseError
from pipeline.base.storage import COPY, Store
from pipeline.tables.manifest_files import (
    list_ordinals,
    shard_file,
)
from pipeline.tables.manifests import BuildRecord, DatasetRecord, ShardManifest
from pipeline.tables.measured import (
    AblationRecord,
    ClassSetRecord,
    EffectRecord,
    FacetProbeRecord,
    FigureRecord,
    HumanLabelsRecord,
    Measured,
    SimilarityRecord,
    SupportRecord,
    VisualisationRecord,
)
from pipeline.tables.own_concepts import RECORD as OWN_CONCEPTS
from pipeline.tables.own_concepts import OwnConceptsRecord
from pipeline.tables.records import Shape, check_shape
from pipeline.tables.runs import CompactRecord, MergedRecord, RunRecord, run_path

AnyRecord = (
    DatasetRecord
    | ShardManifest
    | RunRecord
    | CompactRecord
    | MergedRecord
    | Measured
    | HumanLabelsRecord
    | BuildRecord
    | OwnConceptsRecord
)
"""What a record may say."""

KINDS: Mapping[str, type[AnyRecord]] = {
    "dataset": DatasetRecord,
    "index": ShardManifest,
    "run": RunRecord,
    "shard": ShardManifest,
    "compact": CompactRecord,
    "merged": MergedRecord,
    "similarity": SimilarityRecord,
    "class set": ClassSetRecord,
    "effects": EffectRecord,
    "ablations": AblationRecord,
    "support": SupportRecord,
    "facet probe": FacetProbeRecord,
    "visualisations": VisualisationRecord,
    "figures": FigureRecord,
    "labels": HumanLabelsRecord,
    "marts": BuildRecord,
    "concepts": OwnConceptsRecord,
}
"""What a record is of, and its shape."""


@dataclass(frozen=True)
class Record:
    """A record that is there, or should be."""

    kind: str
    """One of `KINDS`."""
    path: str
    """Relative to the warehouse, as are all."""
    folder: str
    """Of the dataset or the run; ``marts``, ``concepts``."""

    @property
    def dataset(self) -> str:
        """The dataset's folder without ``dataset=``; empty for what is of all."""
        return self.folder.split("/")[0].partition("dataset=")[2]


def list_records(store: Store, dataset: str | None = None) -> Iterator[Record]:
    """Every record of a warehouse that is there, and those that should be."""
    for name in store.list(""):
        if name.startswith("dataset=") and dataset in (None, name.removeprefix("dataset=")):
            yield from _dataset_records(store, name)
    if store.exists("marts/build.json"):
        yield Record("marts", "marts/build.json", "marts")
    if store.exists(OWN_CONCEPTS) or store.exists(OWN_CONCEPTS + COPY):
        yield Record("concepts", OWN_CONCEPTS, "concepts")


def _dataset_records(store: Store, folder: str) -> Iterator[Record]:
    inside, manifests = store.list(folder), _list_manifests(store, folder)
    if "dataset.json" in inside or "dataset.json" + COPY in inside or manifests:
        yield Record("dataset", f"{folder}/dataset.json", folder)
    for path in manifests:
        yield Record("index", path, folder)
    for name in inside:
        if name.startswith("run_id="):
            yield from _run_records(store, f"{folder}/{name}")


def _run_records(store: Store, folder: str) -> Iterator[Record]:
    inside, manifests = store.list(folder), _list_manifests(store, folder)
    if "run.json" in inside or "run.json" + COPY in inside or manifests:
        yield Record("run", run_path(folder), folder)
    for path in manifests:
        yield Record("shard", path, folder)
    for kind in ("compact", "merged", "similarity"):
        name = f"{kind}.json"
        if name in inside or name + COPY in inside:
            yield Record(kind, f"{folder}/{name}", folder)
    for kind, place in (
        ("class set", "class_sets"), ("effects", "effects"), ("ablations", "ablations"),
        ("support", "support"), ("facet probe", "facet_probes"),
        ("visualisations", "visualisations"),
        ("figures", "figures"),
        ("labels", "human_labels"),
    ):  # fmt: skip
        there = store.list(f"{folder}/{place}")
        names = {name.removesuffix(COPY) for name in there}
        for name in sorted(name for name in names if name.endswith(".json")):
            yield Record(kind, f"{folder}/{place}/{name}", folder)


def _list_manifests(store: Store, folder: str) -> list[str]:
    """Paths of the manifests that are there, and of those of which a copy is."""
    there = {*list_ordinals(store, folder), *list_ordinals(store, folder, ".json" + COPY)}
    return [shard_file(folder, "manifests", ordinal, ".json") for ordinal in sorted(there)]


def read_good(store: Store, rel: str, shape: type[Shape]) -> tuple[Shape | None, str, str]:
    """A record that may be damaged: what it says, its seal, and what is wrong with it.

    What it says is None if anything is wrong.

    Raises:
        NewerFormatError: Nothing is wrong, but a newer version of ours wrote it.
    """
    if not store.exists(rel):
        return None, "", "is gone"
    with store.open(rel) as file:
        data = file.read()
    if problem := find_seal_problem(data):
        return None, "", problem
    try:
        value = json.loads(data)
        check_shape(value, shape, rel)
    except ValueError as error:
        return None, "", f"is not valid JSON: {error}"
    except NewerFormatError:
        raise
    except WarehouseError as error:
        return None, "", error.message.removeprefix(rel).strip().rstrip(".")
    return cast(Shape, value), str(value.get("checksum") or hash_bytes(data)), ""


def read_record_if_good(store: Store, record: Record) -> AnyRecord | None:
    """What a record says; None if it is damaged, gone, or a newer version's."""
    try:
        return read_good(store, record.path, KINDS[record.kind])[0]
    except NewerFormatError:
        return None
