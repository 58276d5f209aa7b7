"""What the record of a run says, and those of what is merged and sorted of it."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from pipeline.base.errors import WarehouseError
from pipeline.base.storage import Store
from pipeline.tables.manifests import FileEntry
from pipeline.tables.records import FilePath, Moment, Sealed, Small, read_record


class ModelSetup(TypedDict):
    """How a model runs its weights. Records of format 1 do not say it."""

    image_activation: NotRequired[str | None]
    """Activation function of the image tower."""
    text_activation: NotRequired[str | None]
    image_size_px: NotRequired[list[Small]]
    """Height and width."""
    image_mean: NotRequired[list[float]]
    """Of each channel, for pixels in 0..1; likewise the standard deviation."""
    image_std: NotRequired[list[float]]
    interpolation: NotRequired[str | None]
    resize_mode: NotRequired[str | None]
    fill_color: NotRequired[int]
    """Grey level 0..255 of the padding."""


class ModelIdentity(ModelSetup):
    """All that decides what a model computes."""

    model_id: NotRequired[str]
    weights_sha256: str


class RunIdentity(ModelIdentity):
    """What decides the result of a run; its hash names the run, if nobody does."""

    dataset: NotRequired[str]
    layers: list[str]
    """Canonical names."""
    store: NotRequired[list[str]]
    """What is kept of each layer."""
    preprocess: str
    precision: str
    activation_dtype: str
    top_k: int
    max_pixels: NotRequired[int]


class RunModel(TypedDict):
    """The model of a run."""

    model_id: str
    weights_sha256: str
    is_random: bool
    setup_said_by: NotRequired[str]
    """Who says what the weights were trained with, for a person."""


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
    grid: NotRequired[tuple[Small, Small] | None]
    """Rows and columns of its map or of its patches; null if it has none. Format 3 and later."""
    token_count: NotRequired[Small | None]
    """Tokens of one example; null for a map, and for one activation an example."""
    prefix_tokens: NotRequired[Small]
    """Of these, before the patches."""


class RunConfig(TypedDict):
    """The `settings.ExtractConfig` that a run was opened with: what is asked for by name; the rest may be
    that of another version."""

    model: NotRequired[str]
    """As it was named, with the path of a checkpoint; see `named_model`."""
    layers: NotRequired[list[str]]
    """Paths, or a preset."""
    device: NotRequired[str]
    merge_width: NotRequired[int]
    """0: the default; see `merged.width_of`."""


class RunRecord(Sealed):
    """``run.json``."""

    run_id: str
    identity: RunIdentity
    model: RunModel
    layers: list[RunLayer]
    config: RunConfig
    versions: dict[str, str]
    """Of what decides a result, by package."""
    created_at: Moment
    presets: NotRequired[dict[str, list[str]]]
    """What each preset names in the model, whether or not the run reads it."""
    known_as: NotRequired[list[str]]
    """Of a renamed run: the id that its configuration would give it."""


RUN = "run.json"
"""What the record of a run is called, in its folder."""


def run_path(folder: str) -> str:
    """Where the record of the run in a folder lies."""
    return f"{folder}/{RUN}"


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


def named_model(run: RunRecord) -> str:
    """The model of a run as it was named when the run was opened.

    Raises:
        WarehouseError: The record does not say.
    """
    if model := run["config"].get("model"):
        return model
    raise WarehouseError(
        f"The record of run {run['run_id']!r} does not say what its model was called.",
        "Name it: --model MODEL",
    )


class CompactLevel(TypedDict):
    """Shards that were sorted together; its files lie below its version."""

    version: str
    """Changes with what was compacted, see `warehouse.levels`."""
    ordinals: list[int]
    row_count: int


class CompactRecord(Sealed):
    """``compact.json``."""

    version: str
    """Of the largest level, as are the ordinals."""
    ordinals: list[int]
    files: list[FileEntry]
    """Of all levels."""
    levels: NotRequired[list[CompactLevel]]
    """The largest first. Absent: one, of the version and ordinals above."""
    form: NotRequired[str]
    previous: NotRequired[str]
    """The version before, which open connections may still read."""
    retired: NotRequired[list[str]]
    """Versions before: as ``previous``."""


def list_levels(record: CompactRecord) -> list[CompactLevel]:
    """The levels of a compaction."""
    rows = sum(file["row_count"] for file in record["files"] if file["table"] == "compact")
    whole: CompactLevel = {
        "version": record["version"],
        "ordinals": record["ordinals"],
        "row_count": rows,
    }
    return record.get("levels", [whole])


def kept_versions(record: CompactRecord) -> set[str]:
    """Versions of a compaction that are in use, or were just before."""
    used = {level["version"] for level in list_levels(record)}
    return used | {record.get("previous", "")} | set(record.get("retired", ()))


class Merge(TypedDict):
    """Partial statistics of neighbouring shards that were merged; see `merged`."""

    level: Small
    """1: of shards, 2: of merges of level 1, and so on; of level n it spans ``width ** n`` ordinals."""
    first: Small
    """The first ordinal that it spans."""
    marks: list[str]
    """`merged.mark` of each shard that it spans, in order; empty for one that is not in it."""
    made_from: str
    """Hash of the marks; its files bear it in their names and entries."""
    merged_at: Moment
    """UTC, ISO 8601."""
    has_parts: bool
    """Whether the shards' own files of these tables are still kept, for connections that were opened
    before."""


class Retired(TypedDict):
    """A file of a merge that went into a larger one; open connections may still read it."""

    path: FilePath
    retired_at: Moment


class MergedRecord(Sealed):
    """``merged.json``."""

    width: Small
    """How many shards, or merges, become one."""
    merges: list[Merge]
    """No two that hold have a shard in common."""
    files: list[FileEntry]
    """Each with the ``made_from`` of its merge."""
    retired: list[Retired]
    reserve: NotRequired[list[Merge]]
    """Merges of shards that went into larger ones. Their files are kept and read by nobody, until a larger one
    does not hold any more."""
