"""``neurons ingest``: one door to all sources."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pipeline.base.credentials import refuse_credentials
from pipeline.base.errors import ConfigError, ShardError, StorageError
from pipeline.base.fields import AnySettings, make_settings, refuse_unknown
from pipeline.base.leftovers import clear_half_written_below
from pipeline.base.locks import take_lock
from pipeline.base.places import is_url
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import FolderOptions, IngestConfig, IngestStep, WitOptions
from pipeline.base.storage import Store
from pipeline.sources.register import is_done
from pipeline.tables.datasets import (
    dataset_folder,
    read_dataset,
)
from pipeline.tables.manifest_files import read_manifest
from pipeline.tables.manifests import ShardManifest
from pipeline.tables.snapshots import write_snapshot

if TYPE_CHECKING:
    from pipeline.sources.writer import SourceExample


@dataclass(frozen=True)
class IngestSummary:
    """A dataset after an ingest: totals over all its shards, those of earlier runs included."""

    dataset: str
    shard_count: int
    read_count: int
    """Samples of the tars, and items that the source lists but could not give."""
    written_count: int
    """Examples. ``read_count`` is ``written_count + rejected_count``."""
    rejected_count: int
    text_count: int
    duplicate_count: int
    """Examples whose image an earlier example already showed, or a copy of it."""
    notice_counts: Mapping[str, int]
    """What was left out of examples that are used, and files passed over, by reason."""
    seconds: float
    """Wall time of this run."""


def ingest(
    config: IngestConfig, step: IngestStep, progress: ProgressCallback | None = None
) -> IngestSummary:
    """Turn a foreign layout into a registered dataset, or bring one up to date.

    Shards that are done are left alone, those that failed are tried again, new ones are appended.

    Args:
        config: Where to, and limits.
        step: Which source, from where, with its options.
        progress: Told of each shard.

    Raises:
        ConfigError: There are no paths, or an option that the source does not have.
        SourceError: The source is not what it claims to be, or has changed.
        ShardError: Some shards failed; all others are registered and indexed.
        StorageError: The warehouse cannot be written, or another ingest is writing the dataset.
    """
    _check(config, step)
    return _ingest(config, partial(_run_source, step=step), progress)


def ingest_items(
    config: IngestConfig,
    source: str,
    items: Iterable[SourceExample],
    progress: ProgressCallback | None = None,
) -> IngestSummary:
    """Turn examples that are made here, such as stimuli, into a registered dataset of shards.

    Args:
        config: Where to, and limits.
        source: What the dataset says of where it is from.
        items: In a fixed order; the list may only grow.
        progress: Told of each shard.

    Raises:
        SourceError: There are no items, or they are no longer those of the shards that are done.
        ShardError: Some shards failed.
        StorageError: The warehouse cannot be written, or another ingest is writing the dataset.
    """
    return _ingest(config, partial(_write_items, source=source, items=items), progress)


def _write_items(
    store: Store,
    config: IngestConfig,
    progress: ProgressCallback,
    source: str,
    items: Iterable[SourceExample],
) -> None:
    from pipeline.sources.writer import ingest_examples

    ingest_examples(store, config, source, items, progress)


def _ingest(
    config: IngestConfig, run: Callable[..., None], progress: ProgressCallback | None
) -> IngestSummary:
    began = time.monotonic()
    store = Store(config.warehouse)
    with lock_dataset(store, config.dataset):
        run(store, config, progress=progress or NoProgress())
        shards = read_dataset(store, config.dataset).shards
        folder = dataset_folder(config.dataset)
        manifests = [
            manifest
            for shard in shards
            if (manifest := read_manifest(store, folder, shard.ordinal)) is not None
        ]
        from pipeline.sources.copies.duplicates import find_duplicates

        done = [manifest["ordinal"] for manifest in manifests if is_done(manifest)]
        duplicate_count = find_duplicates(store, config.dataset, done)
        write_snapshot(store, folder)
    failed = [manifest for manifest in manifests if not is_done(manifest)]
    if failed:
        raise _failure(config.dataset, len(done), failed)
    return IngestSummary(
        dataset=config.dataset,
        shard_count=len(shards),
        read_count=sum(manifest["read_count"] for manifest in manifests),
        written_count=sum(manifest["written_count"] for manifest in manifests),
        rejected_count=sum(manifest["rejected_count"] for manifest in manifests),
        text_count=sum(
            file["row_count"]
            for manifest in manifests
            for file in manifest["files"]
            if file["table"] == "texts"
        ),
        duplicate_count=duplicate_count,
        notice_counts=_count_notices(manifests),
        seconds=round(time.monotonic() - began, 3),
    )


def _count_notices(manifests: Iterable[ShardManifest]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for manifest in manifests:
        total.update(manifest.get("notice_reasons", {}))
    return dict(sorted(total.items()))


def _check(config: IngestConfig, step: IngestStep) -> None:
    for path in (*step.paths, *step.options.values()):
        if isinstance(path, str) and is_url(path):
            refuse_credentials(path)
    if step.source != "openmoji" and not step.paths:
        raise ConfigError(
            f"The source {step.source} needs at least one path.", "Name the files or folders."
        )


def _run_source(
    store: Store, config: IngestConfig, progress: ProgressCallback, step: IngestStep
) -> None:
    """Each source is imported only when it is asked for."""
    if step.source == "webdataset":
        from pipeline.sources.layouts.webdataset import ingest_webdataset

        _refuse_options(step)
        ingest_webdataset(store, config, step.paths, progress)
    elif step.source == "img2dataset":
        from pipeline.sources.layouts.img2dataset import ingest_img2dataset

        _refuse_options(step)
        ingest_img2dataset(store, config, step.paths, progress)
    elif step.source == "wit":
        from pipeline.sources.layouts.wit import ingest_wit

        ingest_wit(store, config, step.paths, _make_options(step, WitOptions), progress)
    elif step.source == "wit-base":
        from pipeline.sources.layouts.wit_base import ingest_wit_base

        _refuse_options(step)
        ingest_wit_base(store, config, step.paths, progress)
    elif step.source == "folder":
        from pipeline.sources.layouts.folder import ingest_folder

        ingest_folder(store, config, step.paths, _make_options(step, FolderOptions), progress)
    else:
        from pipeline.sources.layouts.openmoji import OpenMojiOptions, iter_openmoji
        from pipeline.sources.writer import ingest_examples

        items = iter_openmoji(_make_options(step, OpenMojiOptions))
        ingest_examples(store, config, "openmoji", items, progress)


def _make_options(step: IngestStep, kind: type[AnySettings]) -> AnySettings:
    return make_settings(kind, step.options, f"options of the source {step.source}")


def _refuse_options(step: IngestStep) -> None:
    refuse_unknown(step.options, (), f"options of the source {step.source}")


def _failure(dataset: str, done_count: int, failed: list[ShardManifest]) -> ShardError:
    shown = "\n".join(f"  {manifest['shard']}: {manifest['error']}" for manifest in failed[:10])
    more = f"\n  ... and {len(failed) - 10} more" if len(failed) > 10 else ""
    return ShardError(
        f"{len(failed)} of {len(failed) + done_count} shards of dataset {dataset!r} failed; the "
        f"other {done_count} are registered and can be used.\n{shown}{more}",
        "Repair these and run the same command again: done shards are kept. Their rejects are in "
        "the view rejects.",
    )


@contextmanager
def lock_dataset(store: Store, dataset: str) -> Iterator[None]:
    """Keep a second ingest out of the dataset, where there are locks."""
    lock = take_lock(store, f"{dataset_folder(dataset)}/ingest.lock", wait=False)
    if lock is None:
        raise StorageError(
            f"Another ingest is writing dataset {dataset!r} in {store.url}.",
            "Wait until it has finished, then run the same command again.",
        )
    try:
        clear_half_written_below(store, lock, dataset_folder(dataset), but="run_id=")
        yield
    finally:
        lock.release()
