"""What a warehouse holds: the rows of its small tables, and its files; `inventory` reads them from manifests.

The fields of a row are the columns of its table, in their order: see `small_tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple
from urllib.parse import unquote

from pipeline.base.errors import NeuronsError
from pipeline.base.storage import Store
from pipeline.base.warn import warn_once
from pipeline.tables.manifests import FileEntry
from pipeline.tables.own_concepts import OwnConceptsRecord
from pipeline.tables.records import Moment, Small
from pipeline.tables.runs import CompactLevel
from pipeline.warehouse.left_out import LeftOut, is_of_data


class ShardRow(NamedTuple):
    """``raw_shards``: a shard of a dataset, and what became of its index."""

    dataset: str
    source: str
    shard_ordinal: Small
    shard: str
    url: str
    size_bytes: int
    status: str
    """``done``, ``failed``, ``pending``, or ``unmarked``: its repeated images are not known yet."""
    error: str | None
    read_count: int
    written_count: int
    rejected_count: int


class RunRow(NamedTuple):
    """``raw_runs``: a run. What a model was set up with, records of format 1 do not say."""

    dataset: str
    run_id: str
    model_id: str
    weights_sha256: str
    is_random: bool
    image_activation: str | None
    text_activation: str | None
    image_height_px: Small | None
    image_width_px: Small | None
    image_mean: list[float] | None
    image_std: list[float] | None
    interpolation: str | None
    resize_mode: str | None
    preprocess: str
    precision: str
    activation_dtype: str
    top_k: int
    layers: list[str]
    versions: str
    """JSON."""
    is_compacted: bool
    merge_width: Small
    """How many shards' partial statistics become one, and the order in which they are added."""
    created_at: Moment


class LayerRow(NamedTuple):
    """``raw_layers``: a layer of a run."""

    dataset: str
    run_id: str
    model_id: str
    layer: str
    layer_path: str
    point: str
    pooling: str
    tower: str
    module_kind: str
    unit_count: Small
    is_rectified: bool
    grid_rows: Small | None
    grid_columns: Small | None
    token_count: Small | None
    prefix_tokens: Small | None
    store: str
    presets: list[str]
    """Those that name it."""


class RunShardRow(NamedTuple):
    """``raw_run_shards``: a shard of a run; seconds are by stage, as far as its manifest tells them."""

    dataset: str
    run_id: str
    shard_ordinal: Small
    status: str
    error: str | None
    read_count: int
    written_count: int
    rejected_count: int
    canonical_count: int | None
    read_s: float | None
    decode_s: float | None
    forward_s: float | None
    write_s: float | None
    wall_s: float | None
    file_bytes: int
    written_at: Moment


class ClassSetRow(NamedTuple):
    """``raw_class_sets``: what a run's images were classified among."""

    dataset: str
    run_id: str
    class_set: str
    classes: list[str]
    templates: list[str]
    logit_scale: float
    example_count: int
    created_at: Moment


Mark = tuple[str, str | int]
"""The path of a file, and its checksum, or its size where it has none."""


@dataclass
class Inventory:
    """All that manifests say of a warehouse: the rows of the small tables, and the files."""

    store: Store
    shards: list[ShardRow] = field(default_factory=list)
    runs: list[RunRow] = field(default_factory=list)
    layers: list[LayerRow] = field(default_factory=list)
    run_shards: list[RunShardRow] = field(default_factory=list)
    class_sets: list[ClassSetRow] = field(default_factory=list)
    files: list[FileEntry] = field(default_factory=list)
    compact_marks: dict[str, Callable[[], dict[int, list[Mark]]]] = field(default_factory=dict)
    """By run folder: tells, by ordinal of each done shard, what a compaction of it rests on."""
    levels: dict[str, list[CompactLevel]] = field(default_factory=dict)
    """By run folder: the levels of its compaction that are of today's files; the largest first."""
    partial_marks: dict[str, Callable[[], dict[int, str]]] = field(default_factory=dict)
    """By run folder: tells, by ordinal, what changes with a shard's partial statistics, and not when they are
    merged."""
    datasets: list[str] = field(default_factory=list)
    """Names of those that can be read."""
    own_concepts: OwnConceptsRecord | None = None
    """Phrases that somebody gave the warehouse."""
    left_out: list[LeftOut] = field(default_factory=list)
    """What cannot be read; nothing else here speaks of it."""
    _by_table: tuple[int, int, dict[str, list[FileEntry]]] | None = None
    """Of which list of files, how long, and these by table."""

    def add(self, part: Inventory) -> None:
        """Take all that another one of the same warehouse says."""
        self.datasets += part.datasets
        self.shards += part.shards
        self.runs += part.runs
        self.layers += part.layers
        self.run_shards += part.run_shards
        self.class_sets += part.class_sets
        self.files += part.files
        self.compact_marks |= part.compact_marks
        self.levels |= part.levels
        self.partial_marks |= part.partial_marks
        self.left_out += part.left_out

    def only(self, wanted: Collection[tuple[str, str | None]]) -> Inventory:
        """What it says of some datasets and runs, each (dataset, run); a run of None: none of its runs.

        The dataset of a run is whole: its shards and all files that its runs share.
        """
        datasets = {dataset for dataset, _ in wanted}
        return Inventory(
            self.store,
            shards=[row for row in self.shards if row.dataset in datasets],
            runs=[row for row in self.runs if (row.dataset, row.run_id) in wanted],
            layers=[row for row in self.layers if (row.dataset, row.run_id) in wanted],
            run_shards=[row for row in self.run_shards if (row.dataset, row.run_id) in wanted],
            class_sets=[row for row in self.class_sets if (row.dataset, row.run_id) in wanted],
            files=[file for file in self.files if _is_of(file["path"], wanted, datasets)],
            compact_marks=self.compact_marks,
            levels=self.levels,
            partial_marks=self.partial_marks,
            datasets=[name for name in self.datasets if name in datasets],
            own_concepts=self.own_concepts,
        )

    def leave_out(self, folder: str, error: NeuronsError) -> None:
        """Forget a dataset or a run that cannot be read, and remember why.

        Raises:
            NeuronsError: The error, if it says nothing of the data.
        """
        if not is_of_data(error):
            raise error
        one = LeftOut(folder, error)
        self.runs = [row for row in self.runs if not one.covers(row.dataset, row.run_id)]
        self.layers = [row for row in self.layers if not one.covers(row.dataset, row.run_id)]
        self.run_shards = [r for r in self.run_shards if not one.covers(r.dataset, r.run_id)]
        self.class_sets = [r for r in self.class_sets if not one.covers(r.dataset, r.run_id)]
        self.files = [file for file in self.files if not file["path"].startswith(f"{folder}/")]
        if one.run_id is None:
            self.shards = [row for row in self.shards if row.dataset != one.dataset]
            self.datasets = [name for name in self.datasets if name != one.dataset]
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
        if self._by_table is None or self._by_table[:2] != (id(self.files), len(self.files)):
            found: dict[str, list[FileEntry]] = {}
            for file in self.files:
                found.setdefault(file["table"], []).append(file)
            self._by_table = (id(self.files), len(self.files), found)
        return self._by_table[2].get(table, [])

    def paths(self, table: str) -> list[str]:
        """Paths of the files of one table."""
        return [file["path"] for file in self.files_of(table)]

    def add_files(self, files: list[FileEntry], written: int) -> None:
        """Take the files of a record, each with the format it was written in: the record's, or its own."""
        for file in files:
            file.setdefault("format", written)
        self.files += files


def owner_of(path: str) -> tuple[str, str | None]:
    """The dataset that a file belongs to, and its run if it is a run's."""
    dataset, inner, *_ = path.split("/", 2)
    return _owner_of(dataset, inner if inner.startswith("run_id=") else "")


@cache
def _owner_of(dataset: str, run: str) -> tuple[str, str | None]:
    run_id = unquote(run.removeprefix("run_id="))
    return unquote(dataset.removeprefix("dataset=")), run_id if run else None


def _is_of(path: str, wanted: Collection[tuple[str, str | None]], datasets: set[str]) -> bool:
    dataset, run = owner_of(path)
    return dataset in datasets and (run is None or (dataset, run) in wanted)
