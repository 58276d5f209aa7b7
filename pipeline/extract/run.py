"""THE MAIN PATH: a dataset's shards through a model, one pass, resumable at every shard.

plan      read a shard's index: where each image lies, which were seen before
stream    read byte ranges and decode ahead, in order, across shard borders
encode    one batch through the model, layers hooked and pooled, results leave asynchronously
write     other threads collect shards: activations, partials, embeddings, rejects
commit    the manifest is written last, by rename: only now is the shard part of the run
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import torch

from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import ExtractConfig
from pipeline.base.storage import Store
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.model import load_clip
from pipeline.extract.account import Account, RunSummary, Told
from pipeline.extract.commit import ShardWork
from pipeline.extract.decode import HostDecoder, decode_exact, decode_fast
from pipeline.extract.decode_device import DeviceDecoder
from pipeline.extract.encode import Encoder
from pipeline.extract.open import open_run
from pipeline.extract.processes import extract_together
from pipeline.extract.restore import restore_partials
from pipeline.extract.seat import Seat, process_count, worker_count
from pipeline.extract.stream import Decoder, stream_batches
from pipeline.tables.datasets import Dataset, Shard, read_dataset, run_folder
from pipeline.tables.snapshots import write_snapshot


def extract(
    config: ExtractConfig,
    progress: ProgressCallback | None = None,
    ordinals: Sequence[int] | None = None,
) -> RunSummary:
    """Run a model over a dataset, or over some of its shards.

    Shards that are done are skipped, so calling it again finishes what was interrupted. Several
    processes may do this at once: each takes the shards that no other one holds.

    Args:
        config: What to compute, and by how many processes.
        progress: Told of every batch, and one line for every shard.
        ordinals: Shards to take; all of the dataset if None.

    Raises:
        ShardError: Some shards failed; all others are done. The message lists them.
        StorageError: The same, and a connection was lost: trying again may help.
        NeuronsError: Nothing could be started, or the disk is full.
    """
    began = time.perf_counter()
    dataset = read_dataset(Store(config.warehouse), config.dataset)
    todo = [s for s in dataset.shards if ordinals is None or s.ordinal in ordinals]
    account = Account(progress or NoProgress())
    count = min(process_count(config), len(todo))
    if count > 1:
        extract_together(config, account, dataset, todo, count)
    else:
        extract_here(config, account, dataset, todo)
    store, folder = Store(config.warehouse), run_folder(dataset.name, account.summary.run_id)
    restore_partials(
        store, folder, and_suspended=False
    )  # of what was merged with a shard done anew
    write_snapshot(store, folder, growth=0 if ordinals is None else 1 / 8)
    account.summary.seconds = time.perf_counter() - began
    account.summary.raise_failures()
    return account.summary


def extract_here(
    config: ExtractConfig,
    account: Told,
    dataset: Dataset,
    shards: Sequence[Shard],
    seat: Seat | None = None,
) -> None:
    """Do shards in this process, alone or as one of several.

    Args:
        config: What to compute.
        account: Told of every batch and every shard, also of those that fail.
        dataset: Whose shards.
        shards: Those to do.
        seat: Which of several processes this is.

    Raises:
        NeuronsError: Nothing could be started, or the disk is full.
    """
    store = Store(config.warehouse)
    clip = load_clip(config.model, seat.device if seat else config.device)
    spec = ImageSpec.from_model(clip.model)
    decoder = choose_decoder(config, spec, clip.device)
    workers = worker_count(config, seat.cores if seat else None)
    run = open_run(store, config, clip)
    encoder = Encoder(clip, run.outputs, spec, config)
    work = ShardWork(store, run, config, account, clip.device, seat)
    with encoder.hooked(), work:
        work.begin(dataset, shards)
        while left := work.left():  # more than once only if another process holds some shards
            plans = work.plans(dataset, left, encoder.with_texts)
            for batch in stream_batches(plans, decoder, config.batch_size, workers):
                work.take(encoder.encode(batch) if batch.examples else None, batch)
            work.drain()


def choose_decoder(config: ExtractConfig, spec: ImageSpec, device: torch.device) -> Decoder:
    """Image files -> pixels, as the configuration says.

    Raises:
        DeviceError: The device cannot decode.
    """
    if config.preprocess == "device":
        return DeviceDecoder(spec, config.max_pixels, device)
    decode = decode_fast if config.preprocess == "fast" else decode_exact
    return HostDecoder(partial(decode, spec=spec, max_pixels=config.max_pixels))
