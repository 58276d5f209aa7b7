"""Leases: who holds a shard and shows no sign of life loses it; who works on keeps it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from waiting import patience

from pipeline.base import warn
from pipeline.base.storage import Store
from pipeline.extract.locks import ShardLocks
from pipeline.tables.datasets import Shard, read_dataset

LEASE_S = 1.0


@pytest.fixture
def shards(many_shards: Path) -> list[Shard]:
    return list(read_dataset(Store(many_shards / "warehouse"), "d").shards[:2])


@pytest.mark.slow
def test_a_shard_is_lost_by_who_shows_no_sign_of_life(
    shards: list[Shard],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(warn, "_said", set())
    store = Store(tmp_path)
    hung, other = (ShardLocks(store, "run", LEASE_S) for _ in range(2))
    began = time.monotonic()
    assert len(list(hung.free_ones(shards))) == 2
    assert [shard.ordinal for shard in other.free_ones(shards)] == [0]
    assert time.monotonic() - began > LEASE_S
    assert not other.is_ours_alone(
        shards[0]
    )  # what the other has half written is not to be cleared
    assert "no sign of life for 1 s" in caplog.text
    other.release(shards[0])
    hung.release(shards[0])  # it wakes up
    third = ShardLocks(store, "run", LEASE_S)
    assert next(third.free_ones(shards)).ordinal == 0
    assert third.is_ours_alone(shards[0])


@pytest.mark.slow
def test_who_works_on_keeps_its_shards(shards: list[Shard], tmp_path: Path) -> None:
    """Longer than a lease, and what it holds for later too; a busy machine has to hear of it in time."""
    store, lease_s = Store(tmp_path), patience(3)
    busy, other = (ShardLocks(store, "run", lease_s) for _ in range(2))
    assert len(list(busy.free_ones(shards))) == 2
    taken: list[int] = []
    waiting = threading.Thread(
        target=lambda: taken.extend(shard.ordinal for shard in other.free_ones(shards))
    )
    waiting.start()
    end = time.monotonic() + 1.5 * lease_s
    while time.monotonic() < end:
        busy.touch()
        time.sleep(lease_s / 100)
    assert not taken
    busy.release(shards[0])
    waiting.join()
    assert taken == [0] and other.is_ours_alone(shards[0])
