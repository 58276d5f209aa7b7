"""Top images and their groups grow with a run: whatever happened to it, rows are those of marts made whole."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data import synthetic_output, write_run
from bench.dying import die_at
from bench.kills import FOLDER
from pipeline.base.progress import NoProgress
from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.evidence.clarity import compute_top_example_groups
from pipeline.tables.manifests import FileEntry
from pipeline.upkeep.build import build
from pipeline.upkeep.marts import find_before, write_mart
from pipeline.upkeep.merge import merge_run
from pipeline.warehouse.connect import connect, open_views
from pipeline.warehouse.inventory import take_inventory
from pipeline.warehouse.live import use_mart
from pipeline.warehouse.parts import Fingerprints, Part

pytestmark = pytest.mark.slow

SHARDS, SIZE, UNITS, TOP = 6, 10, 4, 7
PART = Part("synthetic", ("bench",))
MARTS = ("neuron_stats", "top_examples", "top_example_groups")
Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The run twice: of other activations, and with other images repeated. No manifest is in its place."""
    folder = tmp_path_factory.mktemp("runs")
    output = replace(synthetic_output(UNITS), store=request.param)
    for name, seed in (("one", 1), ("two", 2)):
        generator = torch.Generator().manual_seed(seed)
        # few values: most are ties, within shards and between them
        values = torch.randint(-3, 4, (SHARDS * SIZE, UNITS), generator=generator) / 2
        ordinals = torch.arange(SHARDS)[:, None] << 20
        ids = (ordinals + torch.arange(SIZE)[None]).flatten()
        repeated = ids[torch.randint(0, 4, ids.shape, generator=generator) == 0]
        where = str(folder / name)
        write_run(
            where, values.half(), SIZE, output, 2, merge_width=2, top_k=TOP, repeated=repeated
        )
        (folder / name / FOLDER / "manifests").rename(folder / f"{name}-manifests")
    return [folder / "one", folder / "two"]


def put(place: Path, runs: list[Path], ordinal: int, which: int) -> None:
    """Extract a shard, again perhaps."""
    source = runs[which]
    for file in source.glob(f"{FOLDER}/*/**/{ordinal:05d}.parquet"):
        shutil.copy(file, place / file.relative_to(source))
    target = place / FOLDER / "manifests"
    target.mkdir(exist_ok=True)
    shutil.copy(source.with_name(f"{source.name}-manifests") / f"{ordinal:05d}.json", target)


def make(
    place: Path, known: Sequence[FileEntry], settings: LabelSettings
) -> tuple[list[FileEntry], dict[str, int | None], dict[str, Rows], dict[str, Rows]]:
    """The marts: their files, by how many shards they grew, their rows, and those that they should have."""
    names = Fingerprints(take_inventory(Store(place)), settings)
    files, added = list[FileEntry](), dict[str, int | None]()
    with open_views(PART.of(names.inventory), settings) as connection:
        expected = {name: rows(connection, name) for name in MARTS[:2]}
        for name in MARTS:
            path = names.path(PART, name)
            if path in {file["path"] for file in known}:  # it is there
                use_mart(connection, name, path)
                added[name] = 0
                continue
            before = find_before(names, PART, name, known)
            files.append(write_mart(connection, names, PART, name, before, NoProgress()))
            added[name] = len(before.added) if before else None
        whole = [t.to_pylist() for t in compute_top_example_groups(connection, NoProgress())]
        expected["top_example_groups"] = [tuple(row.values()) for table in whole for row in table]
        found = {name: rows(connection, name) for name in MARTS[:2]}
        found["top_example_groups"] = connection.execute("from raw_top_example_groups").fetchall()
    return files, added, found, expected


def rows(connection: Any, name: str) -> Rows:
    return connection.execute(f"from {name} order by all").fetchall()


STEP = st.tuples(
    st.sets(st.integers(0, SHARDS - 1), min_size=1),  # shards that are extracted, perhaps again
    st.integers(0, 1),  # as in which of the two runs
    st.sets(st.integers(0, SHARDS - 1), max_size=1),  # shards that are taken out
    st.booleans(),  # statistics are merged
    st.sampled_from((2, 5, 50)),  # label_top_k
    st.booleans(),  # the marts are named by the record of the build: it was not killed
)


@pytest.mark.parametrize("runs", ["positive", "all"], indirect=True)
@settings(max_examples=4)
@given(st.lists(STEP, min_size=2, max_size=3))
def test_marts_that_grow_are_those_that_are_made_whole(
    runs: list[Path], tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    place = tmp_path_factory.mktemp("w") / "warehouse"
    shutil.copytree(runs[0], place)
    known: list[FileEntry] = []
    there: dict[int, int] = {}  # what each shard is now
    were: list[dict[int, int]] = []  # what they were, of marts that are known
    for new, which, gone, merges, most, is_told in steps:
        for ordinal in new:
            put(place, runs, ordinal, which)
            there[ordinal] = which
        for ordinal in gone & there.keys() if len(there) > 1 else ():
            (place / FOLDER / f"manifests/{ordinal:05d}.json").unlink()
            del there[ordinal]
        if len({*there} - gone) and merges:
            merge_run(Store(place), FOLDER)
        settings = LabelSettings(label_top_k=most)
        files, added, found, expected = make(place, known, settings)
        assert found == expected
        missing = [len(there) - len(was) for was in were if was.items() <= there.items()]
        assert added["top_examples"] == min(missing, default=None)
        assert added["neuron_stats"] in (None, 0)
        if is_told:
            known += files
            were.append(dict(there))


def build_and_die(place: str, kill_at: int) -> None:
    die_at(kill_at, "replace", "rename")
    build(place)


KILL_AT = 3
"""Which file is put in its place when it is killed: the first is that of neuron_stats."""


@pytest.mark.parametrize("runs", ["all"], indirect=True)
def test_a_build_that_is_killed_while_marts_grow_goes_on(runs: list[Path], tmp_path: Path) -> None:
    place, settings = (
        tmp_path / "warehouse",
        LabelSettings(label_null_repeats=1, concept_min_count=1),
    )
    shutil.copytree(runs[0], place)
    for ordinal in range(SHARDS - 1):
        put(place, runs, ordinal, 0)
    build(place, settings)
    put(place, runs, SHARDS - 1, 0)
    process = multiprocessing.get_context("forkserver").Process(
        target=build_and_die, args=(str(place), KILL_AT)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    done = {one.name: one.added for one in build(place).made}
    assert {done.get(name, 1) for name in MARTS[1:]} == {1}, (
        "what was not made before it was killed"
    )
    with connect(place) as connection:
        found = {name: rows(connection, name) for name in MARTS}
    shutil.rmtree(place / "marts")
    build(place, settings)
    with connect(place) as connection:
        assert found == {name: rows(connection, name) for name in MARTS}
