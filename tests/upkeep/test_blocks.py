"""Marts that many processes write block by block of units: the same to the bit, whoever dies in the middle."""

from __future__ import annotations

import shutil
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench.data import make_warehouse
from bench.dying import die_at
from pipeline.base.settings import LabelSettings
from pipeline.evidence.ranks import READ_ROWS, READ_UNITS, units_read_at_once
from pipeline.upkeep import blocks as blocks_module
from pipeline.upkeep.blocks import Block
from pipeline.upkeep.build import build, build_block, build_part, list_stale_blocks
from pipeline.warehouse.parts import Part

SETTINGS = LabelSettings(label_null_repeats=0, concept_min_count=2)
RUN = Part("synthetic", ("bench",))
UNITS = 10


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of ten units, built."""
    place = tmp_path_factory.mktemp("blocks") / "warehouse"
    make_warehouse(str(place), 3, 40, UNITS, concept_count=3)
    build(place, SETTINGS)
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same with what comes before the ranks."""
    monkeypatch.setattr(blocks_module, "UNITS_PER_BLOCK", 4)
    shutil.copytree(made, tmp_path / "warehouse")
    for mart in (tmp_path / "warehouse/marts").rglob("*.parquet"):
        if mart.parent.name == "run_id=bench":
            mart.unlink()
    build_part(tmp_path / "warehouse", RUN, SETTINGS, before="concept_ranks")
    return tmp_path / "warehouse"


def ranks_of(place: Path) -> Path:
    (file,) = (place / "marts").rglob("concept_ranks-*.parquet")
    return file


def rank_blocks(place: Path) -> list[Block]:
    blocks = list_stale_blocks(place, RUN, SETTINGS)
    return [block for block in blocks if block.mart == "concept_ranks"]


def die_in_block(place: Path, block: Block) -> None:
    die_at(1, "replace")
    build_block(place, RUN, block, SETTINGS)


@pytest.mark.slow
def test_blocks_that_a_killed_task_and_others_wrote_are_the_mart(place: Path, made: Path) -> None:
    first, second, third = rank_blocks(place)
    assert [(b.first, b.end) for b in (first, second, third)] == [(0, 4), (4, 8), (8, UNITS)]
    process = get_context("spawn").Process(target=die_in_block, args=(place, first))
    process.start()
    process.join()
    assert process.exitcode == -9 and not (place / first.path).exists()
    build_block(place, RUN, first, SETTINGS)
    inode = (place / first.path).stat().st_ino
    build_block(place, RUN, first, SETTINGS)
    assert (place / first.path).stat().st_ino == inode, "it was there"
    # of the others one is damaged, and one nobody has made
    (place / second.path).write_bytes((place / first.path).read_bytes()[:-20])
    build(place)
    assert pq.read_table(ranks_of(place)).equals(pq.read_table(ranks_of(made)))
    assert not list(place.glob("marts/**/blocks")), "the mart has all that they held"
    assert build(place).was_current


@pytest.mark.slow
def test_what_is_built_has_no_blocks_to_make(made: Path) -> None:
    assert list_stale_blocks(made, RUN, SETTINGS) == []
    assert list_stale_blocks(made, Part("synthetic"), SETTINGS) == []


@pytest.mark.slow
def test_the_rows_of_a_block_are_taken_as_they_were_written(place: Path) -> None:
    """A block that is whole is not computed again."""
    (first, *_) = rank_blocks(place)
    build_block(place, RUN, first, SETTINGS)
    table = pq.read_table(place / first.path)
    column = table.schema.get_field_index("auroc")
    marked = table.set_column(column, table.schema.field(column), [np.full(len(table), 0.125)])
    pq.write_table(marked, place / first.path)
    build(place)
    aurocs = pq.read_table(ranks_of(place), columns=["unit", "auroc"]).to_pydict()
    is_marked = [value == 0.125 for value in aurocs["auroc"]]
    assert is_marked == [unit < first.end for unit in aurocs["unit"]]


@pytest.mark.parametrize("rows", [0, 1, 999, 250_000, 1_000_000, 3 * READ_ROWS])
def test_units_are_read_in_halves_of_row_groups(rows: int) -> None:
    step = units_read_at_once(rows)
    assert READ_UNITS % step == 0
    assert step == 1 or step * rows <= READ_ROWS
