"""What a SIGKILL in the middle of an extraction costs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from bench.data import SMALL_SIZES, Shards, ingest_shards
from bench.timing import Report, Row
from pipeline.base.progress import NoProgress
from pipeline.base.settings import ExtractConfig
from pipeline.extract.account import RunSummary
from pipeline.extract.run import extract
from pipeline.warehouse.connect import connect

COUNTS = "select count(*), count(distinct example_id) from image_embeddings"


class PrintProgress(NoProgress):
    """One line for each batch that went through the model: images so far."""

    done = 0

    def advance(self, count: int, note: str = "") -> None:
        """Print, and let it leave at once: the process may be killed at any moment."""
        self.done += count
        print(self.done, flush=True)


def report(quick: bool) -> Report:
    """Kill it in the middle of a shard, run it again, count."""
    shards = Shards(3, 32, SMALL_SIZES) if quick else Shards(8, 512, SMALL_SIZES)
    kill_after = int((shards.shard_count // 2 + 0.5) * shards.shard_size)
    yield f"resume: {shards.shard_count} shards, SIGKILL after {kill_after} images, then again"
    with tempfile.TemporaryDirectory() as folder:
        ingest_shards(folder, shards)
        reached, done = _run_and_kill(folder, kill_after)
        again = extract_here(folder, NoProgress())
        with connect(folder) as connection:
            row = connection.execute(COUNTS).fetchone()
    assert row is not None
    lost = (reached - done * shards.shard_size) / shards.shard_size
    redone = again.shard_count - again.skipped_shard_count - (shards.shard_count - done)
    yield Row("shards done when it was killed", done, "shards", f"{reached} images in all")
    yield Row("work lost", lost, "shards", "images beyond the last commit", "<= 1")
    yield Row("done shards that were made again", redone, "shards", "", "0")
    yield Row("examples missing at the end", shards.count - row[1], "examples", "", "0")
    yield Row("examples there twice", row[0] - row[1], "examples", "", "0")


def extract_here(warehouse: str, progress: NoProgress) -> RunSummary:
    """Extract in this process."""
    config = ExtractConfig(warehouse, "bench", "RN-demo:random", ("goh2021",), batch_size=16)
    return extract(config, progress)


def _run_and_kill(warehouse: str, kill_after: int) -> tuple[int, int]:
    """Images that the killed process had through the model, and shards it had committed."""
    command = [sys.executable, "-m", "bench.resume", warehouse]
    reached = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            reached = int(line)
            if reached >= kill_after:
                break
        child.kill()
        reached = max([reached, *(int(line) for line in child.stdout if line.endswith("\n"))])
    manifests = Path(warehouse).glob("dataset=bench/run_id=*/manifests/*.json")
    return reached, len(list(manifests))


if __name__ == "__main__":
    extract_here(sys.argv[1], PrintProgress())
