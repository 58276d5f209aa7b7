"""Marts of one run or dataset each: what changes elsewhere leaves them alone, and every answer stays right."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from textures import write_textures

from pipeline.base.progress import NoProgress
from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep, LabelSettings
from pipeline.base.storage import Store
from pipeline.evidence.computed import COMPUTED, COMPUTED_OF_TWO
from pipeline.extract.run import extract
from pipeline.sources.ingest import ingest
from pipeline.tables.computed import DERIVED, READS
from pipeline.upkeep.build import build, build_part
from pipeline.warehouse.connect import connect, take_whole_inventory
from pipeline.warehouse.fresh import find_marts
from pipeline.warehouse.last_build import read_build
from pipeline.warehouse.parts import Part, list_parts
from pipeline.warehouse.stale import views_of_query
from pipeline.warehouse.views import MATERIALISED, load_views

pytestmark = pytest.mark.slow

Answers = dict[str, list[tuple[object, ...]]]

SETTINGS = LabelSettings(label_null_repeats=2, concept_min_count=2)
QUERIED = tuple(name for name in MATERIALISED if name not in DERIVED)
"""What a connection answers whether it is built or not."""
COSTLY = ("tested_labels", "shown_counts", "facet_candidates")
"""Of these, what DuckDB takes half a minute to plan where nothing below is built: test_marts.py asks them."""
REST = ("neuron_neighbours", "neuron_clarity", "run_summary", "label_baselines", "neuron_facets")


def add_run(place: Path, dataset: str, layer: str) -> str:
    config = ExtractConfig(
        str(place), dataset, "RN-demo:random", (layer,), device="cpu", top_k=5, batch_size=16
    )
    return extract(config).run_id


def add_dataset(place: Path, name: str) -> None:
    tars = write_textures(place.parent / f"tars-{name}", 2, 24)
    ingest(IngestConfig(str(place), name), IngestStep("webdataset", (str(tars),)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One dataset with one run, built."""
    place = tmp_path_factory.mktemp("parts") / "warehouse"
    add_dataset(place, "a")
    add_run(place, "a", "visual.layer1.0")
    build(place, SETTINGS)
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "warehouse")
    return tmp_path / "warehouse"


def marts_of(place: Path, of: str = "") -> dict[str, int]:
    """Inodes of the marts, of a dataset or of all: a file that is written again has another."""
    return {
        str(file.relative_to(place)): file.stat().st_ino
        for file in (place / "marts" / of).rglob("*.parquet")
    }


def is_same(one: object, other: object) -> bool:
    """Equal, but for the order in which numbers were added up."""
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return one == other


def ask(place: Path, names: tuple[str, ...], settings: LabelSettings | None = None) -> Answers:
    with connect(place, settings) as connection:
        return {name: connection.execute(f"from {name} order by all").fetchall() for name in names}


def check_equal(found: Answers, expected: Answers) -> None:
    for name, rows in found.items():
        assert len(rows) == len(expected[name]), name
        for row, other in zip(rows, expected[name], strict=True):
            assert is_same(row, other), name


def build_and_compare(place: Path, settings: LabelSettings | None = None) -> tuple[str, ...]:
    """Before the build every view answers as it does after it."""
    asked = tuple(name for name in QUERIED if name not in COSTLY)
    before = ask(place, asked, settings)
    built = build(place, settings).built
    check_equal(before, ask(place, asked))
    assert build(place).was_current
    return built


def check_from_scratch(place: Path) -> None:
    """What was built piece by piece is what a build of it all is."""
    found = ask(place, QUERIED + REST)
    shutil.rmtree(place / "marts")
    build(place, SETTINGS)
    check_equal(found, ask(place, QUERIED + REST))


def test_what_is_added_is_made_and_nothing_else(place: Path) -> None:
    """Datasets, runs and shards, one after the other; before each build half is stale."""
    before = marts_of(place, "dataset=a")
    add_dataset(place, "b")
    other = add_run(place, "b", "visual.layer1.0")
    assert build_and_compare(place) == ("b", f"b/{other}", "all datasets")
    assert {path: ino for path, ino in marts_of(place).items() if path in before} == before
    (first,) = (run for run in Store(place).list("dataset=a") if run.startswith("run_id="))
    first = first.removeprefix("run_id=")
    second = add_run(place, "a", "visual.layer2.0")
    stale = {f"a/{second}", f"a/{' with '.join(sorted((first, second)))}"}
    (manifest,) = place.glob(f"dataset=a/run_id={second}/manifests/00001.json")
    said = manifest.read_bytes()
    manifest.unlink()
    assert set(build(place).built) == stale
    manifest.write_bytes(said)
    assert set(build_and_compare(place)) == stale
    assert {path: ino for path, ino in marts_of(place).items() if path in before} == before
    check_from_scratch(place)
    shutil.rmtree(place / f"dataset=a/run_id={second}")
    assert build(place).was_current
    assert not [path for path in marts_of(place) if f"={second}" in path]


def test_a_setting_touches_what_reads_it(place: Path) -> None:
    before = marts_of(place)
    other = replace(SETTINGS, label_max_q=0.5)
    assert build_and_compare(place, other)
    changed = marts_of(place).keys() - before
    assert {path.rpartition("/")[2].rpartition("-")[0] for path in changed} == {
        *("tested_labels", "label_nulls", "label_scores", "shown_counts")
    }


class Stopped(NoProgress):
    """Stops a build after some marts, as Ctrl-C would."""

    def __init__(self, marts: int) -> None:
        self.left = marts

    def advance(self, count: int, note: str = "") -> None:
        self.left -= count
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("marts", [1, 9])
def test_a_stopped_build_goes_on_where_it_was(place: Path, marts: int) -> None:
    shutil.rmtree(place / "marts")
    with pytest.raises(KeyboardInterrupt):
        build(place, SETTINGS, Stopped(marts))
    before = marts_of(place)
    assert len(before) > marts
    build_and_compare(place, SETTINGS)
    assert {path: ino for path, ino in marts_of(place).items() if path in before} == before


def test_parts_that_other_processes_made_are_taken_up(place: Path) -> None:
    shutil.rmtree(place / "marts")
    for part in list_parts(take_whole_inventory(Store(place))):
        build_part(place, part, SETTINGS)
    before = marts_of(place)
    assert {name for path in before for name in MATERIALISED if f"/{name}-" in path} == set(
        MATERIALISED
    )
    build(place, SETTINGS)
    assert {path: ino for path, ino in marts_of(place).items() if path in before} == before


def test_only_what_is_stale_is_computed_or_told(place: Path) -> None:
    add_dataset(place, "b")
    run = add_run(place, "b", "visual.layer1.0")
    store = Store(place)
    marts = find_marts(take_whole_inventory(store), SETTINGS, read_build(store))
    assert marts.stale == [Part("b"), Part("b", (run,)), Part()]
    with connect(place) as connection:
        made = "select function_name, macro_definition from duckdb_functions()"
        sql = dict(connection.execute(f"{made} where function_name like 'source_%'").fetchall())
        for name in QUERIED:
            is_live = "live_" in sql[f"source_{name}"]
            assert ("read_parquet" in sql[f"source_{name}"], is_live) == (name != "concepts",) * 2


class Listening:
    """A connection that remembers what it was asked."""

    def __init__(self, connection: object) -> None:
        self.connection, self.asked = connection, list[str]()

    def __getattr__(self, name: str) -> object:
        known = getattr(self.connection, name)
        if name not in ("execute", "sql"):
            return known

        def ask(query: str, *arguments: object, **named: object) -> object:
            self.asked.append(query)
            return known(query, *arguments, **named)

        return ask


@pytest.mark.parametrize("name", list(READS))
def test_what_is_computed_rests_on_what_it_says(name: str, made: Path) -> None:
    """Else it would be stale and nobody would know."""
    views = {view.name for view in load_views()}
    settings = set(LabelSettings.__dataclass_fields__)
    with connect(made) as connection:
        listening = Listening(connection)
        for compute in (COMPUTED, COMPUTED_OF_TWO):
            for _ in compute.get(name, lambda *_: ())(listening, NoProgress()):
                pass
        read = {table for query in listening.asked for table in views_of_query(connection, query)}
        words = {word for query in listening.asked for word in query.replace(",", " ").split()}
    known = {table for table in read if table in views or table.startswith("raw_")}
    assert known | (words & settings) <= set(READS[name])
    assert READS.keys() == DERIVED.keys() == COMPUTED.keys()
