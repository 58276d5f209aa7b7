"""How the cost of a build grows: with images, shards, units and concepts, one after the other.

Each build is made by a process of its own, which tells its CPU time, mart by mart, and its peak memory.
Beside it stands a scan of all activations by the same process. An exponent of 1 is linear growth, 0 none.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.timing import Report, Row, measure
from pipeline.upkeep.check import check
from pipeline.warehouse.growth import WHOLE


@dataclass(frozen=True)
class Size:
    """A warehouse of one run of one layer."""

    images: int
    shards: int
    units: int
    concepts: int

    @property
    def told(self) -> str:
        """For a heading."""
        return (
            f"{self.images:,} images in {self.shards} shards x {self.units:,} units "
            f"x {self.concepts} concepts"
        )


@dataclass(frozen=True)
class Built:
    """What a build took."""

    cpu_s: float
    peak_mib: float
    scan_s: float
    marts: dict[str, float]
    """CPU seconds by mart; what opening costs is in the first of each part."""


QUICK = Size(120, 2, 8, 4)
USUAL = Size(8_000, 8, 256, 20)
FULL = Size(100_000, 20, 2_560, 50)
"""Of the budget: 120 CPU s and 4 GB; a million images may take twelve times as much."""

FACTOR = 4


def report(quick: bool, full: bool = False) -> Report:
    """Builds of one size, and of four times the images, shards, units and concepts.

    Args:
        quick: Tiny sizes, built in this process, so memory says nothing.
        full: The size of the budget as well, a quarter of it, and one shard of a hundred more.
    """
    base = QUICK if quick else USUAL
    build_one = build_here if quick else build_apart
    first = build_new(base, build_one)
    yield f"growth: a build of {base.told}"
    yield from _rows(first)
    for what in ("images",) if quick else ("images", "shards", "units", "concepts"):
        bigger = replace(base, **{what: FACTOR * getattr(base, what)})
        if what == "images":
            bigger = replace(bigger, shards=FACTOR * base.shards)  # of the same size
        found = build_new(bigger, build_one)
        yield f"growth: {FACTOR} times the {what}"
        yield from _compared(first, found)
    yield from _growing(base, build_one)
    if full:
        quarter = replace(FULL, images=FULL.images // FACTOR, shards=FULL.shards // FACTOR)
        yield f"growth: a quarter of the budget, {quarter.told}"
        first = build_new(quarter, build_apart)
        yield from _rows(first)
        yield f"growth: the budget, {FULL.told}"
        yield from _compared(first, build_new(FULL, build_apart), "120 s", "4096 MiB")
        yield from _growing(replace(FULL, shards=100), build_apart)


def _compared(first: Built, found: Built, cpu: str = "", memory: str = "") -> Report:
    """A build of `FACTOR` times something, beside the one before."""
    yield Row("CPU time of the build", found.cpu_s, "s", _dearest(found.marts), cpu)
    yield Row("exponent of CPU time", _exponent(first.cpu_s, found.cpu_s), "", "1: linear")
    yield Row("exponent of the scan", _exponent(first.scan_s, found.scan_s), "")
    yield Row("CPU time of the scan", found.scan_s, "s", f"before {first.scan_s:.2f}")
    yield Row("peak memory", found.peak_mib, "MiB", f"before {first.peak_mib:.0f}", memory)
    yield Row("exponent of peak memory", _exponent(first.peak_mib, found.peak_mib), "")


def build_new(size: Size, build_one: Callable[[str], Built]) -> Built:
    """Make a warehouse and build it."""
    with tempfile.TemporaryDirectory() as folder:
        _make(folder, size)
        return build_one(folder)


def build_apart(warehouse: str) -> Built:
    """Build a warehouse in a fresh process."""
    command = [sys.executable, "-m", "bench.growth", warehouse]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Built(**json.loads(done.stdout.splitlines()[-1]))


def _make(folder: str, size: Size) -> None:
    from bench.data import make_warehouse  # not by the child: its memory is measured

    per_shard = size.images // size.shards
    make_warehouse(folder, size.shards, per_shard, size.units, concept_count=size.concepts)


def _growing(base: Size, build_one: Callable[[str], Built]) -> Report:
    """A shard more, in a run that is built."""
    with tempfile.TemporaryDirectory() as folder:
        _make(folder, base)
        (run,) = Path(folder).glob("dataset=*/run_id=*")
        last = run / "manifests" / f"{base.shards - 1:05d}.json"
        said = last.read_bytes()
        last.unlink()
        built = build_one(folder)
        checks = [measure(lambda: check(folder))]
        last.write_bytes(said)
        grown = build_one(folder)
        again = build_one(folder)
        checks += [measure(lambda: check(folder)) for _ in range(2)]
    yield f"growth: one shard of {base.shards} more in a run that is built"
    whole = {mart: took for mart, took in grown.marts.items() if mart in WHOLE}
    apart = sum(whole.values())
    yield Row("CPU time of the build before", built.cpu_s, "s")
    yield Row("CPU time of the build with it", grown.cpu_s, "s")
    yield Row("of that, what is made whole", apart, "s", ", ".join(whole))
    rest = {mart: took for mart, took in grown.marts.items() if mart not in WHOLE}
    ratio = (grown.cpu_s - apart) / built.cpu_s
    yield Row("the rest / the build before", ratio, "x", _dearest(rest))
    yield Row("what is made whole / the build before", apart / built.cpu_s, "x")
    yield Row("CPU time where nothing changed", again.cpu_s, "s")
    first, more, same = (cost.cpu_s for cost in checks)
    yield Row("CPU time of the first check", first, "s")
    yield Row("CPU time of a check with the new shard", more, "s")
    yield Row("CPU time of a check where nothing changed", same, "s")


def _rows(built: Built, cpu: str = "", memory: str = "") -> Report:
    yield Row("CPU time of the build", built.cpu_s, "s", _dearest(built.marts), cpu)
    yield Row("of a scan of all activations", built.cpu_s / max(built.scan_s, 1e-3), "x")
    yield Row("peak memory", built.peak_mib, "MiB", "", memory)


def _dearest(marts: Mapping[str, float]) -> str:
    """The three that took most, of CPU seconds by mart."""
    most = sorted(marts, key=lambda mart: -marts[mart])[:3]
    return ", ".join(f"{mart} {marts[mart]:.1f}" for mart in most)


def _exponent(small: float, large: float) -> float:
    return math.log(max(large, 1e-3) / max(small, 1e-3)) / math.log(FACTOR)


class _Stopwatch:
    """CPU seconds by mart, and by what is done before them."""

    def __init__(self) -> None:
        self.marts: dict[str, float] = defaultdict(float)
        self.at, self.phase = _cpu(), ""

    def start(self, what: str, total: int | None) -> None:
        """A phase begins."""
        self.phase = what.partition(",")[0]

    def advance(self, count: int, note: str = "") -> None:
        """Something is done; the note of a mart is ``PART: MART: N rows``."""
        if count and note:
            now = _cpu()
            name = note.split(": ")[1] if self.phase == "build" else self.phase
            self.marts[name] += now - self.at
            self.at = now

    def finish(self) -> None:
        """Do nothing."""


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def build_here(warehouse: str) -> Built:
    """Build, and scan; what both took."""
    from pipeline.upkeep.build import build
    from pipeline.warehouse.connect import connect

    watch = _Stopwatch()
    cost = measure(lambda: build(warehouse, progress=watch))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with connect(warehouse) as connection:
        query = "select count(*), sum(activation), max(example_id) from activations"
        scan = measure(lambda: connection.execute(query).fetchall())
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Built(cost.cpu_s, peak / unit, scan.cpu_s, dict(watch.marts))


if __name__ == "__main__":
    print(json.dumps(asdict(build_here(sys.argv[1]))))
