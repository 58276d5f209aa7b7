"""What one of several processes of a command is given: its place among them and its share of the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from pipeline.base.cores import core_count
from pipeline.base.settings import ExtractConfig
from pipeline.clip.device import ALL_GPUS, choose_device
from pipeline.extract.board import Board

MOST_WORKERS = {"fast": 8, "exact": 8, "device": 4}
"""Threads wait for each other between two calls into C: on 16 cores 8 decode 1.2 times as much as 16.
Where the device decodes they only read headers; 4 is an estimate."""


@dataclass(frozen=True)
class Seat:
    """One of several processes."""

    index: int
    """Which, from 0."""
    count: int
    """How many there are."""
    device: str
    """Where its model runs."""
    cores: int
    """Its share of the cores."""
    lock_folder: str
    """On this machine, for locks among them."""
    ordinals: tuple[int, ...]
    """The shards that they share."""
    cells: Any
    """The memory of their `Board`."""

    def board(self) -> Board:
        """The board, for this process."""
        return Board(self.cells, self.ordinals, self.index)


def process_count(config: ExtractConfig) -> int:
    """How many processes a configuration asks for.

    Raises:
        DeviceError: All GPUs are asked for and there is none.
    """
    if config.processes or config.device != ALL_GPUS:
        return config.processes or 1
    choose_device(config.device)
    return torch.cuda.device_count()


def choose_devices(config: ExtractConfig, count: int) -> list[str]:
    """The device of each of several processes: the one that is named, or all GPUs in turn.

    Raises:
        DeviceError: It is not there.
    """
    chosen = choose_device(config.device)
    if config.device != ALL_GPUS:
        return [str(chosen)] * count
    return [f"cuda:{index % torch.cuda.device_count()}" for index in range(count)]


def worker_count(config: ExtractConfig, cores: int | None = None) -> int:
    """Decoding threads: as many as asked for, or one a core, up to where more hinder each other.

    Args:
        config: Which may say so.
        cores: Those of this process; all if None.
    """
    return config.workers or min(MOST_WORKERS[config.preprocess], cores or core_count())


def take_seat(seat: Seat) -> None:
    """Keep to a share of the cores from now on: torch, Arrow and DuckDB."""
    import pyarrow as pa

    from pipeline.warehouse.duck import bound_threads

    torch.set_num_threads(min(seat.cores, torch.get_num_threads()))
    pa.set_cpu_count(seat.cores)
    bound_threads(seat.cores)
