"""Rank and world size: which of several processes we are, as whoever started them says.

torchrun, SLURM and Kubernetes start the same command many times and tell each which one it is. Each then
does every n-th shard: nobody has to ask anybody, so this works where there are no locks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeline.base.errors import ConfigError

Item = TypeVar("Item")

LAUNCHERS = (
    ("RANK", ("WORLD_SIZE",)),  # torchrun; first, as SLURM may start one torchrun on each node
    ("SLURM_PROCID", ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")),
    ("JOB_COMPLETION_INDEX", ("WORLD_SIZE",)),  # Kubernetes does not say how many
)
"""Variables of the environment: a rank, and where its world size may stand."""


@dataclass(frozen=True)
class Rank:
    """One of several processes."""

    rank: int
    """Which, from 0."""
    world_size: int
    """How many there are."""
    said_by: str
    """The options or variables that say so."""

    def __post_init__(self) -> None:
        if self.world_size < 1 or not 0 <= self.rank < self.world_size:
            raise ConfigError(
                f"Rank {self.rank} of {self.world_size} ({self.said_by}) cannot be.",
                "The world size is how many processes there are, 1 or more; ranks count from 0.",
            )

    def share(self, items: Sequence[Item]) -> list[Item]:
        """Every n-th of the items, from ours on; each is one rank's, and stays so when more are added."""
        return list(items[self.rank :: self.world_size])


def find_rank(
    environment: Mapping[str, str], rank: int | None = None, world_size: int | None = None
) -> Rank | None:
    """Which of several processes we are; None if nothing says that there are several.

    Args:
        environment: ``os.environ``.
        rank: Goes before what the environment says.
        world_size: Likewise; 1 means that there is one process, whatever the environment says.

    Raises:
        ConfigError: A rank without a world size or the other way round, or one that cannot be.
    """
    given = [("--rank", rank), ("--world-size", world_size)]
    said = " and ".join(f"{name} {value}" for name, value in given if value is not None)
    if rank is not None and world_size is not None:
        return Rank(rank, world_size, said)
    if world_size == 1:
        return None
    for name, sizes in LAUNCHERS:
        if name not in environment or (name == "SLURM_PROCID" and _is_batch_script(environment)):
            continue
        size = next((size for size in sizes if size in environment), None)
        if size is None and world_size is None and rank is None and name == "RANK":
            continue  # a name that others use too
        which = _read(environment, name) if rank is None else rank
        if world_size is not None:
            return Rank(which, world_size, f"{name}, {said}")
        if size is not None:
            return Rank(which, _read(environment, size), f"{said or name}, {size}")
        raise ConfigError(
            f"{said or name + ' ' + environment[name]} says which process this is, and nothing of how many.",
            "Say how many there are (in Kubernetes, the completions of the job): --world-size 8. "
            "--world-size 1 takes all shards.",
        )
    if said:
        missing = "--rank" if rank is None else "--world-size"
        raise ConfigError(
            f"{said} is given alone.", f"Give {missing} too: each process does every n-th shard."
        )
    return None


def _is_batch_script(environment: Mapping[str, str]) -> bool:
    """Whether SLURM started us once, outside ``srun``: then the rank 0 of several tasks means nothing."""
    in_step = any(name in environment for name in ("SLURM_STEP_ID", "SLURM_STEPID"))
    is_job = "SLURM_JOB_ID" in environment or "SLURM_JOBID" in environment
    return is_job and not in_step and environment["SLURM_PROCID"] == "0"


def _read(environment: Mapping[str, str], name: str) -> int:
    try:
        return int(environment[name])
    except ValueError:
        raise ConfigError(
            f"{name} is {environment[name]!r} in the environment.",
            "It must be a whole number. Unset it, or give --rank and --world-size.",
        ) from None
