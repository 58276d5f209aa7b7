"""From plans to batches of pixels: one ordered stream over many shards, decoded ahead.

The index knows every image's byte range, so no tar is parsed again: a *chunk* is a run of neighbouring
examples, read with one range request (local or remote alike) and decoded by one thread. Chunks of the
next shard are under way while this shard's last batch is in the model, so that the device never
waits at a border. Results come back in order, whatever the number of threads.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from pipeline.base.errors import ExampleError, NeuronsError, ShardError, StorageError
from pipeline.base.places import open_place
from pipeline.extract.decode import start_decode_thread
from pipeline.extract.plan import Example, ShardPlan, reject

CHUNK_EXAMPLES = 16
CHUNK_BYTES = 32 << 20
BATCHES_AHEAD = 1
"""Assembled by a thread of their own while another one is in the model."""


class Decoder(Protocol):
    """Image files to batches of pixels, in two steps."""

    def decode(self, data: bytes) -> Any:
        """One file, in one of many threads; raises :class:`ExampleError` for a bad one."""

    def assemble(self, items: Sequence[Any]) -> tuple[torch.Tensor, list[ExampleError | None]]:
        """What :meth:`decode` gave for a batch -> ``[N, 3, H, W]`` of the good ones, and each one's error.

        Called by one thread, beside the one that runs the model.
        """


@dataclass
class Batch:
    """Consecutive examples of one shard; the last one may be short or, if all failed, empty."""

    plan: ShardPlan
    examples: list[Example]
    images: torch.Tensor
    is_last: bool


@dataclass
class _Decoded:
    items: list[tuple[Example, Any]]
    """With an :class:`ExampleError` in place of a bad one."""
    read_s: float
    decode_s: float


@dataclass
class _Assembled:
    images: torch.Tensor
    errors: list[ExampleError | None]
    seconds: float


@dataclass
class _Group:
    """What will be a :class:`Batch`."""

    plan: ShardPlan
    items: list[tuple[Example, Any]]
    """As :meth:`Decoder.decode` gave them."""
    is_last: bool
    assembled: Future[_Assembled] | None = None
    """None if there are no items."""


def _chunks(plan: ShardPlan) -> Iterator[list[Example]]:
    chunk: list[Example] = []
    for example in plan.examples:
        span = example.offset + example.size - chunk[0].offset if chunk else 0
        if len(chunk) == CHUNK_EXAMPLES or span > CHUNK_BYTES or span < 0:
            yield chunk
            chunk = []
        chunk.append(example)
    if chunk:
        yield chunk


def _read_and_decode(plan: ShardPlan, chunk: list[Example], decoder: Decoder) -> _Decoded:
    began = time.perf_counter()
    start = min(e.offset for e in chunk)
    end = max(e.offset + e.size for e in chunk)
    fs, path = open_place(plan.url)
    try:
        data = memoryview(fs.cat_file(path, start=start, end=end))
    except FileNotFoundError as error:
        raise ShardError(
            f"Shard {plan.shard.name!r} at {plan.url} cannot be read: {error}.",
            "Put the file back where it was when it was ingested, or say where it lies now: neurons "
            "move-shards OLD NEW. Then run the same command again.",
        ) from error
    except Exception as error:  # object stores have errors of their own, many of them passing
        raise StorageError(
            f"Shard {plan.shard.name!r} at {plan.url} cannot be read: {error}.",
            "Check the connection, and run the same command again.",
        ) from error
    read = time.perf_counter()
    items: list[tuple[Example, Any]] = []
    for example in chunk:
        image = bytes(data[example.offset - start : example.offset - start + example.size])
        if hashlib.sha256(image).hexdigest() != example.sha256:
            raise ShardError(
                f"Shard {plan.shard.name!r} at {plan.url} has changed since it was indexed: "
                f"the bytes of {example.shard_key!r} are not the same.",
                "Restore the file, or ingest the changed data under another --dataset name.",
            )
        try:
            items.append((example, decoder.decode(image)))
        except ExampleError as error:
            items.append((example, error))
    return _Decoded(items, read - began, time.perf_counter() - read)


def stream_batches(
    plans: Iterator[ShardPlan],
    decoder: Decoder,
    batch_size: int,
    workers: int,
) -> Iterator[Batch]:
    """Decode ahead and yield batches in order; every plan ends with a batch that ``is_last``.

    A plan whose file cannot be trusted gets its ``error`` set and ends at once; the others go on.

    Args:
        plans: Shards to stream; read lazily, a little ahead.
        decoder: Image files -> batches of pixels.
        batch_size: Examples in a batch. No batch crosses a shard.
        workers: Threads.
    """
    threads = torch.get_num_threads()
    with (
        ThreadPoolExecutor(workers, "decode", initializer=start_decode_thread) as pool,
        ThreadPoolExecutor(1, "assemble", initializer=start_decode_thread) as assembler,
    ):
        ahead: deque[_Group] = deque()
        try:
            for group in _groups(plans, decoder, batch_size, workers, pool):
                if group.items:
                    group.assembled = assembler.submit(_assemble, decoder, group.items)
                ahead.append(group)
                if len(ahead) > BATCHES_AHEAD:
                    yield _batch(ahead.popleft())
            while ahead:
                yield _batch(ahead.popleft())
        finally:
            for late in (pool, assembler):
                late.shutdown(wait=False, cancel_futures=True)
            torch.set_num_threads(threads)  # threads that start later take the last number set


def _groups(
    plans: Iterator[ShardPlan],
    decoder: Decoder,
    batch_size: int,
    workers: int,
    pool: ThreadPoolExecutor,
) -> Iterator[_Group]:
    """What will be batches, in order."""
    # A window of work under way: enough for every thread, and for two batches ahead.
    window = 2 * workers + -(-2 * batch_size // CHUNK_EXAMPLES)
    waiting: deque[tuple[ShardPlan, Future[_Decoded] | None]] = deque()
    source = _jobs(plans)
    exhausted = False
    held: list[tuple[Example, Any]] = []
    while True:
        while not exhausted and len(waiting) < window:
            job = next(source, None)
            if job is None:
                exhausted = True
                break
            plan, chunk = job
            future = pool.submit(_read_and_decode, plan, chunk, decoder) if chunk else None
            waiting.append((plan, future))
        if not waiting:
            return
        plan, done = waiting.popleft()
        if done is None:
            yield _Group(plan, held, is_last=True)
            held = []
            continue
        held += _collect(plan, done)
        while len(held) > batch_size:  # keep one back: the last batch is known by its end
            yield _Group(plan, held[:batch_size], is_last=False)
            held = held[batch_size:]


def _jobs(plans: Iterator[ShardPlan]) -> Iterator[tuple[ShardPlan, list[Example] | None]]:
    """Every chunk of every plan, and ``None`` after a plan's last."""
    for plan in plans:
        for chunk in _chunks(plan):
            if plan.error is not None:
                break
            yield plan, chunk
        yield plan, None


def _collect(plan: ShardPlan, done: Future[_Decoded]) -> list[tuple[Example, Any]]:
    try:
        decoded = done.result()
    except NeuronsError as error:
        plan.error = plan.error or error
        return []
    plan.seconds["read"] += decoded.read_s
    plan.seconds["decode"] += decoded.decode_s
    good = []
    for example, result in decoded.items:
        if isinstance(result, ExampleError):
            _refuse(plan, example, result)
        else:
            good.append((example, result))
    return good


def _assemble(decoder: Decoder, items: list[tuple[Example, Any]]) -> _Assembled:
    began = time.perf_counter()
    images, errors = decoder.assemble([item for _, item in items])
    return _Assembled(images, errors, time.perf_counter() - began)


def _batch(group: _Group) -> Batch:
    plan = group.plan
    if group.assembled is None:
        return Batch(plan, [], torch.zeros(0, 3, 1, 1), group.is_last)
    done = group.assembled.result()
    plan.seconds["decode"] += done.seconds
    good = []
    for (example, _), error in zip(group.items, done.errors, strict=True):
        if error is None:
            good.append(example)
        else:
            _refuse(plan, example, error)
    return Batch(plan, good, done.images, group.is_last)


def _refuse(plan: ShardPlan, example: Example, error: ExampleError) -> None:
    plan.rejects.append(reject(plan, example, "decode", error.reason, error.detail))
