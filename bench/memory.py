"""Peak memory of an extraction, with few shards and with many of the same size."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile

from bench.data import SMALL_SIZES, Shards, ingest_shards
from bench.timing import Report, Row
from pipeline.base.settings import ExtractConfig


def report(quick: bool) -> Report:
    """Each extraction in a process of its own; quick, in this one, whose peak only rises."""
    measure = extract_here if quick else peak_mib
    size = 32 if quick else 500
    few, many = (1, 3) if quick else (2, 16)
    yield f"memory: RN-demo:random, shards of {size} images"
    peaks = {}
    for shard_count in (few, many):
        with tempfile.TemporaryDirectory() as folder:
            ingest_shards(folder, Shards(shard_count, size, SMALL_SIZES))
            peaks[shard_count] = measure(folder)
        yield Row(f"peak with {shard_count} shards", peaks[shard_count], "MiB")
    yield Row(f"{many} / {few} shards", peaks[many] / peaks[few], "x", "", "about 1")


def peak_mib(warehouse: str) -> float:
    """Peak resident memory of a fresh process that extracts the dataset."""
    command = [sys.executable, "-m", "bench.memory", warehouse]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def extract_here(warehouse: str) -> float:
    """Extract, as the child does; peak resident memory of this process in MiB."""
    from pipeline.extract.run import extract

    extract(ExtractConfig(warehouse, "bench", "RN-demo:random", ("goh2021",)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    print(extract_here(sys.argv[1]))
