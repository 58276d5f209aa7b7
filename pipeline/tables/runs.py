"""What the records of a run say, and of all that is made from one."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

from pipeline.base.storage import Store
from pipeline.tables.manifests import FileEntry
from pipeline.tables.records import Moment, Small, read_record


class RunIdentity(TypedDict):
    """What decides the result of a run, as far as views show it; later fields may be absent."""

    weights_sha256: str
    layers: list[str]
    preprocess: str
    precision: str
    activation_dtype: str
    top_k: int
    image_activation: NotRequired[str | None]
    text_activation: NotRequired[str | None]
    image_size_px: NotRequired[list[Small]]
    image_mean: NotRequired[list[float]]
    image_std: NotRequired[list[float]]
    interpolation: NotRequired[str | None]
    resize_mode: NotRequired[str | None]


class RunModel(TypedDict):
    """The model of a run."""

    model_id: str
    weights_sha256: str
    is_random: bool


class RunLayer(TypedDict):
    """A layer that a run reads."""

    layer: str
    path: str
    point: str
    pooling: str
    tower: str
    module_kind: str
    unit_count: Small
    is_rectified: bool
    store: str


class ClassIdentity(TypedDict):
    """What decides the scores of a class set."""

    classes: list[str]
    templates: list[str]


class RunRecord(TypedDict):
    """``run.json``."""

    run_id: str
    identity: Annotated[dict[str, Any], RunIdentity]
    model: Annotated[dict[str, Any], RunModel]
    layers: list[Annotated[dict[str, Any], RunLayer]]
    config: dict[str, Any]
    versions: dict[str, Any]
    created_at: Moment
    presets: NotRequired[dict[str, list[str]]]
    """What each preset names in the model, whether or not the run reads it."""


def run_path(folder: str) -> str:
    """Where the record of the run in a folder lies."""
    return f"{folder}/run.json"


def has_run(store: Store, folder: str) -> bool:
    """Whether there is a run in a folder: its record is what makes it one."""
    return store.exists(run_path(folder))


def read_run(store: Store, folder: str) -> RunRecord:
    """The record of the run in a folder.

    Raises:
        WarehouseError: It is damaged, or a newer version's.
        StorageError: It is not there.
    """
    return read_record(store, run_path(folder), RunRecord)


class CompactRecord(TypedDict):
    """``compact.json``."""

    version: str
    ordinals: list[int]
    files: list[FileEntry]
    format: NotRequired[int]
    form: NotRequired[str]
    previous: NotRequired[str]
    """The version before, which open connections may still read."""


class SimilarityRecord(TypedDict):
    """``similarity.json``."""

    identity: dict[str, Any]
    files: list[FileEntry]
    previous: NotRequired[list[str]]
    """Paths that the record named before, which open connections may still read."""
    created_at: Moment


class ClassSetRecord(TypedDict):
    """``class_sets/NAME.json``."""

    class_set: str
    identity: Annotated[dict[str, Any], ClassIdentity]
    logit_scale: float
    example_count: int
    files: list[FileEntry]
    previous: NotRequired[list[str]]
    """Paths that the record named before, which open connections may still read."""
    created_at: Moment


class HumanLabelsRecord(TypedDict):
    """``human_labels/NAME.json``."""

    layer: str
    unit: int
    labeller: str
    imported_at: str
    files: list[FileEntry]


def named_paths(record: SimilarityRecord | ClassSetRecord) -> set[str]:
    """The files that a record names, and those that it named just before."""
    return {file["path"] for file in record["files"]} | set(record.get("previous", ()))
