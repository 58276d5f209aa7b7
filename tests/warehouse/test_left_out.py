"""A dataset or a run that cannot be read is left out with a warning; everything else answers as before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from making import snapshot
from textures import write_textures

from pipeline.base import warn
from pipeline.base.checksums import seal
from pipeline.base.errors import NeuronsError, NewerFormatError, StorageError
from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
from pipeline.base.storage import FORMAT, Store
from pipeline.extract.run import extract
from pipeline.search.top import find_top
from pipeline.sources.ingest import ingest
from pipeline.tables.datasets import read_dataset
from pipeline.upkeep.build import build
from pipeline.upkeep.check import check, run_violations
from pipeline.upkeep.compact import compact
from pipeline.upkeep.repair import repair
from pipeline.warehouse.connect import connect, take_whole_inventory
from pipeline.warehouse.find import find_neuron, find_runs
from pipeline.warehouse.inventory import take_inventory
from pipeline.warehouse.left_out import list_left_out

LAYER = "visual.layer3.0"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets ``a`` and ``b`` with a run each, of other images."""
    folder = tmp_path_factory.mktemp("two")
    place = str(folder / "warehouse")
    for name, first in (("a", 0), ("b", 1)):
        tars = write_textures(folder / name, 2, 6)
        tar = str(sorted(tars.glob("*.tar"))[first])
        ingest(IngestConfig(place, name), IngestStep("webdataset", (tar,)))
        extract(ExtractConfig(place, name, "RN-demo:random", (LAYER,), device="cpu", top_k=3))
    return folder / "warehouse"


@pytest.fixture
def place(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(warn, "_said", set())
    shutil.copytree(good, tmp_path / "warehouse")
    return tmp_path / "warehouse"


def run_of(place: Path, dataset: str = "b") -> Path:
    (run,) = place.glob(f"dataset={dataset}/run_id=*")
    return run


def change(file: Path, **fields: object) -> None:
    file.write_bytes(seal(json.loads(file.read_text()) | fields))


def rewrite(file: Path, turn: Callable[[pa.Table], pa.Table]) -> None:
    """Another table with a record that agrees with it, as another version would have written both."""
    (manifest,) = file.parents[0 if "layer=" not in file.parent.name else 1].parent.glob(
        "manifests/00000.json"
    )
    place = next(parent for parent in file.parents if parent.name == "warehouse")
    pq.write_table(turn(pq.ParquetFile(file).read()), file)
    store = Store(place)
    rel = file.relative_to(place).as_posix()
    record = json.loads(manifest.read_text())
    for entry in record["files"]:
        if entry["path"] == rel:
            entry |= {"bytes": store.size(rel), "checksum": store.checksum(rel)}
    store.write_record(manifest.relative_to(place).as_posix(), record)


def without(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.drop_columns([column])


def as_text(column: str) -> Callable[[pa.Table], pa.Table]:
    def turn(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index(column)
        return table.set_column(at, column, table[column].cast(pa.string()))

    return turn


def activations(place: Path) -> Path:
    return next(run_of(place).glob("activations/layer=*/*.parquet"))


DATASET: dict[str, Callable[[Path], object]] = {
    "renamed": lambda p: (p / "dataset=b").rename(p / "dataset=c"),
    "renamed with a space": lambda p: (p / "dataset=b").rename(p / "dataset=b (1)"),
    "newer": lambda p: change(p / "dataset=b/dataset.json", format=FORMAT + 1),
    "newer index": lambda p: change(p / "dataset=b/manifests/00000.json", format=FORMAT + 1),
    "no JSON": lambda p: (p / "dataset=b/dataset.json").write_text('{"dataset": "b", "sh'),
    "another shape": lambda p: change(p / "dataset=b/dataset.json", shards={}),
    "index of another shape": lambda p: change(p / "dataset=b/manifests/00000.json", files=None),
    "list gone": lambda p: (p / "dataset=b/dataset.json").unlink(),
    "another list": lambda p: change(
        p / "dataset=b/dataset.json",
        shards=[{"ordinal": 0, "name": "x", "url": "x.tar", "size_bytes": 1}],
    ),
    "column gone": lambda p: rewrite(
        p / "dataset=b/examples/00000.parquet", without("image_sha256")
    ),
    "column of another kind": lambda p: rewrite(
        p / "dataset=b/examples/00000.parquet", as_text("image_bytes")
    ),
    "file cut": lambda p: (p / "dataset=b/examples/00000.parquet").write_bytes(b"PAR1"),
    "file gone": lambda p: (p / "dataset=b/texts/00000.parquet").unlink(),
}
RUN: dict[str, Callable[[Path], object]] = {
    "renamed": lambda p: run_of(p).rename(run_of(p).with_name("run_id=c")),
    "newer": lambda p: change(run_of(p) / "run.json", format=FORMAT + 1),
    "newer shard": lambda p: change(run_of(p) / "manifests/00000.json", format=FORMAT + 1),
    "no JSON": lambda p: (run_of(p) / "run.json").write_text(""),
    "another shape": lambda p: change(run_of(p) / "run.json", layers="visual"),
    "record gone": lambda p: (run_of(p) / "run.json").unlink(),
    "scores of another shape": lambda p: (run_of(p) / "similarity.json").write_text("[]"),
    "column gone": lambda p: rewrite(activations(p), without("activation")),
    "column of another kind": lambda p: rewrite(activations(p), as_text("unit")),
    "file cut": lambda p: activations(p).write_bytes(b"PAR1"),
}
RENAMED = ("renamed", "renamed with a space")
WAYS = [("dataset", name) for name in DATASET] + [("run", name) for name in RUN]


def spoil(place: Path, what: str, way: str) -> None:
    (DATASET if what == "dataset" else RUN)[way](place)


@pytest.mark.parametrize(("what", "way"), WAYS)
def test_what_cannot_be_read_is_left_out_and_told(
    place: Path, what: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = take_whole_inventory(Store(place))
    assert caplog.messages == []
    spoil(place, what, way)
    inventory = take_whole_inventory(Store(place))
    (said,) = caplog.messages
    assert "is left out" in said and str(inventory.left_out[0].error.hint) in said
    assert ("Run '" in said) == (what == "run")
    datasets = ["a", "b"] if what == "run" else ["a"]
    assert inventory.datasets == datasets
    assert [run.dataset for run in inventory.runs] == ["a"]
    assert {row.dataset for row in inventory.shards} == set(datasets)
    for rows in ("shards", "runs", "layers", "run_shards", "files"):
        assert about_a(getattr(inventory, rows)) == about_a(getattr(whole, rows)) != []


def about_a(rows: list[Any]) -> list[Any]:
    """What speaks of dataset ``a``: rows of the inventory, or entries of its files."""
    return [
        row
        for row in rows
        if (row["path"].startswith("dataset=a/") if isinstance(row, dict) else row.dataset == "a")
    ]


@pytest.mark.parametrize(("what", "way"), WAYS)
def test_check_and_repair_tell_it(place: Path, what: str, way: str) -> None:
    spoil(place, what, way)
    before = snapshot(place.parent)
    if way in RENAMED:
        for command in (check, repair):
            with pytest.raises(NeuronsError, match="renamed or copied"):
                command(place)
        return
    assert run_violations(check(place))
    if way.startswith("newer"):
        done = repair(place)
        assert done.done == [] and "newer version" in done.left[0] and "Update" in done.left[0]
        after = snapshot(place.parent)
        assert {k: v for k, v in after.items() if "checked.json" not in k} == before


@pytest.mark.parametrize("what", ["dataset", "run"])
def test_a_file_without_a_column_is_made_again(place: Path, what: str) -> None:
    spoil(place, what, "column gone")
    assert repair(place).left == []
    inventory = take_whole_inventory(Store(place))
    assert inventory.left_out == [] and len(inventory.runs) == 2


@pytest.mark.parametrize(
    ("what", "way"),
    [("dataset", "column gone"), ("run", "newer")],
)
def test_questions_of_all_others_are_answered(place: Path, what: str, way: str, told) -> None:
    sums = "select sum(activation::double) from activations where dataset = 'a'"
    with connect(place) as connection:
        before = connection.execute(sums).fetchall()
    spoil(place, what, way)
    with connect(place) as connection:
        assert connection.execute(sums).fetchall() == before
        assert connection.execute("select distinct dataset from layers").fetchall() == [("a",)]
        neuron = find_neuron(connection, LAYER, 1)
        assert neuron.dataset == "a"
        assert len(find_top(connection, neuron, 3, "positive").rows) == 3
        (one,) = list_left_out(connection)
        named = {"dataset": one.dataset, "run": one.run_id}
        with pytest.raises(type(one.error)) as caught:
            find_runs(connection, **named)
        assert caught.value is one.error
    assert "a" in told("sql", "select distinct dataset from runs", "--warehouse", place)
    more = ["--dataset", one.dataset, *(["--run", one.run_id] if one.run_id else [])]
    error = told("top", LAYER, "1", "--warehouse", place, *more, code=2)
    assert one.error.message.split(":")[0].split()[-1] in error
    if one.run_id:
        with pytest.raises(NewerFormatError):
            compact(str(place), one.run_id)


@pytest.mark.slow
def test_a_build_holds_what_can_be_read_and_knows_when_more_can(place: Path) -> None:
    away = place / "dataset=b"
    spoil(place, "dataset", "renamed")
    assert not build(place).was_current
    assert build(place).was_current
    with connect(place) as connection:
        assert connection.execute("select distinct dataset from neuron_stats").fetchall() == [
            ("a",)
        ]
    (place / "dataset=c").rename(away)
    ask = "select dataset, count(*) from neuron_stats group by all order by all"
    with connect(place) as connection:
        computed = connection.execute(ask).fetchall()
    assert [name for name, _ in computed] == ["a", "b"]
    assert not build(place).was_current
    with connect(place) as connection:
        assert connection.execute(ask).fetchall() == computed


@pytest.mark.parametrize("way", [way for way in DATASET if "column" not in way])
def test_nothing_else_is_there(place: Path, way: str) -> None:
    shutil.rmtree(place / "dataset=a")
    spoil(place, "dataset", way)
    with pytest.raises(NeuronsError) as caught:
        take_whole_inventory(Store(place))
    assert caught.value.hint


def test_no_run_is_left(place: Path) -> None:
    """The dataset answers for itself; who asks for any neuron is told what is wrong with the run."""
    shutil.rmtree(place / "dataset=a")
    spoil(place, "run", "newer")
    with connect(place) as connection:
        assert connection.execute("select count(*) from examples").fetchall() == [(6,)]
        with pytest.raises(NewerFormatError):
            find_neuron(connection, LAYER, 1)


def test_a_copy_with_a_name_of_its_own_counts_nothing_twice(place: Path) -> None:
    """Someone who copies a dataset and renames it in its list as well: its records name the other's files."""
    shutil.copytree(place / "dataset=b", place / "dataset=c")
    change(place / "dataset=c/dataset.json", dataset="c")
    with connect(place) as connection:
        assert [one.dataset for one in list_left_out(connection)] == ["c"]
        assert connection.execute("select count(*) from examples").fetchall() == [(12,)]
    with pytest.raises(NeuronsError, match="copied from another place"):
        check(place)


def test_a_run_copied_into_another_dataset(place: Path) -> None:
    run = run_of(place)
    shutil.rmtree(run_of(place, "a"))
    shutil.copytree(run, place / "dataset=a" / run.name)
    (one,) = take_inventory(Store(place)).left_out
    assert (one.dataset, one.run_id) == ("a", run.name.removeprefix("run_id="))


def test_a_machine_in_the_way_leaves_nothing_out(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost connection says nothing of the data: no answer is better than one without half of it."""

    def fail(self: Store, rel: str) -> bytes:
        if "dataset=b" in rel:
            raise StorageError("The connection is lost.", "Try again.")
        return read(self, rel)

    read = Store.read_bytes
    monkeypatch.setattr(Store, "read_bytes", fail)
    with pytest.raises(StorageError, match="connection"):
        take_inventory(Store(place))


def test_who_names_a_dataset_gets_its_error(place: Path) -> None:
    spoil(place, "dataset", "newer")
    with pytest.raises(NewerFormatError):
        read_dataset(Store(place), "b")
    assert read_dataset(Store(place), "a").name == "a"
