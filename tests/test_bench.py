"""The benchmarks run to their end and print every ratio. No timing is asserted."""

import subprocess
import sys
from pathlib import Path

import pytest
from waiting import LIMIT_S

RATIOS = (
    "pipeline / perfect overlap",
    "pipeline / naive",
    "25% above zero, activations",
    "25% above zero, size",
    "more CPU time",
    "after a ReLU, shards of 256",
    "one neuron: partials / memory",
    "all neurons: full scan / memory",
    "as the data grow 8x",
    "AUROC: SQL / NumPy",
    "100 shards: without / with snapshots",
    "3 / 1 shards",
    "work lost",
    "done shards that were made again",
    "fast / exact, 128x128",
    "own neuron first by weights",
    "share that is the planted concept",
    "suspected, attack",
    "exponent of CPU time",
    "20 readers at once",
    "whole site, all processes",
)


@pytest.mark.slow
def test_quick_benchmarks_print_every_ratio() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick"],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    for ratio in RATIOS:
        assert ratio in done.stdout
    assert done.stdout.splitlines()[-1].startswith("done in ")
    assert "THEY DIFFER" not in done.stdout
    assert "of their requests failed                          0.00" in done.stdout


@pytest.mark.slow
def test_unknown_benchmark_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "speed"],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 2
    assert "no benchmark 'speed'" in done.stderr
