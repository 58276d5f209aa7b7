"""Killed in the middle, a merge, a compaction, a vacuum or a deletion changes nothing; `bench kills` does it
a hundred times."""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path

import pytest

from bench import kills

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What each step begins from."""
    folder = tmp_path_factory.mktemp("starts")
    start, merged = kills.make_start(folder / "start"), folder / "merged"
    shutil.copytree(start, merged)
    kills.STEPS["merge"](str(merged))
    return {step: merged if step == "vacuum" else start for step in kills.STEPS}


@pytest.fixture(scope="module")
def expected(starts: dict[str, Path]) -> str:
    return kills.digest_views(starts["merge"])


@pytest.mark.parametrize("step", list(kills.STEPS))
def test_a_kill_changes_nothing(step, starts, expected, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    rng = random.Random(f"{step} 1")
    assert kills.kill_once(step, starts[step], expected, rng) == ""
