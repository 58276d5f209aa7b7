from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import ConfigError
from pipeline.base.ranks import Rank, find_rank

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
SLURM = {"SLURM_PROCID": "2", "SLURM_NTASKS": "4"}
IN_A_STEP = {"SLURM_JOB_ID": "77", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "3"}
KUBERNETES = {"JOB_COMPLETION_INDEX": "1"}


@pytest.mark.parametrize(
    "environment, options, expected",
    [
        ({}, {}, None),
        ({}, {"rank": 1, "world_size": 3}, (1, 3)),
        ({}, {"world_size": 1}, None),
        (TORCHRUN, {}, (5, 8)),
        (SLURM, {}, (2, 4)),
        (SLURM | IN_A_STEP, {}, (2, 3)),
        (TORCHRUN | SLURM, {}, (5, 8)),
        (KUBERNETES, {"world_size": 2}, (1, 2)),
        (KUBERNETES | {"WORLD_SIZE": "6"}, {}, (1, 6)),
        (SLURM, {"rank": 0, "world_size": 2}, (0, 2)),
        (SLURM, {"rank": 0}, (0, 4)),
        (SLURM, {"world_size": 1}, None),
        ({"RANK": "3"}, {}, None),  # somebody else's
        ({"WORLD_SIZE": "3"}, {}, None),
        # The script of a SLURM job, not one of the tasks that its srun starts.
        ({"SLURM_JOB_ID": "77", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, {}, None),
    ],
)
def test_which_of_how_many(
    environment: dict[str, str], options: dict[str, Any], expected: tuple[int, int] | None
) -> None:
    found = find_rank(environment, **options)
    assert (found and (found.rank, found.world_size)) == expected


@pytest.mark.parametrize(
    "environment, options, message",
    [
        ({}, {"rank": 1}, "--rank 1 is given alone"),
        ({}, {"world_size": 3}, "--world-size 3 is given alone"),
        ({}, {"rank": 3, "world_size": 3}, "Rank 3 of 3"),
        ({}, {"rank": -1, "world_size": 3}, "Rank -1 of 3"),
        ({}, {"rank": 0, "world_size": 0}, "Rank 0 of 0"),
        (KUBERNETES, {}, "JOB_COMPLETION_INDEX 1 says which process this is, and nothing of how"),
        ({"RANK": "two", "WORLD_SIZE": "3"}, {}, "RANK is 'two' in the environment"),
        ({"SLURM_PROCID": "7", "SLURM_NTASKS": "4"}, {}, r"Rank 7 of 4 \(SLURM_PROCID"),
    ],
)
def test_what_cannot_be_is_refused(
    environment: dict[str, str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        find_rank(environment, **options)


@given(st.integers(1, 9), st.integers(0, 40), st.integers(0, 9))
def test_every_shard_is_the_same_ones_however_many_are_added(
    world_size: int, count: int, more: int
) -> None:
    shares = [Rank(rank, world_size, "").share(range(count)) for rank in range(world_size)]
    later = [Rank(rank, world_size, "").share(range(count + more)) for rank in range(world_size)]
    assert sorted(n for share in shares for n in share) == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert all(set(few) <= set(many) for few, many in zip(shares, later, strict=True))
