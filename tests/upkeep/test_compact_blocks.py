"""Blocks of a compaction that many processes sort: the bytes that one writes, whoever dies in the middle."""

from __future__ import annotations

import shutil
from multiprocessing import get_context
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bench.data import make_warehouse
from bench.dying import die_at
from pipeline.base.storage import Store
from pipeline.upkeep import compact_plan
from pipeline.upkeep.compact import compact, compact_block, list_blocks
from pipeline.upkeep.compact_plan import Block
from pipeline.upkeep.vacuum import find_leftovers
from pipeline.warehouse.connect import connect

UNITS = 10


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of ten units, not compacted."""
    place = tmp_path_factory.mktemp("blocks") / "warehouse"
    make_warehouse(str(place), 3, 40, UNITS, concept_count=3)
    return place


@pytest.fixture
def place(start: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(start, tmp_path / "warehouse"))


@pytest.fixture(autouse=True)
def small_blocks(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five units fit in a block: it has four."""
    with connect(start) as connection:
        ((rows,),) = connection.execute("select count(*) from activations").fetchall()
    monkeypatch.setattr(compact_plan, "ROWS_PER_BLOCK", rows // 2)


def files_of(place: Path) -> dict[str, bytes]:
    """All that a compaction writes."""
    (folder,) = place.glob("dataset=*/run_id=bench")
    files = [folder / "compact.json", *folder.glob("compact/**/*.parquet")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def die_in_block(place: Path, block: Block, kill_at: int) -> None:
    die_at(kill_at, "replace")
    compact_block(str(place), block)


@pytest.mark.slow
def test_blocks_that_a_killed_task_and_others_wrote_are_those_of_one_process(
    start: Path, place: Path, tmp_path: Path
) -> None:
    alone = Path(shutil.copytree(start, tmp_path / "alone"))
    compact(str(alone))
    first, second, third = list_blocks(str(place))
    units = [(block.first_unit, block.end_unit) for block in (first, second, third)]
    assert units == [(0, 4), (4, 8), (8, UNITS)]
    # of the first its statistics are there and its counts half-written
    process = get_context("spawn").Process(target=die_in_block, args=(place, first, 2))
    process.start()
    process.join()
    assert process.exitcode == -9 and not (place / first.path).exists()
    assert len(list(place.rglob("*.tmp-*"))) == 1
    compact_block(str(place), first)
    assert not list(place.rglob("*.tmp-*")), "what the killed one left is cleared"
    inode = (place / first.path).stat().st_ino
    compact_block(str(place), first)
    assert (place / first.path).stat().st_ino == inode, "it was there"
    # another is damaged, and the third nobody has made
    compact_block(str(place), second)
    (place / second.path).write_bytes((place / second.path).read_bytes()[:-20])
    with connect(place) as connection:
        assert connection.execute("select is_compacted from runs").fetchall() == [(False,)]
    compact(str(place))
    assert (place / first.path).stat().st_ino == inode, "it was taken up"
    assert files_of(place) == files_of(alone)
    assert find_leftovers(Store(place)) == []


def test_a_block_that_comes_too_late_writes_nothing(place: Path) -> None:
    blocks = list_blocks(str(place))
    compact(str(place))
    before = files_of(place)
    for path in place.glob("dataset=*/run_id=bench/compact/**/*-stats.parquet"):
        path.unlink()  # were it made again it would be seen
    compact_block(str(place), blocks[0])
    compact_block(str(place), blocks[0]._replace(version="of other shards"))
    assert files_of(place).keys() == {name for name in before if "-stats" not in name}
    assert list_blocks(str(place)) == []


def test_sums_are_added_in_the_order_of_the_rows(place: Path) -> None:
    """Not in that of threads: a sum in SQL may have other last digits each time."""
    compact(str(place))
    (folder,) = place.glob("dataset=*/run_id=bench/compact")
    with connect(place) as connection:
        halves = dict(
            connection.execute(
                "select example_id, half from examples where duplicate_of is null"
            ).fetchall()
        )
    for block in sorted(folder.rglob("*0.parquet")):
        sums: dict[tuple[int, str], float] = {}
        rows = pq.ParquetFile(block).read(["unit", "example_id", "activation"]).to_pylist()
        for row in (row for row in rows if row["example_id"] in halves):
            key = (row["unit"], halves[row["example_id"]])
            sums[key] = sums.get(key, 0.0) + row["activation"]
        stats = pq.ParquetFile(block.with_name(f"{block.stem}-stats.parquet")).read().to_pylist()
        assert {(row["unit"], row["half"]): row["activation_sum"] for row in stats} == sums
