"""What a SIGKILL in the middle of an extraction costs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.data import SMALL_SIZES, Shards, ingest_shards
from bench.timing import Report, Row
from pipeline.config import ExtractConfig
from pipeline.extract.run import extract
from pipeline.warehouse import connect

COUNTS = """
select count(*) as rows_written, count(distinct example_id) as examples
from image_embeddings
"""


def report(quick: bool) -> Report:
    """Kill it after the middle shard's commit and a little, run it again, count."""
    shards = Shards(3, 32, SMALL_SIZES) if quick else Shards(8, 500, SMALL_SIZES)
    kill_after = shards.shard_count // 2
    yield f"resume: SIGKILL after {kill_after} of {shards.shard_count} shards, then again"
    with tempfile.TemporaryDirectory() as folder:
        ingest_shards(folder, shards)
        done = _run_and_kill(folder, kill_after)
        again = extract(ExtractConfig(folder, "bench", "RN-demo:random", ("goh2021",)))
        redone = len(again.manifests) - (shards.shard_count - len(done))
        with connect(folder) as connection:
            row = connection.execute(COUNTS).fetchone()
        assert row is not None
        written, examples = row
    yield Row("shards done when it was killed", len(done), "shards")
    yield Row("done shards that were made again", redone, "shards", "", "0")
    intervals = [late - early for early, late in zip(done, done[1:-1], strict=False)]
    if intervals:
        lost = (done[-1] - done[-2]) / (sum(intervals) / len(intervals))
        note = "time since the last commit, in units of a shard's time"
        yield Row("work lost", lost, "shards", note, "<= 1 + those read ahead")
    yield Row("examples missing at the end", shards.count - examples, "examples", "", "0")
    yield Row("examples there twice", written - examples, "examples", "", "0")


def _run_and_kill(warehouse: str, kill_after: int) -> list[float]:
    """Times of the commits."""
    command = [sys.executable, "-m", "bench.memory", warehouse]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    pattern = "dataset=bench/run_id=*/manifests/*.json"
    while child.poll() is None and len(list(Path(warehouse).glob(pattern))) < kill_after:
        time.sleep(0.005)
    child.kill()
    child.wait()
    return sorted(os.stat(path).st_mtime for path in Path(warehouse).glob(pattern))
