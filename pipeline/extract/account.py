"""What an extraction did, as it is counted and told: in one process, or to one by several."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.base.errors import NeuronsError, ShardError, StorageError
from pipeline.base.progress import ProgressCallback
from pipeline.tables.manifests import ShardManifest


@dataclass
class RunSummary:
    """What an extraction did, and what it found done already."""

    run_id: str
    dataset: str
    shard_count: int = 0
    skipped_shard_count: int = 0
    read_count: int = 0
    written_count: int = 0
    rejected_count: int = 0
    bytes_written: int = 0
    seconds: float = 0.0
    manifests: list[ShardManifest] = field(default_factory=list)
    failures: list[NeuronsError] = field(default_factory=list)
    """Why shards failed, one each."""
    left_count: int = 0
    """Shards that nobody began, because no process was left."""

    def raise_failures(self) -> None:
        """Raise what failed, if anything did: one error for all.

        Raises:
            ShardError: Some shards failed; all others are done. The message lists them.
            StorageError: The same, and a connection was lost: trying again may help.
        """
        if not (self.failures or self.left_count):
            return
        listed = "".join(f"\n  {error}" for error in self.failures)
        lost = any(isinstance(error, StorageError) for error in self.failures)
        others = f"{self.left_count} were not begun" if self.left_count else "the others are done"
        raise (StorageError if lost else ShardError)(
            f"{len(self.failures)} of {self.shard_count} shards failed; {others}.{listed}",
            "Mend what the lines above name and run the same command again.",
        )


class Told(Protocol):
    """Who is told what becomes of the shards: an `Account`, here or in another process."""

    def begin(
        self, run_id: str, dataset: str, shard_count: int, skipped_count: int, example_count: int
    ) -> None:
        """The run is open.

        Args:
            run_id: The run.
            dataset: Of which.
            shard_count: Shards that are to be done or are done.
            skipped_count: Those that are.
            example_count: Examples of the others.
        """

    def advance(self, count: int) -> None:
        """So many more examples are on their way to the disk."""

    def add(self, manifest: ShardManifest, error: NeuronsError | None = None) -> None:
        """A shard is done, or has failed."""

    def finish(self) -> None:
        """Nothing more will be told."""


class Account:
    """Counts what becomes of the shards, and tells of it: every batch, and one line for every shard.

    Args:
        progress: Who is told.
    """

    def __init__(self, progress: ProgressCallback) -> None:
        self.summary = RunSummary("", "")
        self._progress = progress
        self._example_count = 0
        self._began = time.perf_counter()

    def begin(
        self, run_id: str, dataset: str, shard_count: int, skipped_count: int, example_count: int
    ) -> None:
        """Of several processes the one that looked first has found the least done."""
        if self.summary.run_id:
            found = self.summary.skipped_shard_count
            self.summary.skipped_shard_count = min(found, skipped_count)
            return
        self.summary = RunSummary(run_id, dataset, shard_count, skipped_count)
        self._example_count = example_count
        self._began = time.perf_counter()
        self._progress.start("extract", example_count)

    def advance(self, count: int) -> None:
        """So many more examples are on their way to the disk."""
        self._progress.advance(count)

    def add(self, manifest: ShardManifest, error: NeuronsError | None = None) -> None:
        """A shard is done, or has failed."""
        summary = self.summary
        summary.manifests.append(manifest)
        if error is not None:
            summary.failures.append(error)
        summary.read_count += manifest["read_count"]
        summary.written_count += manifest["written_count"]
        summary.rejected_count += manifest["rejected_count"]
        summary.bytes_written += sum(f["bytes"] for f in manifest["files"])
        elapsed = time.perf_counter() - self._began
        rate = summary.read_count / elapsed
        left = max(0, self._example_count - summary.read_count)
        spent = ", ".join(f"{name} {s:.1f} s" for name, s in manifest["seconds"].items())
        note = (
            f"{manifest['shard']} {manifest['status']}: {manifest['written_count']} written, "
            f"{manifest['rejected_count']} rejected, {rate:.0f} images/s ({spent}), "
            + (f"ETA {left / rate:.0f} s" if rate else "ETA unknown")
        )
        if len(summary.manifests) == 1 and left and summary.written_count:
            per_image = summary.bytes_written / max(1, summary.written_count)
            note += f"; the rest will take about {per_image * left / 1e6:.0f} MB of disk"
        self._progress.advance(0, note)

    def finish(self) -> None:
        """Nothing more will be told."""
        self._progress.finish()
