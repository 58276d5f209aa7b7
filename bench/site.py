"""A static site: CPU time of a whole one, and of a page of each kind.

Images are small photographs in tars. Time is of all processes; on two idle cores two of them take half of it by
the clock.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.data import SMALL_SIZES, Shards, make_shards, make_warehouse
from bench.timing import Report, Row, measure
from pipeline.base.progress import NoProgress
from pipeline.base.site_settings import SiteOptions
from pipeline.upkeep.build import build
from pipeline.warehouse.connect import connect
from pipeline.web.site.choose import choose_neurons
from pipeline.web.site.jobs import Job, list_jobs
from pipeline.web.site.linked import find_linked
from pipeline.web.site.make import make_site
from pipeline.web.site.whole import list_whole
from pipeline.web.site.work import Plan, Worker


@dataclass(frozen=True)
class Size:
    """A warehouse of one layer, and its site."""

    shards: Shards
    units: int
    concepts: int
    examples: int
    """Images that have pages."""
    processes: int


QUICK = Size(Shards(1, 40, SMALL_SIZES), 4, 2, 4, 1)
USUAL = Size(Shards(20, 1_000, SMALL_SIZES), 2_560, 50, 1_000, 2)
TARGET_S = 600
"""Two cores for five minutes."""


def report(quick: bool) -> Report:
    """A site of a layer of 2,560 neurons that saw 20,000 images.

    Args:
        quick: Of 4 neurons and 40 images.
    """
    size = QUICK if quick else USUAL
    shards, units = size.shards, size.units
    tars = make_shards(shards)
    with tempfile.TemporaryDirectory() as folder:
        warehouse, out = f"{folder}/warehouse", Path(folder) / "site"
        make_warehouse(
            warehouse,
            shards.shard_count,
            shards.shard_size,
            units,
            concept_count=size.concepts,
            tars=tars,
        )
        build(warehouse)
        yield f"site: {shards.count:,} images x {units:,} units"
        options = SiteOptions(processes=size.processes, examples=size.examples)
        cost = measure(lambda: make_site(warehouse, out, options, NoProgress()))
        files = [path for path in out.rglob("*") if path.is_file()]
        pages = [path for path in files if path.suffix == ".html"]
        note = f"{len(pages):,} pages, {sum(path.stat().st_size for path in files) / 1e6:,.0f} MB"
        target = f"{TARGET_S} for 2,560 neurons" if not quick else ""
        yield Row("whole site, all processes", cost.cpu_s, "CPU s", note, target)
        again = measure(lambda: make_site(warehouse, out, options, NoProgress()))
        yield Row("again, nothing to do", again.cpu_s, "CPU s")
        yield from _by_kind(warehouse, Path(folder) / "one", size)


def _by_kind(warehouse: str, out: Path, size: Size) -> Report:
    """A page of each kind, of one job of it, without images."""
    options = SiteOptions(images="none", examples=size.examples)
    with connect(warehouse) as connection:
        chosen = choose_neurons(connection, options)
        linked = find_linked(connection, chosen, options.examples)
    jobs: dict[str, Job] = {}
    for job in list_jobs(chosen, linked):
        jobs.setdefault(type(job).__name__.removesuffix("Job").lower(), job)
    plan = Plan(warehouse, out, chosen, linked, "none", options.examples, list_whole(), {})
    worker = Worker(plan)
    for kind, job in jobs.items():
        began = time.process_time()
        made = worker.do(job)
        took = time.process_time() - began
        count = Counter(Path(name).suffix for name in made.files)[".html"]
        yield Row(f"{kind}, without images", took / count * 1e3, "CPU ms", f"of {count} pages")
