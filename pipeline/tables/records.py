"""Records: the small JSON files that say what is done. One typed reader, one writer, for all of them.

`Store.write_record` writes them, with their format and their own checksum. A field that we do
not know is passed over, one that is not there yet in an older record is left out (read it with
``get``), and anything else that is not what the shapes below say is an error that names the file.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from pathlib import PurePosixPath
from types import UnionType
from typing import (
    Annotated,
    Any,
    NotRequired,
    TypedDict,
    TypeVar,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)
from typing import is_typeddict as is_shape

from pipeline.base.errors import WarehouseError
from pipeline.base.storage import FORMAT, Store, Written

Moment = Annotated[str, datetime]
"""A time, ISO 8601."""
Small = Annotated[int, 32]
"""A whole number of 32 bits, as the views have it."""
FilePath = Annotated[str, PurePosixPath]
"""A Parquet file inside the warehouse."""


class FileEntry(TypedDict):
    """A file that a record names."""

    table: str
    path: FilePath
    """Relative to the warehouse."""
    row_count: int
    bytes: int
    layer: NotRequired[str | None]
    checksum: NotRequired[str]
    """As `storage.Written` has it; files of format 1 have none."""
    format: NotRequired[int]
    """Of the file, where that is not the record's."""
    ordinal: NotRequired[Small]
    """Similarity and class sets: the shard that was scored; -1 is none."""
    made_from: NotRequired[str]
    """Similarity and class sets: hash of what the file was made from."""


class ShardEntry(TypedDict):
    """A shard in ``dataset.json``; see `datasets.Shard`."""

    ordinal: Small
    name: str
    url: str
    size_bytes: int


class DatasetRecord(TypedDict):
    """``dataset.json``."""

    dataset: str
    source: str
    shards: list[ShardEntry]
    duplicates: NotRequired[str]
    """What counts as one image, ``near`` or ``exact``; absent: ``exact``."""


class ShardManifest(TypedDict):
    """``manifests/NNNNN.json`` of a dataset or a run: a shard is done, or has failed.

    ``read_count`` is always ``written_count + rejected_count``.
    """

    ordinal: Small
    shard: str
    status: str
    """``done`` or ``failed``."""
    error: str | None
    read_count: int
    written_count: int
    rejected_count: int
    reject_reasons: dict[str, int]
    notice_reasons: NotRequired[dict[str, int]]
    """A dataset's: what was left out or passed over, by reason."""
    passed_over: NotRequired[list[list[Any]]]
    """A dataset's: reason, kind and count of files that the source passed over."""
    files: list[FileEntry]
    seconds: dict[str, float]
    """By stage."""
    written_at: Moment
    """UTC, ISO 8601."""
    is_undone: NotRequired[bool]
    """It was done, its files are damaged or gone, and it is to be made again."""
    size_bytes: NotRequired[int]
    """Of the tar that was read."""
    url: NotRequired[str]
    """A dataset's: where that tar lies, as in ``dataset.json``."""
    source: NotRequired[str]
    """A dataset's: which source made it."""
    duplicates: NotRequired[str]
    """A dataset's: as in ``dataset.json`` when it was indexed."""
    tar_checksum: NotRequired[str | None]
    """A dataset's: of the tar, if we wrote it."""
    max_reject_frac: NotRequired[float]
    """A dataset's: the limit it was indexed with."""
    source_count: NotRequired[int | None]
    """A dataset's: items of the source that went into a shard that we wrote, or null."""
    source_digest: NotRequired[str | None]
    """A dataset's: hash of those items."""
    run_id: NotRequired[str]
    model_id: NotRequired[str]
    is_random: NotRequired[bool]
    canonical_count: NotRequired[int]
    """A run's: examples whose image no earlier example showed."""
    batch_size: NotRequired[int]


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


class BuildRecord(TypedDict):
    """``marts/build.json``."""

    fingerprint: str
    folder: str
    settings: dict[str, Any]
    row_counts: dict[str, int]
    bytes: dict[str, int]
    files: NotRequired[list[FileEntry]]
    runs: NotRequired[dict[str, str]]
    """What each run was when it was built; see `stale.digest_runs`."""
    previous: NotRequired[str]
    """The folder of the build before, which open connections may still read."""


Shape = TypeVar("Shape")


def make_entry(
    table: str, rel: str, row_count: int, written: Written, layer: str | None = None
) -> FileEntry:
    """The entry of a file that was just written."""
    return {
        "table": table,
        "path": rel,
        "layer": layer,
        "row_count": row_count,
        "bytes": written.bytes,
        "checksum": written.checksum,
    }


def adopt_file(store: Store, table: str, rel: str) -> FileEntry | None:
    """The entry of a Parquet file that an interrupted attempt left, if it is there and whole.

    Every page is read, against its own checksum.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not store.exists(rel):
        return None
    try:
        with store.open(rel) as file:
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            for batch in parquet.iter_batches():
                del batch
            row_count = int(parquet.metadata.num_rows)
    except (pa.ArrowException, OSError):
        return None
    return make_entry(table, rel, row_count, Written(store.size(rel), store.checksum(rel)))


def named_paths(record: SimilarityRecord | ClassSetRecord) -> set[str]:
    """The files that a record names, and those that it named just before."""
    return {file["path"] for file in record["files"]} | set(record.get("previous", ()))


def read_record(store: Store, rel: str, shape: type[Shape]) -> Shape:
    """Read a record.

    Raises:
        StorageError: It is no JSON.
        WarehouseError: A newer version of ours made it, or it has another shape.
    """
    value = store.read_json(rel)
    check_shape(value, shape, store.uri(rel))
    return cast(Shape, value)


def check_shape(value: Any, shape: Any, place: str) -> None:
    """Refuse a value that is not what a shape says.

    Args:
        value: What a JSON file holds.
        shape: One of the typed dictionaries above.
        place: The file, for the message.

    Raises:
        WarehouseError: A newer version of ours made it, or it has another shape.
    """
    known = value.get("format", 1) if isinstance(value, dict) else 1
    is_format = type(known) is int and known >= 1
    if is_format and known > FORMAT:
        raise WarehouseError(
            f"{place} was made by a newer version of ours (its format is {known}, ours {FORMAT}).",
            "Update: pip install -U multimodal-neurons.",
        )
    problem = "" if is_format else f"format is {json.dumps(known)}, expected a number from 1"
    if problem := problem or _misfit(value, shape, ""):
        raise WarehouseError(
            f"{place} is not what we write there: {problem}.",
            "Something else changed it. Leave it where it is: neurons check says what is damaged, "
            "neurons repair makes it again.",
        )


def _misfit(value: Any, shape: Any, where: str) -> str:
    """What is wrong with a value, in words; empty if it fits."""
    origin, arguments = get_origin(shape), get_args(shape)
    if shape is Any:
        return ""
    if is_shape(shape):
        return _misfit_fields(value, shape, where)
    if origin is NotRequired:
        return _misfit(value, arguments[0], where)
    if origin is Annotated:
        return _misfit_more(value, arguments[0], arguments[1], where)
    if origin is UnionType:
        problems = [_misfit(value, kind, where) for kind in arguments]
        return "" if "" in problems else problems[0]
    if origin is list and isinstance(value, list):
        items = (_misfit(item, arguments[0], f"{where}[{n}]") for n, item in enumerate(value))
        return next(filter(None, items), "")
    if origin is dict and isinstance(value, dict):
        items = (_misfit(item, arguments[1], f"{where}.{name}") for name, item in value.items())
        return next(filter(None, items), "")
    fits = {
        type(None): value is None,
        bool: isinstance(value, bool),
        int: isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63,
        float: isinstance(value, float) or (type(value) is int and abs(value) < 1 << 63),
        str: isinstance(value, str) and _is_text(value),
    }
    if fits.get(shape, False):
        return ""
    return f"{where.lstrip('.') or 'it'} is {_name(value)}, expected {_words(origin or shape)}"


def _misfit_more(value: Any, kind: Any, more: Any, where: str) -> str:
    """As `_misfit`, for a kind that is narrower than Python's."""
    if is_shape(more):
        return _misfit(value, more, where)
    if problem := _misfit(value, kind, where):
        return problem
    place = where.lstrip(".") or "it"
    if more == 32 and not -(1 << 31) <= value < 1 << 31:
        return f"{place} is {value}, expected a smaller number"
    if more is datetime:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return f"{place} is {value!r}, expected a time"
    if more is PurePosixPath:
        parts = value.split("/")
        if value.startswith("/") or ".." in parts or not value.endswith(".parquet"):
            return f"{place} is {value!r}, expected a Parquet file inside the warehouse"
    return ""


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which no table can hold
        return False
    return True


def _misfit_fields(value: Any, shape: Any, where: str) -> str:
    if not isinstance(value, dict):
        return f"{where.lstrip('.') or 'it'} is {_name(value)}, expected an object"
    for name, kind in _fields(shape).items():
        place = f"{where}.{name}".lstrip(".")
        if name not in value:
            if get_origin(kind) is not NotRequired:
                return f"{place} is missing"
        elif problem := _misfit(value[name], kind, place):
            return problem
    return ""


@cache
def _fields(shape: Any) -> dict[str, Any]:
    return get_type_hints(shape, include_extras=True)


def _name(value: Any) -> str:
    return json.dumps(value) if value is None or isinstance(value, bool) else _words(type(value))


def _words(kind: Any) -> str:
    words = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}
    return words.get(kind, "a number" if kind is float else "null or another kind")
