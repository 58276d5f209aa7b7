"""Killed at the n-th write, sync or rename of ingest, build, compact and similarity; then run again.

Nothing is left behind and every file that a record names is that of an undisturbed run.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from damaging import copy_of
from making import ingest_paths
from probing import base_image

from pipeline.audit import MEMORY, audit_warehouse
from pipeline.storage import Store

# Kills itself with SIGKILL at the n-th of these calls, whichever they are.
PREAMBLE = """
import os, signal, sys
left = int(sys.argv[1])
def count(function):
    def call(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call
os.replace, os.fsync = count(os.replace), count(os.fsync)
place = sys.argv[2]
"""

STEPS = {
    "ingest": """
from pathlib import Path
from pipeline.config import IngestConfig, IngestStep
from pipeline.sources.ingest import ingest
folder = str(Path(place).parent / "in")
ingest(IngestConfig(place, "d", shard_size=2), IngestStep("folder", (folder,)))
""",
    "build": """
from pipeline.build import build
build(place)
""",
    "compact": """
from pipeline.compact import compact
compact(place)
""",
    "similarity": """
from pathlib import Path
from pipeline.config import SimilarityConfig
from pipeline.similarity import score_similarity
(run,) = Path(place).glob("dataset=textures/run_id=*")
score_similarity(SimilarityConfig(place, "textures", run.name.removeprefix("run_id=")))
""",
    "extract": """
from pathlib import Path
import torch; torch.set_num_threads(1)
from pipeline.repair import repair
(run,) = Path(place).glob("dataset=textures/run_id=*")
for file in run.glob("manifests/*.json"):
    if file.name != "00000.json" and Path(place + "/once").exists() is False:
        file.unlink()
Path(place + "/once").touch()
from dataclasses import fields
from pipeline.config import ExtractConfig
from pipeline.extract.run import extract
from pipeline.storage import Store
config = Store(place).read_json(str(run.relative_to(place)) + "/run.json")["config"]
config |= {"warehouse": place, "layers": tuple(config["layers"]), "run": run.name[7:]}
extract(ExtractConfig(**config))
""",
}


def run_step(step: str, place: Path, kill_at: int) -> int:
    """Exit status of a step that is killed at its n-th call; 0 calls never happen."""
    command = [sys.executable, "-c", PREAMBLE + STEPS[step], str(kill_at), str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, -9), done.stderr[-3000:]
    return done.returncode


def files_of(place: Path) -> dict[str, bytes | None]:
    """All files but locks and memory. Bytes of Parquet alone, since records tell times, and not of marts,
    whose sums are taken in any order."""
    files = (file for file in place.rglob("*") if file.is_file())
    return {
        (name := str(file.relative_to(place))): (
            file.read_bytes() if name.endswith(".parquet") and name[:6] != "marts/" else None
        )
        for file in files
        if file.suffix != ".lock" and not file.name.startswith(MEMORY) and file.name != "once"
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
    (places["build"] / "warehouse/views.sql").unlink()
    (run,) = (places["similarity"] / "warehouse").glob("dataset=*/run_id=*")
    for name in ("concept_scores", "concept_embeddings", "class_scores", "class_sets"):
        shutil.rmtree(run / name)
    for name in ("similarity.json", "similarity.json.copy"):
        (run / name).unlink()
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
}


@pytest.mark.parametrize("step", list(STEPS))
def test_killed_and_run_again_nothing_is_left(step, starts, tmp_path):
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
