"""Ranks: as SLURM starts them, one command in several processes that know nothing of each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from running import LAYER, MODEL, run_bytes, run_manifests
from watching import SHARD_COUNT


@pytest.mark.slow
def test_ranks_share_the_shards_and_give_what_one_process_gives(
    fresh: Path, unbroken: dict[str, bytes], told, monkeypatch, capsys
) -> None:
    command = ["extract", "--warehouse", fresh / "warehouse", "--dataset", "d", "--model", MODEL]
    command += ["--layer", LAYER, "--run", "r", "--device", "cpu", "--top-k", 5, "--batch-size", 16]
    for rank in (2, 0, 1):
        with monkeypatch.context() as patch:
            patch.setenv("SLURM_PROCID", str(rank))
            patch.setenv("SLURM_NTASKS", "3")
            said = told(*command)
        assert re.search("0 of 8 shards were done", said)
        done = {manifest["ordinal"] for manifest in run_manifests(fresh)}
        assert set(range(rank, SHARD_COUNT, 3)) <= done
        assert len(done) == {2: 8, 0: 16, 1: 24}[rank]
    assert "24 of 24 shards were done" in told(*command, "--world-size", 1)
    assert run_bytes(fresh) == unbroken
    assert "--rank 3 is given alone" in told(*command, "--rank", 3, code=2)
