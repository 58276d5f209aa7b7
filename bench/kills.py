"""SIGKILL at a seeded moment of a merge, a compaction, a vacuum and a deletion: nothing changes by it.

After each kill every view that rests on what was touched must answer exactly as before, and after the step
has run again nothing may be left over.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import random
import shutil
import signal
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import torch

from bench.data import synthesise_activations, synthetic_output, write_run
from bench.dying import die_at
from bench.timing import Report, Row
from pipeline.base.storage import Store
from pipeline.tables.audit import audit_warehouse
from pipeline.upkeep import vacuum as vacuum_module
from pipeline.upkeep.compact import compact
from pipeline.upkeep.delete import delete, find_target
from pipeline.upkeep.merge import merge_run
from pipeline.upkeep.vacuum import find_leftovers, vacuum
from pipeline.warehouse.connect import connect

FOLDER = "dataset=synthetic/run_id=bench"
SHARDS, SIZE, UNITS, WIDTH = 11, 30, 3, 3
VIEWS = (
    "stg_neuron_moments",
    "neuron_stats",
    "neuron_histograms",
    "top_examples",
    "neuron_samples",
    "stg_ranks",
)
SEED = 20_261_126
ATTEMPTS = 40
"""Tries at most for one kill: where a step is done before the call that was drawn, another is drawn."""


def _merge(place: str) -> None:
    merge_run(Store(place), FOLDER)


def _compact(place: str) -> None:
    compact(place)


def _vacuum(place: str) -> None:
    vacuum_module.KEEP = timedelta(seconds=-1)
    vacuum(Store(place))


def _delete(place: str) -> None:
    store = Store(place)
    delete(store, find_target(store, "run", "bench"))


STEPS: dict[str, Callable[[str], None]] = {
    "merge": _merge,
    "compact": _compact,
    "vacuum": _vacuum,
    "delete": _delete,
}
CALLS = {"merge": 34, "compact": 44, "vacuum": 50, "delete": 120}
"""Of each, the first so many syncs, renames and removals are where it may be killed."""


def work(step: str, place: str, kill_at: int) -> None:
    """A step, in a process of its own, that kills itself at the n-th sync, rename or removal; 0 never does."""
    die_at(kill_at, "replace", "rename", "fsync", "unlink", "rmdir")
    STEPS[step](place)


def run_step(step: str, place: Path, kill_at: int) -> int:
    """The exit status of a step."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.kills"])
    process = context.Process(target=work, args=(step, str(place), kill_at))
    process.start()
    process.join()
    assert process.exitcode is not None, "it was joined"
    return process.exitcode


def make_start(place: Path) -> Path:
    """A run of which nothing is merged, and most is compacted."""
    values = synthesise_activations(SHARDS * SIZE, UNITS, 0.4)
    values[:, -1] = torch.where(values[:, -1] > 0, 1.0, 0.0).half()  # ties
    write_run(str(place), values, SIZE, synthetic_output(UNITS), merge_width=WIDTH)
    late = [place / FOLDER / "manifests" / f"{n:05d}.json" for n in (SHARDS - 2, SHARDS - 1)]
    for file in late:
        file.rename(file.with_suffix(".later"))
    compact(str(place))
    for file in late:
        file.with_suffix(".later").rename(file)
    for name in ("merged.json", "merged.json.copy"):
        (place / FOLDER / name).unlink()
    return place


def digest_views(place: Path) -> str:
    """A hash of what all the views answer, to the last bit."""
    seen = hashlib.sha256()
    with connect(place, use_marts=False) as connection:
        for view in VIEWS:
            rows = connection.execute(f"select * from {view} order by all").fetchall()
            seen.update(repr(rows).encode())
    return seen.hexdigest()


def kill_once(step: str, start: Path, expected: str, rng: random.Random) -> str:
    """Kill a step once, then look, run it again, and look again; what is wrong, if anything."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "warehouse"
        for _ in range(ATTEMPTS):
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(start, place)
            kill_at = rng.randint(1, CALLS[step])
            if run_step(step, place, kill_at) == -signal.SIGKILL:
                break
        else:
            return "was never killed"
        where = f"{step}, killed at call {kill_at}"
        store = Store(place)
        if step == "delete" and not store.exists(FOLDER):
            if any(True for _ in store.walk(FOLDER)):
                return f"{where}: half of it is there"
        elif digest_views(place) != expected:
            return f"{where}: views answer otherwise"
        if audit_warehouse(store, deep=True).damages:
            return f"{where}: check finds damage"
        if store.exists(FOLDER) and run_step(step, place, 0) != 0:
            return f"{where}: it could not be run again"
        if step == "delete":
            vacuum(store)
            return f"{where}: files are left" * bool(
                [*place.glob("deleted-*"), *place.glob(FOLDER)]
            )
        if digest_views(place) != expected:
            return f"{where}: run again, views answer otherwise"
        if audit_warehouse(store, deep=True).damages:
            return f"{where}: run again, check finds damage"
        left = [one for one in find_leftovers(store) if one.why in ("half-written", "superseded")]
        return f"{where}: {len(left)} files are left over" * bool(left)


def report(quick: bool) -> Report:
    """Kills of every step, in turn; quick, of the first."""
    count, steps = (1, list(STEPS)[:1]) if quick else (26, list(STEPS))
    rng = random.Random(SEED)
    yield f"kills: {count} of each step, seed {SEED}"
    with tempfile.TemporaryDirectory() as folder:
        start = make_start(Path(folder) / "start")
        merged = Path(folder) / "merged"
        shutil.copytree(start, merged)
        _merge(str(merged))
        expected = digest_views(start)
        for step in steps:
            begin = merged if step == "vacuum" else start
            problems = [kill_once(step, begin, expected, rng) for _ in range(count)]
            found = [problem for problem in problems if problem]
            note = found[0] if found else "views, audit and leftovers after each"
            yield Row(f"{step}: kills that changed something", len(found), f"of {count}", note, "0")
