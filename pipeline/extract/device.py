"""What follows the model on a GPU: a stream beside the model's, and the way back. On a CPU: nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

_local = threading.local()


@contextmanager
def beside(device: torch.device) -> Iterator[None]:
    """What this thread computes goes to a stream of its own, so that the model never waits for it.

    When the block ends the work is done: what it read may be freed.
    """
    if device.type != "cuda":
        yield
        return
    streams = _local.__dict__.setdefault("streams", {})
    if device not in streams:
        streams[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch has no types there
    with torch.cuda.stream(streams[device]):
        try:
            yield
        finally:
            wait_for(streams[device])


def bound_memory(budget: int, device: torch.device) -> int:
    """Bytes of activations to hold: the budget, on a GPU at most an eighth of what is free there now.

    While they are written they are there twice, and the model needs room as well.
    """
    if device.type != "cuda":
        return budget
    free, _ = torch.cuda.mem_get_info(device)
    return min(budget, free // 8)


def to_host(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The tensors in the host's memory; from a GPU through pinned memory, waiting once for all."""
    host = start_copies(tensors)
    for device in {tensor.device for tensor in tensors if tensor.device.type == "cuda"}:
        wait_for(torch.cuda.current_stream(device))
    return host


def start_copies(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The same, but from a GPU the copies are only under way on the current stream."""
    return [
        torch.empty(t.shape, dtype=t.dtype, pin_memory=True).copy_(t, non_blocking=True)
        if t.device.type == "cuda"
        else t.cpu()
        for t in tensors
    ]


def mark(device: torch.device) -> torch.cuda.Event | None:
    """An event after all that was asked of the current stream; None where there are no streams."""
    if device.type != "cuda":
        return None
    return _record(torch.cuda.current_stream(device))


def wait_for(stream: torch.cuda.Stream) -> None:
    """Sleep until a stream is done. (Its own ``synchronize`` would keep a core busy.)"""
    _record(stream).synchronize()


def _record(stream: torch.cuda.Stream) -> torch.cuda.Event:
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # torch has no types there
    event.record(stream)
    return event
