"""The index of one shard: where each image lies, what it is and shows, its texts, what was rejected."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipeline.base.errors import DamagedShardError, ExampleError
from pipeline.base.names import UNREADABLE_EXTENSIONS, describe_ending, is_image_name
from pipeline.base.storage import Store
from pipeline.sources.copies.fingerprint import take_fingerprint
from pipeline.sources.header import read_header
from pipeline.sources.notices import (
    HIDDEN_FILE,
    OTHER_FILE,
    TEXT_NOT_USED,
    TEXT_UNREADABLE,
    Notice,
    Notices,
    PassedOver,
    describe_counts,
)
from pipeline.sources.source_notes import SourceNotes
from pipeline.sources.stimulus import read_stimulus
from pipeline.sources.texts.captions import clean_text
from pipeline.sources.texts.source_text import rank_texts, read_sidecars
from pipeline.tables.datasets import (
    Dataset,
    Shard,
    dataset_folder,
    shard_url,
)
from pipeline.tables.manifest_files import (
    shard_file,
    write_manifest,
)
from pipeline.tables.manifests import FileEntry, ShardManifest, make_entry
from pipeline.tables.samples import Member, Sample, is_text_name
from pipeline.tables.schema import TABLES
from pipeline.tables.tars import open_shard, read_samples

_DETAIL_LENGTH = 500


def index_shard(
    store: Store,
    dataset: Dataset,
    shard: Shard,
    max_reject_frac: float,
    notes: SourceNotes,
    source: str = "",
) -> ShardManifest:
    """Read a tar once and write its index: examples, texts, rejects, notices, then the manifest.

    ``read_count`` is the samples of the tar, their further images, and the rejects of the source; it is
    always ``written_count + rejected_count``. A shard fails as a whole if its tar is damaged, if the
    count disagrees with the source, or if more than ``max_reject_frac`` of its samples are rejected
    (further images, and what the source could not give, do not count). An empty tar is damaged
    unless the source says that it holds no sample. If a shard fails,
    nothing of it is written, all that was read counts as rejected, and one more reject row without
    key and position tells why.

    Args:
        store: The warehouse.
        dataset: The shard's dataset.
        shard: The tar.
        max_reject_frac: Largest share of rejects among its samples.
        notes: What its source says of it.
        source: Which source has it; empty for the one that made the dataset.

    Returns:
        The manifest, as `read_manifest` describes it.

    Raises:
        StorageError: The tar cannot be opened, or the warehouse cannot be written.
    """
    began = time.monotonic()
    index = _ShardIndex(shard, notes, dataset.duplicates)
    url = shard_url(store, shard)
    try:
        if notes.has_tar:
            with open_shard(url) as file:
                for sample in read_samples(file, url, _is_wanted, index.hidden):
                    index.add(sample)
        problem = index.find_problem(max_reject_frac)
    except DamagedShardError as error:
        is_right = error.reason == "tar_empty" and notes.sample_count == 0
        problem = index.find_problem(1.0) if is_right else (error.reason, str(error))
    read_seconds = time.monotonic() - began
    index.tell_passed_over()
    if problem is not None:
        index.fail(*problem)
    manifest = index.manifest(problem, source or dataset.source, max_reject_frac)
    folder = dataset_folder(dataset.name)
    for table, columns in index.tables.items():
        path = shard_file(folder, table, shard.ordinal)
        if (problem is not None and table != "rejects") or not index.has_table(table):
            store.delete(path)
            continue
        manifest["files"].append(_write_table(store, path, table, columns))
    seconds = {"read": read_seconds, "write": time.monotonic() - began - read_seconds}
    manifest["seconds"] = {stage: round(value, 3) for stage, value in seconds.items()}
    manifest["written_at"] = datetime.now(UTC).isoformat(timespec="seconds")
    write_manifest(store, folder, manifest)
    return manifest


@dataclass
class _ShardIndex:
    """The rows of one shard, column by column."""

    shard: Shard
    notes: SourceNotes
    duplicates: str
    """As `datasets.Dataset` has it."""
    sample_count: int = 0
    rejected_samples: int = 0
    extra_images: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    notice_reasons: Counter[str] = field(default_factory=Counter)
    hidden: Counter[str] = field(default_factory=Counter)
    passed_over: PassedOver = field(default_factory=PassedOver)
    tables: dict[str, dict[str, list[Any]]] = field(init=False)

    def __post_init__(self) -> None:
        self.tables = {
            name: {column: [] for column in TABLES[name].column_names}
            for name in ("examples", "texts", "rejects", "notices", "stimuli", "fingerprints")
        }
        for item in self.notes.rejects:
            self._reject(item.position, item.key, "source", item.reason, item.detail)

    def add(self, sample: Sample) -> None:
        """Index one sample, or reject it."""
        self.sample_count += 1
        try:
            self._add_example(sample)
            for extension in sample.members:
                if not is_text_name(extension) and not is_image_name(extension):
                    self.passed_over.add(OTHER_FILE, describe_ending(f"x.{extension}"))
        except ExampleError as error:
            self.rejected_samples += 1
            self._reject(sample.position, sample.key, "index", error.reason, error.detail)
        for extension in sample.images[1:]:
            name, beside = sample.members[extension].name, sample.members[sample.images[0]].name
            self.extra_images += 1
            what = f"{name} stands beside {beside} and has no text of its own name"
            self._reject(sample.position, name, "index", "extra_image", what)

    def tell_passed_over(self) -> None:
        """Tell of hidden members and of those that are neither image nor text, and what the source tells."""
        for kind, count in self.hidden.items():
            self.passed_over.add(HIDDEN_FILE, kind, count)
        for notice in self.passed_over:
            self._tell(None, None, "index", notice)
        for notice in describe_counts(Counter(self.notes.passed_over)):
            self._tell(None, None, "source", notice)
        for told in self.notes.notices:
            self._tell(told.position, told.key, "source", told.notice)

    def find_problem(self, max_reject_frac: float) -> tuple[str, str] | None:
        """Why the shard fails as a whole, as (reason, what to tell), or None."""
        expected = self.notes.sample_count
        if self.notes.problem is not None:
            return self.notes.problem
        if expected is not None and expected != self.sample_count:
            return (
                "count_mismatch",
                f"Shard {self.shard.url} holds {self.sample_count:,} samples, but its source says "
                f"{expected:,}.\n  Download that shard again, then run the same command.",
            )
        if self.rejected_samples > max_reject_frac * self.sample_count:
            counts = ", ".join(
                f"{reason} {count:,}" for reason, count in self._index_reasons().most_common()
            )
            return (
                "too_many_rejects",
                f"Shard {self.shard.url} has {self.rejected_samples:,} rejects among "
                f"{self.sample_count:,} samples, more than the fraction {max_reject_frac:g} "
                f"that is allowed: {counts}.\n  Repair the data, or allow more with "
                f"--max-reject-frac.",
            )
        return None

    def fail(self, reason: str, detail: str) -> None:
        """Keep the rejects alone, with one more for the shard."""
        for table in ("examples", "texts", "notices", "stimuli", "fingerprints"):
            self.tables[table] = {column: [] for column in self.tables[table]}
        self._reject(None, None, "index", reason, detail)

    def has_table(self, table: str) -> bool:
        """Whether a table is written: some only if they have rows, the others even if empty."""
        is_optional = table in ("notices", "stimuli", "fingerprints")
        return not is_optional or any(self.tables[table].values())

    def manifest(
        self, problem: tuple[str, str] | None, source: str, max_reject_frac: float
    ) -> ShardManifest:
        """The manifest, still without its files and times."""
        beside = self.extra_images + len(self.notes.rejects)
        read_count = self.sample_count + beside
        written_count = len(self.tables["examples"]["example_id"])
        rejected_count = self.rejected_samples + beside
        if problem is not None:
            rejected_count = read_count
        if read_count != written_count + rejected_count:
            raise AssertionError(
                f"{self.shard.url}: {read_count} read is not {written_count} written "
                f"and {rejected_count} rejected"
            )
        return {
            "ordinal": self.shard.ordinal,
            "shard": self.shard.name,
            "status": "done" if problem is None else "failed",
            "error": None if problem is None else problem[1],
            "read_count": read_count,
            "written_count": written_count,
            "rejected_count": rejected_count,
            "reject_reasons": dict(sorted(self.reasons.items())),
            "notice_reasons": dict(sorted(self.notice_reasons.items())) if problem is None else {},
            "passed_over": [
                (*kind, count) for kind, count in sorted(self.notes.passed_over.items())
            ],
            "source_count": self.notes.source_count,
            "source_digest": self.notes.source_digest,
            "size_bytes": self.shard.size_bytes,
            "duplicates": self.duplicates,
            "url": self.shard.url,
            "tar_checksum": self.notes.tar_checksum,
            "files": [],
            "source": source,
            "max_reject_frac": max_reject_frac,
            "seconds": {},
            "written_at": "",
        }

    def _add_example(self, sample: Sample) -> None:
        if sample.error is not None:
            raise sample.error
        if clean_text(sample.key) != sample.key:
            raise ExampleError("bad_key", f"the key {sample.key!r} is not UTF-8")
        image = _find_image(sample)
        data = image.data or b""
        header = read_header(data)
        notices = Notices()
        _tell_unread(sample, notices)
        members = sample.members.items()
        files = {e: m.data for e, m in members if is_text_name(e) and m.data is not None}
        beside = read_sidecars(files, sample.images[0], notices)
        stimuli = (read_stimulus(record) for record in beside.records)
        stimulus = next(filter(None, stimuli), None)
        example_id = self.shard.example_id(sample.position)
        row: tuple[object, ...] = (
            example_id,
            self.shard.ordinal,
            sample.key,
            hashlib.sha256(data).hexdigest(),
            header.width_px,
            header.height_px,
            header.mime_type,
            image.offset,
            image.size,
            beside.url,
            header.is_turned,
        )
        self._append("examples", row)
        for notice in notices:
            self._tell(sample.position, sample.key, "index", notice)
        if stimulus is not None:
            self._append("stimuli", (example_id, *stimulus))
        elif self.duplicates == "near":
            seen = take_fingerprint(data)
            if seen is not None:
                row = (example_id, seen.width_px, seen.height_px, *seen.hashes, seen.thumb)
                self._append("fingerprints", row)
        for rank, text in rank_texts(beside.texts):
            self._append(
                "texts",
                (
                    example_id,
                    text["language"],
                    text["text_kind"],
                    rank,
                    text["text"],
                    text["page_title"],
                ),
            )

    def _reject(
        self, position: int | None, key: str | None, stage: str, reason: str, detail: str
    ) -> None:
        self.reasons[reason] += 1
        detail = clean_text(detail if position is None else detail[:_DETAIL_LENGTH])
        key = None if key is None else clean_text(key)
        self._append("rejects", (self.shard.ordinal, position, key, stage, reason, detail))

    def _tell(self, position: int | None, key: str | None, stage: str, notice: Notice) -> None:
        self.notice_reasons[notice.reason] += notice.count
        row = (self.shard.ordinal, position, key, stage, notice.reason, clean_text(notice.detail))
        self._append("notices", (*row, notice.count))

    def _append(self, table: str, row: Iterable[object]) -> None:
        for column, value in zip(self.tables[table].values(), row, strict=True):
            column.append(value)

    def _index_reasons(self) -> Counter[str]:
        rejects = self.tables["rejects"]
        pairs = zip(rejects["stage"], rejects["reason"], strict=True)
        return Counter(reason for stage, reason in pairs if stage == "index")


def _is_wanted(extension: str) -> bool:
    return is_text_name(extension) or is_image_name(extension)


def _tell_unread(sample: Sample, notices: Notices) -> None:
    """Tell of texts that have no bytes, or come twice."""
    for extension, member in sample.members.items():
        if member.problem is not None and is_text_name(extension):
            notices.add(TEXT_UNREADABLE, member.problem.detail)
    for extension, member in sample.repeated:
        if is_text_name(extension):
            told = sample.tell_repeated(extension, member)
            notices.add(TEXT_NOT_USED, f"{told}; the first is read")


def _find_image(sample: Sample) -> Member:
    if not sample.images:
        unreadable = [
            e for e in sample.members if describe_ending(f"x.{e}") in UNREADABLE_EXTENSIONS
        ]
        if unreadable:
            what = f"nothing here reads .{unreadable[0]}; convert it to JPEG, PNG or WebP"
            raise ExampleError(
                "unsupported_format", f"{sample.members[unreadable[0]].name}: {what}"
            )
        there = ", ".join(sample.members)
        raise ExampleError("no_image", f"the sample has no image, only: {there}")
    image = sample.members[sample.images[0]]
    if image.problem is not None:
        raise image.problem
    return image


def _write_table(store: Store, path: str, name: str, columns: dict[str, list[Any]]) -> FileEntry:
    import pyarrow as pa

    table = pa.table(columns, schema=TABLES[name].arrow_schema())
    return make_entry(name, path, table.num_rows, store.write_parquet(path, table))
