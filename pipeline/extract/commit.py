"""From planned to committed: which shards are left, their writers, their manifests."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa
import torch

from pipeline.base.errors import ShardError, StorageError
from pipeline.base.locks import take_lock
from pipeline.base.settings import ExtractConfig
from pipeline.base.storage import Store
from pipeline.base.warn import warn_once
from pipeline.extract.account import Told
from pipeline.extract.decode import start_decode_thread
from pipeline.extract.device import beside, bound_memory
from pipeline.extract.encode import Pending
from pipeline.extract.locks import ShardLocks
from pipeline.extract.open import Run
from pipeline.extract.plan import Reject, ShardPlan, plan_shard, read_duplicates, reject
from pipeline.extract.restore import restore_partials
from pipeline.extract.seat import Seat
from pipeline.extract.stream import Batch
from pipeline.extract.write import ShardWriter
from pipeline.tables.datasets import (
    Dataset,
    Shard,
    dataset_folder,
)
from pipeline.tables.manifest_files import (
    read_manifest,
    shard_file,
    write_manifest,
)
from pipeline.tables.manifests import FileEntry, ShardManifest, make_entry
from pipeline.tables.presence import Presence, drop_void_merges, read_whole_manifest
from pipeline.tables.schema import TABLES
from pipeline.tables.snapshots import write_snapshot

SNAPSHOT_EVERY = 256
"""Shards of one process between two looks at whether the run's snapshot should grow."""
PENDING_BATCHES = 16
"""Batches, without their pixels, that may wait for the writers before the model waits too: what a GPU
encodes while a shard is written."""

WRITERS = {"cuda": 2}
"""Shards that are written at once, by the device of the model; elsewhere one. On a GPU, which leaves the cores
free, the next shard is begun while the last one's tables are packed."""

TABLE_THREADS = 8
"""Files that are written side by side where the model runs on a GPU and leaves the cores free."""


_TABLES = (
    *("activations", "shard_stats", "shard_histograms", "shard_top", "shard_samples"),
    *("embeddings", "run_rejects"),
)
"""What an extraction writes; other steps write beside it."""


class ShardWork:
    """The shards of one extraction: which are left, their writers, their manifests."""

    def __init__(
        self,
        store: Store,
        run: Run,
        config: ExtractConfig,
        account: Told,
        device: torch.device,
        seat: Seat | None = None,
    ) -> None:
        self.store, self.run, self.config = store, run, config
        self.account = account
        self._locks = ShardLocks(
            store, run.folder, config.lease_s, seat, partial(account.advance, 0)
        )
        self._writers: dict[int, ShardWriter] = {}
        count = WRITERS.get(device.type, 1)
        self._threads = [
            ThreadPoolExecutor(1, "writer", initializer=start_decode_thread) for _ in range(count)
        ]
        self._turns: dict[int, ThreadPoolExecutor] = {}
        self._telling = threading.Lock()
        self._device = device
        self._table_threads = start_table_threads(device)
        self._memory_budget = bound_memory(config.memory_budget_mb << 20, device) // count
        self._is_broken = False
        self._waiting: list[Future[None]] = []
        self._todo: dict[int, Shard] = {}
        self._leftovers: tuple[str, ...] = ()
        self._last_commit = time.perf_counter()
        self._commit_count = 0

    def __enter__(self) -> ShardWork:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.drain()
        finally:
            for thread in self._threads:
                thread.shutdown(wait=True, cancel_futures=True)
            if self._table_threads is not None:
                self._table_threads.shutdown(wait=True, cancel_futures=True)
            self._locks.release_all()
            self.account.finish()

    def begin(self, dataset: Dataset, shards: Sequence[Shard]) -> None:
        """Look up what is done already and how many examples are left."""
        restore_partials(self.store, self.run.folder, and_suspended=False)
        if lost := drop_void_merges(self.store, self.run.folder):
            warn_once(
                f"{len(lost)} shards of run {self.run.run_id!r} are extracted again: their statistics were "
                "merged with those of a shard that is another now, and no stored activations tell them. "
                "There are at most so many as are merged into one (--merge-width)."
            )
        self._mark_lost(shards)
        self._todo = {shard.ordinal: shard for shard in shards if not self._is_done(shard)}
        found = self.store.list_temporary(self.run.folder)
        places = tuple(f"{self.run.folder}/{name}/" for name in (*_TABLES, "manifests"))
        self._leftovers = tuple(rel for rel in found if rel.startswith(places))
        folder = dataset_folder(dataset.name)
        example_count = 0
        for shard in self._todo.values():
            manifest = read_manifest(self.store, folder, shard.ordinal)
            example_count += manifest["written_count"] if manifest else 0
        skipped = len(shards) - len(self._todo)
        self.account.begin(self.run.run_id, dataset.name, len(shards), skipped, example_count)

    def _mark_lost(self, shards: Sequence[Shard]) -> None:
        """Shards that were done and whose files are gone, or of another size, are to be done again."""
        presence = Presence(self.store)
        for shard in shards:
            manifest = read_manifest(self.store, self.run.folder, shard.ordinal)
            if manifest is None or not presence.find_lost_of(self.run.folder, manifest):
                continue
            rel = shard_file(self.run.folder, "locks", shard.ordinal, ".lock")
            lock = take_lock(self.store, rel, wait=False)
            if lock is not None:  # else another process is making it anew
                fresh = Presence(self.store)
                read_whole_manifest(self.store, self.run.folder, shard.ordinal, fresh)
                lock.release()

    def left(self) -> list[Shard]:
        """Shards that neither we nor another process has done."""
        self._todo = {
            n: shard
            for n, shard in self._todo.items()
            if not self._locks.is_settled(shard) and not self._is_done(shard)
        }
        return list(self._todo.values())

    def drain(self) -> None:
        """Wait until everything handed to the writers is committed."""
        for each in self._waiting:
            each.result()
        self._waiting = []

    def plans(
        self, dataset: Dataset, shards: Sequence[Shard], with_texts: bool
    ) -> Iterator[ShardPlan]:
        """Lock and plan every shard that is free and not done."""
        folder = dataset_folder(dataset.name)
        for shard in self._locks.free_ones(shards):
            if self._is_done(shard):  # by another process, since we looked
                self._locks.release(shard)
                continue
            del self._todo[shard.ordinal]  # one try each
            self._drop_leftovers(shard)
            duplicates = torch.zeros(0, dtype=torch.int64)
            try:
                plan = plan_shard(self.store, dataset.name, shard, with_texts)
                duplicates = read_duplicates(self.store, folder, shard)
            except (ShardError, StorageError) as error:
                plan = ShardPlan(shard, "", [], error=error)
            self._drop_textless(plan, with_texts)
            self._writers[shard.ordinal] = ShardWriter(
                self.store,
                self.run.folder,
                shard,
                self.run.outputs,
                duplicates,
                self.config.top_k,
                self._memory_budget,
                self._table_threads,
                len(plan.examples),
                is_alone=self._locks.is_ours_alone(shard),
            )
            self._turns[shard.ordinal] = self._threads[0]
            self._threads.append(self._threads.pop(0))
            yield plan

    def _drop_leftovers(self, shard: Shard) -> None:
        """Delete what a killed process had half written of a shard whose lock is ours now."""
        for rel in self._leftovers if self._locks.is_ours_alone(shard) else ():
            if re.match(rf"0*{shard.ordinal}\D", rel.rsplit("/", 1)[1]):
                self.store.delete(rel)

    def _is_done(self, shard: Shard) -> bool:
        manifest = read_manifest(self.store, self.run.folder, shard.ordinal)
        return manifest is not None and manifest["status"] == "done"

    def _drop_textless(self, plan: ShardPlan, with_texts: bool) -> None:
        """A text tower cannot read an example without text."""
        for example in plan.examples if with_texts else ():
            if not example.text:
                plan.rejects.append(reject(plan, example, "text", "no_text", "No text at all."))
        if with_texts:
            plan.examples = [e for e in plan.examples if e.text]

    def take(self, pending: Pending | None, batch: Batch) -> None:
        """Hand a batch to its shard's writer; wait if they are too far behind."""
        batch = replace(batch, images=torch.empty(0))
        ordinal = batch.plan.shard.ordinal
        thread = self._turns.pop(ordinal) if batch.is_last else self._turns[ordinal]
        self._waiting.append(thread.submit(self._write, pending, batch))
        if len(self._waiting) > PENDING_BATCHES:
            wait(self._waiting, return_when=FIRST_COMPLETED)
        done = [each for each in self._waiting if each.done()]
        self._waiting = [each for each in self._waiting if each not in done]
        for each in done:
            each.result()

    def _write(self, pending: Pending | None, batch: Batch) -> None:
        """Runs in a writer's thread: a shard's batches one after the other, in order.

        After an error never again: else a shard could be committed without the batch that failed.
        """
        if self._is_broken:
            return
        try:
            with beside(self._device):
                self._write_batch(pending, batch)
        except BaseException:
            self._is_broken = True
            raise

    def _write_batch(self, pending: Pending | None, batch: Batch) -> None:
        began = time.perf_counter()
        self._locks.touch()
        plan, writer = batch.plan, self._writers[batch.plan.shard.ordinal]
        if pending is not None and plan.error is None:
            results = pending.wait()
            waited, began = time.perf_counter() - began, time.perf_counter()
            plan.seconds["wait"] += waited
            if not bool(results.is_finite.all()):
                for example, good in zip(batch.examples, results.is_finite.tolist(), strict=True):
                    if not good:
                        detail = "The model gave NaN or infinity for this example."
                        plan.rejects.append(reject(plan, example, "forward", "not_finite", detail))
                results = results.only_finite()
            writer.add(results)
            with self._telling:
                self.account.advance(len(batch.examples))
        if batch.is_last:
            self._refuse_too_many_rejects(plan, writer)
            files = writer.finish() if plan.error is None else []
        plan.seconds["write"] += time.perf_counter() - began
        if batch.is_last:
            self._commit(plan, self._writers.pop(plan.shard.ordinal), files)

    def _refuse_too_many_rejects(self, plan: ShardPlan, writer: ShardWriter) -> None:
        rejected, allowed = len(plan.rejects), self.config.max_reject_frac
        read = writer.added_count + rejected
        if plan.error is None and rejected > allowed * read:
            counts = Counter(r.reason for r in plan.rejects).most_common()
            plan.error = ShardError(
                f"Shard {plan.shard.name!r}: {rejected} of {read} examples were rejected "
                f"({', '.join(f'{reason} {n}' for reason, n in counts)}), "
                f"more than the share {allowed} that is allowed.",
                "See the view rejects. Mend the shard, or raise --max-reject-frac.",
            )

    def _commit(self, plan: ShardPlan, writer: ShardWriter, files: list[FileEntry]) -> None:
        """Write the rejects and, last, the manifest: done, or failed with the reason."""
        failed = plan.error is not None
        read = writer.added_count + len(plan.rejects)
        written = 0 if failed else writer.added_count  # all of a failed shard counts as rejected
        files = [] if failed else files
        reasons = dict(Counter(r.reason for r in plan.rejects))
        if failed:  # as in the index: one more row, without a key, says why
            shard = Reject(plan.shard.ordinal, None, None, "shard", "shard_failed", str(plan.error))
            plan.rejects.append(shard)
        rel = writer.name_file("run_rejects")
        columns = [list(c) for c in zip(*(vars(r).values() for r in plan.rejects), strict=True)]
        schema = TABLES["run_rejects"].arrow_schema()
        table = pa.Table.from_arrays(
            [pa.array(c, t) for c, t in zip(columns or [[]] * 6, schema.types, strict=True)],
            schema=schema,
        )
        file = self.store.write_parquet(rel, table)
        files.append(make_entry("run_rejects", rel, len(table), file))
        with self._telling:
            seconds = self._seconds(plan)
        manifest: ShardManifest = {
            "ordinal": plan.shard.ordinal,
            "shard": plan.shard.name,
            "size_bytes": plan.shard.size_bytes,
            "run_id": self.run.run_id,
            "model_id": self.run.model_id,
            "is_random": self.run.is_random,
            "status": "failed" if failed else "done",
            "error": str(plan.error) if failed else None,
            "read_count": read,
            "written_count": written,
            "rejected_count": read - written,
            "canonical_count": 0 if failed else writer.canonical_count,
            "reject_reasons": reasons,
            "files": files,
            "seconds": seconds,
            "batch_size": self.config.batch_size,
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_manifest(self.store, self.run.folder, manifest)
        self._locks.release(plan.shard)
        with self._telling:
            self.account.add(manifest, plan.error)
            self._commit_count += 1
            is_due = self._commit_count % SNAPSHOT_EVERY == 0
        if is_due:
            write_snapshot(self.store, self.run.folder, growth=1 / 8)

    def _seconds(self, plan: ShardPlan) -> dict[str, float]:
        """Time by stage (threads and their overlap added up), and by the clock since the last one."""
        seconds = dict(plan.seconds)
        seconds["forward"] += seconds.pop("wait")  # launched by one thread, waited for by another
        now = time.perf_counter()
        seconds["wall"], self._last_commit = now - self._last_commit, now
        return {name: round(value, 3) for name, value in seconds.items()}


def start_table_threads(device: torch.device) -> ThreadPoolExecutor | None:
    """Threads beside the writer's; None on a CPU, where they would only take the model's cores."""
    if device.type != "cuda":
        return None
    return ThreadPoolExecutor(TABLE_THREADS, "table", initializer=start_decode_thread)
