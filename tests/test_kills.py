"""Killed at the n-th write, sync or rename of a step that writes into a warehouse; then run again.

Nothing is left behind and every file that a record names is that of an undisturbed run.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from damaging import copy_of
from killing import STEPS, work
from making import ingest_paths
from probing import base_image
from waiting import LIMIT_S

from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.tables.audit import audit_warehouse
from pipeline.tables.checked import MEMORY
from pipeline.tables.news import is_news
from pipeline.tables.snapshot_files import is_snapshot
from pipeline.upkeep.build import build

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_step() -> Iterator[Callable[[str, Path, int], int]]:
    """Runs a step in a process that has imported everything already; gives its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killing"])

    def run(step: str, place: Path, kill_at: int) -> int:
        process = context.Process(target=work, args=(step, place, kill_at))
        process.start()
        process.join(LIMIT_S)
        assert process.exitcode in (0, -signal.SIGKILL)
        return process.exitcode

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        yield run


def files_of(place: Path) -> dict[str, bytes | None]:
    """All files but locks, memory, snapshots and news. Bytes of Parquet alone, for records tell times, and not
    of marts, whose sums are taken in any order."""
    files = (file for file in place.rglob("*") if file.is_file())
    return {
        (name := str(file.relative_to(place))): (
            file.read_bytes() if name.endswith(".parquet") and name[:6] != "marts/" else None
        )
        for file in files
        if file.suffix != ".lock" and not file.name.startswith(MEMORY)
        if not (is_snapshot(file.name) or is_news(file.name))
    }


@pytest.fixture(scope="module")
def starts(full_warehouse, tmp_path_factory) -> dict[str, Path]:
    """What each step begins from: everything but its own outputs."""
    folder = tmp_path_factory.mktemp("starts")
    places = {step: folder / step for step in STEPS}
    for step, place in places.items():
        if step != "ingest":
            copy_of(full_warehouse, place)
    (run,) = (places["compact"] / "warehouse").glob("dataset=*/run_id=*")
    shutil.rmtree(run / "compact")
    (run / "compact.json").unlink()
    shutil.rmtree(places["build"] / "warehouse/marts")
    for name in ("views.sql", "README.md"):
        (places["build"] / "warehouse" / name).unlink()
    (run,) = (places["similarity"] / "warehouse").glob("dataset=*/run_id=*")
    for name in ("concept_scores", "concept_embeddings", "class_scores", "class_sets"):
        shutil.rmtree(run / name)
    for name in ("similarity.json", "similarity.json.copy"):
        (run / name).unlink()
    for step, names in (("effect", ("effects", "concept_effects")), ("ablate", ("ablations",))):
        (run,) = (places[step] / "warehouse").glob("dataset=*/run_id=*")
        for name in names:
            shutil.rmtree(run / name)
    (run,) = (places["extract"] / "warehouse").glob("dataset=*/run_id=*")
    for name in ("00001", "00002"):
        (run / f"manifests/{name}.json").unlink()
    (places["ingest"] / "in").mkdir(parents=True)
    (places["ingest"] / "warehouse").mkdir()
    for n in range(5):
        base_image(n).save(places["ingest"] / f"in/{n}.png")
    return places


# Calls of each step at which it is killed: in the first file, in the middle, near its end.
KILLS = {
    "ingest": (2, 9, 20, 33),
    "build": (2, 15),
    "compact": (2, 4, 9),
    "similarity": (2, 7, 12),
    "extract": (2, 30),
    "effect": (1, 4, 9, 17),
    "ablate": (1, 3, 5),
}


@pytest.mark.parametrize("step", list(STEPS))
def test_killed_and_run_again_nothing_is_left(step, starts, run_step, tmp_path):
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(starts[step], undisturbed)
    assert run_step(step, undisturbed / "warehouse", 0) == 0
    expected = files_of(undisturbed / "warehouse")
    disturbed = tmp_path / "disturbed"
    shutil.copytree(starts[step], disturbed)
    # One after the other on the same warehouse.
    seen = [run_step(step, disturbed / "warehouse", kill_at) for kill_at in KILLS[step]]
    assert seen[0] == -9
    assert run_step(step, disturbed / "warehouse", 0) == 0
    found = files_of(disturbed / "warehouse")
    assert sorted(found) == sorted(expected)
    assert [name for name in found if found[name] != expected[name]] == []
    assert audit_warehouse(Store(disturbed / "warehouse"), deep=True).damages == []


def test_a_build_writes_over_nothing_that_the_last_one_names(tiny_warehouse, tmp_path):
    """So a kill between its files leaves the last build as it was, for connections and for check."""
    place = copy_of(tiny_warehouse, tmp_path)
    named = [place / file["path"] for file in Store(place).read_json("marts/build.json")["files"]]
    (lexicon,) = (file for file in named if file.name.startswith("lexicon-"))
    earlier = place / "marts/lexicon.parquet"  # where it was before
    shutil.copy(lexicon, earlier)
    before = {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in named}
    build(place, LabelSettings(label_max_q=0.2, label_null_repeats=0))
    assert {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in named} == before
    assert not earlier.exists()
    assert audit_warehouse(Store(place), deep=True).damages == []


def test_a_live_process_keeps_what_it_writes(tmp_path):
    """Half-written files are cleared by who holds the lock, and by nobody else."""
    folder = tmp_path / "in"
    folder.mkdir()
    base_image(0).save(folder / "0.png")
    ingest_paths(tmp_path, "folder", folder)
    place = tmp_path / "warehouse/dataset=d"
    ours = place / "examples/00001.parquet.tmp-0123abcd"
    of_a_run = place / "run_id=r/embeddings/00001.parquet.tmp-0123abcd"
    of_a_person = place / "examples/notes.tmp-mine"
    for file in (ours, of_a_run, of_a_person):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"half")
    ingest_paths(tmp_path, "folder", folder)
    assert [file.exists() for file in (ours, of_a_run, of_a_person)] == [False, True, True]
