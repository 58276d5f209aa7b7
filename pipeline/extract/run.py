"""THE MAIN PATH: a dataset's shards through a model, one pass, resumable at every shard.

plan      read a shard's index: where each image lies, which were seen before
stream    read byte ranges and decode ahead, in order, across shard borders
encode    one batch through the model, layers hooked and pooled, results leave asynchronously
write     another thread collects a shard: activations, partials, embeddings, rejects
commit    the manifest is written last, by rename: only now is the shard part of the run
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial

import torch

from pipeline.base.errors import ShardError, StorageError
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import ExtractConfig
from pipeline.base.storage import Store
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.model import load_clip
from pipeline.extract.commit import RunSummary, ShardWork
from pipeline.extract.decode import HostDecoder, decode_exact, decode_fast
from pipeline.extract.decode_device import DeviceDecoder
from pipeline.extract.encode import Encoder
from pipeline.extract.open import open_run
from pipeline.extract.stream import Decoder, stream_batches
from pipeline.tables.datasets import read_dataset

MOST_WORKERS = {"fast": 8, "exact": 8, "device": 4}
"""Threads wait for each other between two calls into C: on 16 cores 8 decode 1.2 times as much as 16.
Where the device decodes they only read headers; 4 is an estimate."""


def extract(
    config: ExtractConfig,
    progress: ProgressCallback | None = None,
    ordinals: Sequence[int] | None = None,
) -> RunSummary:
    """Run a model over a dataset, or over some of its shards.

    Shards that are done are skipped, so calling it again finishes what was interrupted. Several
    processes may do this at once: each takes the shards that no other one holds.

    Args:
        config: What to compute.
        progress: Told of every batch, and one line for every shard.
        ordinals: Shards to take; all of the dataset if None.

    Raises:
        ShardError: Some shards failed; all others are done. The message lists them.
        StorageError: The same, and a connection was lost: trying again may help.
        NeuronsError: Nothing could be started, or the disk is full.
    """
    began = time.perf_counter()
    store = Store(config.warehouse)
    dataset = read_dataset(store, config.dataset)
    clip = load_clip(config.model, config.device)
    spec = ImageSpec.from_model(clip.model)
    decoder, workers = choose_decoder(config, spec, clip.device), worker_count(config)
    run = open_run(store, config, clip)
    encoder = Encoder(clip, run.outputs, spec, config.precision)
    todo = [s for s in dataset.shards if ordinals is None or s.ordinal in ordinals]
    summary = RunSummary(run.run_id, dataset.name, shard_count=len(todo))
    work = ShardWork(store, run, config, summary, progress or NoProgress(), clip.device)
    with encoder.hooked(), work:
        work.begin(dataset, todo)
        while left := work.left():  # more than once only if another process holds some shards
            plans = work.plans(dataset, left, encoder.with_texts)
            for batch in stream_batches(plans, decoder, config.batch_size, workers):
                work.take(encoder.encode(batch) if batch.examples else None, batch)
            work.drain()
    summary.seconds = time.perf_counter() - began
    if work.failures:
        listed = "\n  ".join(str(error) for error in work.failures)
        lost = any(isinstance(error, StorageError) for error in work.failures)
        raise (StorageError if lost else ShardError)(
            f"{len(work.failures)} of {len(todo)} shards failed; the others are done.\n  {listed}",
            "Mend what the lines above name and run the same command again.",
        )
    return summary


def choose_decoder(config: ExtractConfig, spec: ImageSpec, device: torch.device) -> Decoder:
    """Image files -> pixels, as the configuration says.

    Raises:
        DeviceError: The device cannot decode.
    """
    if config.preprocess == "device":
        return DeviceDecoder(spec, config.max_pixels, device)
    decode = decode_fast if config.preprocess == "fast" else decode_exact
    return HostDecoder(partial(decode, spec=spec, max_pixels=config.max_pixels))


def worker_count(config: ExtractConfig) -> int:
    """Decoding threads: as many as asked for, or one a core, up to where more hinder each other."""
    if config.workers:
        return config.workers
    most = MOST_WORKERS[config.preprocess]
    if hasattr(os, "sched_getaffinity"):  # what we may use, in a container say, not what there is
        return min(most, len(os.sched_getaffinity(0)))
    return min(most, os.cpu_count() or 1)
