"""Any WebDataset tars, indexed where they lie; they are never rewritten."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import IngestConfig
from pipeline.base.storage import Store
from pipeline.sources.index import index_shard
from pipeline.sources.layouts.shard_lists import expand_shards, shard_size
from pipeline.sources.register import is_done, open_dataset, register_shards
from pipeline.sources.source_notes import SourceNotes
from pipeline.sources.writer import describe_manifest
from pipeline.tables.datasets import Shard, dataset_folder
from pipeline.tables.presence import Presence, read_whole_manifest


def ingest_webdataset(
    store: Store, config: IngestConfig, paths: Sequence[str], progress: ProgressCallback
) -> None:
    """Index tars of any WebDataset: an image a sample, and its texts in ``.json`` or ``.txt``.

    Args:
        store: The warehouse.
        config: Name of the dataset and limits.
        paths: Tars, folders of tars, globs, brace ranges or URLs.
        progress: Told of each shard.

    Raises:
        ShardError: A shard is missing, or one that is done has changed.
    """
    ingest_tars(store, config, "webdataset", expand_shards(paths, but=store.url), progress)


def ingest_tars(
    store: Store,
    config: IngestConfig,
    source: str,
    urls: Sequence[str],
    progress: ProgressCallback,
    read_notes: Callable[[Shard], SourceNotes] = lambda shard: SourceNotes(),
    measure: Callable[[str], int | None] = shard_size,
) -> None:
    """Register tars in their order and index those that are not done.

    Args:
        store: The warehouse.
        config: Name of the dataset and limits.
        source: Which source has the tars.
        urls: The tars.
        progress: Told of each shard.
        read_notes: What the source says about a shard beyond its tar.
        measure: Size of a tar in bytes, or None for one that should be there and is not.
    """
    dataset = open_dataset(store, config.dataset, source, config.duplicates)
    sizes = ((url, measure(url)) for url in urls)
    dataset, shards = register_shards(store, dataset, sizes)
    folder, presence = dataset_folder(config.dataset), Presence(store)
    progress.start("shards", len(shards))
    try:
        for shard in shards:
            manifest = read_whole_manifest(store, folder, shard.ordinal, presence)
            if is_done(manifest):
                progress.advance(1)
                continue
            notes = read_notes(shard)
            done = index_shard(store, dataset, shard, config.max_reject_frac, notes, source)
            progress.advance(1, describe_manifest(done))
    finally:
        progress.finish()
