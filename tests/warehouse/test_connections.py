"""What a connection may reach, and what a folder above a warehouse may be called."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

import pipeline
from pipeline.base.errors import WarehouseError
from pipeline.upkeep.build import build
from pipeline.upkeep.check import check
from pipeline.upkeep.repair import repair
from pipeline.warehouse.connect import connect

COUNTS = """
select
    (select count(*) from activations), (select count(distinct dataset || run_id) from activations),
    (select any_value(dataset) from examples), (select count(*) from top_examples),
    (select count(*) from activations where layer like 'visual.layer3%')
"""


def snapshot(place):
    """Every file and folder with its time of change."""
    return {str(file): file.stat().st_mtime_ns for file in Path(place).rglob("*")}


@pytest.fixture(scope="module")
def reader(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        yield connection


def statements(place: Path, outside: Path) -> list[str]:
    """What writes, installs or reads elsewhere; a file of the warehouse is ``examples``."""
    examples = sorted(place.glob("dataset=*/examples/*.parquet"))[0]
    inside = f"warehouse://{examples.relative_to(place)}"
    return [
        *(
            f"copy (select 1 as x) to '{to}'"
            for to in (examples, inside, outside / "x.csv", "x.csv")
        ),
        f"copy (select 1 as a, 2 as b) to '{outside / 'p'}' (format parquet, partition_by (a))",
        "copy (select 1 as a, 2 as b) to 'warehouse://p' (format parquet, partition_by (a))",
        f"explain analyze copy (select 1) to '{inside}'",
        "copy (select 1) to '/dev/stdout'",
        *(f"export database '{to}'" for to in (place / "e", "warehouse://e", outside / "e")),
        *(
            f"attach '{to}' as other"
            for to in (place / "n.db", "warehouse://n.db", outside / "n.db")
        ),
        "from read_text('/etc/passwd')",
        "from read_blob('/proc/self/environ')",
        "from read_text('warehouse://../../../../../../../etc/passwd')",
        "from glob('/etc/*')",
        "from glob('warehouse:///etc/*')",
        "from read_text('warehouse:///etc/passwd')",
        "from sniff_csv('/etc/passwd')",
        "create table t as from read_csv('/etc/passwd')",
        f"import database '{outside}'",
        "install httpfs",
        "load httpfs",
        "set memory_limit = '1TB'",
        "set temp_directory = '/tmp'",
        "set enable_external_access = true",
        "reset allowed_directories",
        "pragma threads = 64",
        f"set profiling_output = '{outside / 'profile.json'}'",
        f"call enable_logging(storage = 'file', storage_path = '{outside}')",
        "create persistent secret s (type http)",
    ]


def test_a_connection_reads_the_warehouse_and_nothing_else(tiny_warehouse, reader, tmp_path):
    before = snapshot(tiny_warehouse)
    here = set(Path().iterdir())
    for statement in statements(tiny_warehouse, tmp_path):
        with pytest.raises(duckdb.Error):
            reader.execute(statement)
        with pytest.raises(duckdb.Error):
            reader.cursor().execute(statement)
    for write in ("write_parquet", "write_csv"):
        for to in (tmp_path / "x", next(tiny_warehouse.glob("marts/*/*.parquet")), "warehouse://x"):
            with pytest.raises(duckdb.Error):
                getattr(reader.sql("select 1 as x"), write)(str(to))
    assert snapshot(tiny_warehouse) == before
    assert list(tmp_path.iterdir()) == []
    assert set(Path().iterdir()) == here


def test_tables_views_and_macros_of_its_own_are_free(tiny_warehouse):
    with connect(tiny_warehouse) as connection:
        connection.execute("create temp table mine as select unit from neuron_stats limit 3")
        connection.execute("insert into mine values (7)")
        connection.execute("create view doubled as select unit * 2 as unit from mine")
        connection.execute("create macro plus(x) as x + 1")
        (count,) = connection.execute("select count(plus(unit)) from doubled").fetchall()[0]
        assert count == 4
        (files,) = connection.execute(
            "select count(*) from read_parquet('warehouse://dataset=textures/examples/*.parquet')"
        ).fetchall()[0]
        assert files == 120


def test_who_wants_more_says_so(tiny_warehouse, tmp_path):
    with pipeline.connect(tiny_warehouse, unrestricted=True) as connection:
        connection.execute(f"copy (select count(*) from examples) to '{tmp_path / 'n.csv'}'")
        connection.execute("set threads = 1")
    assert "120" in (tmp_path / "n.csv").read_text()


NAMES = ("a b", "it's", "we[i]rd", "st*r", "qu?", "100%25 %", "brace{1,2}", "日", "se;mi", 'dq"x')
NAMES = (*NAMES, "hash#1", "dataset=x", "back\\slash", "-dash", "run_id=zz", "layer=y", "a::b")


@pytest.fixture(scope="module")
def answers(reader):
    return reader.execute(COUNTS).fetchall()


@pytest.mark.parametrize("name", NAMES)
def test_a_warehouse_answers_alike_wherever_it_lies(tiny_warehouse, tmp_path, answers, name):
    place = tmp_path / name / "warehouse"
    place.parent.mkdir()
    place.symlink_to(tiny_warehouse)
    (tmp_path / "decoy").mkdir()
    with connect(place) as connection:
        assert connection.execute(COUNTS).fetchall() == answers


@pytest.mark.slow
def test_a_warehouse_is_built_and_read_by_its_script_in_an_odd_folder(
    tiny_warehouse, tmp_path, answers
):
    place = tmp_path / "dataset=x" / "we[i]rd *{1,2}" / "run_id=y"
    shutil.copytree(tiny_warehouse, place)
    shutil.rmtree(place / "marts")
    assert not build(place).was_current
    with connect(place) as connection:
        assert connection.execute(COUNTS).fetchall() == answers
    code = (
        "import duckdb; con = duckdb.connect(); con.execute(open('views.sql').read()); "
        f"print(con.execute('''{COUNTS}''').fetchall())"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True)
    assert run.stdout.strip() == str(answers), run.stderr
    code = code.replace("'views.sql'", repr(str(place / "views.sql")))
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert "Start DuckDB in the warehouse's folder" in run.stderr


def test_a_reader_leaves_nothing_in_the_warehouse(tiny_warehouse):
    before = snapshot(tiny_warehouse)
    with connect(tiny_warehouse) as connection:
        connection.execute("select count(*) from activations").fetchall()
        assert snapshot(tiny_warehouse) == before
    assert snapshot(tiny_warehouse) == before


@pytest.mark.parametrize("pattern", ["dataset=*", "dataset=*/run_id=*"])
@pytest.mark.parametrize("is_copy", [False, True])
def test_a_renamed_folder_is_told_and_left_as_it_is(tiny_warehouse, tmp_path, pattern, is_copy):
    """Not as files that are gone: they are where they were, under another name."""
    shutil.copytree(tiny_warehouse, tmp_path / "w")
    (folder,) = (tmp_path / "w").glob(pattern)
    other = folder.with_name(f"{folder.name.partition('=')[0]}=other")
    (shutil.copytree if is_copy else Path.rename)(folder, other)
    before = snapshot(tmp_path)
    is_all = pattern == "dataset=*" and not is_copy
    for command in (connect, check, repair)[not is_all :]:  # all else still answers
        with pytest.raises(WarehouseError, match="renamed or copied") as caught:
            command(tmp_path / "w")
        assert str(other) in caught.value.message
        assert f"{folder.relative_to(tmp_path / 'w')}. Move a copy" in caught.value.hint
    assert snapshot(tmp_path) == before
