"""The catalog is made once and copied, the lexicon is read where it lies; without them, or with damaged ones,
the answers are the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from pipeline.base.checksums import hash_bytes
from pipeline.warehouse import catalog
from pipeline.warehouse.connect import connect
from pipeline.warehouse.views import load_views

ALL = """
select view_name, comment from duckdb_views() where not internal
union all select table_name || '.' || column_name || ' ' || data_type, comment
from duckdb_columns() where not internal
union all select 'words', count(*)::varchar from lexicon
union all select 'prompts', count(*)::varchar from facet_prompts
union all select function_name, macro_definition from duckdb_functions() where not internal
order by all
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def ask(place: Path) -> list[tuple[object, ...]]:
    with connect(place) as connection:
        return connection.execute(ALL).fetchall()


@pytest.fixture(scope="module")
def known(tiny_warehouse: Path) -> list[tuple[object, ...]]:
    return ask(tiny_warehouse)


@pytest.fixture(scope="module")
def made(known: object) -> tuple[Path, ...]:
    """The files of all tests' cache: making two takes seconds."""
    folder = catalog._cache_folder()
    lexicon = catalog._find_lexicon(folder)
    assert lexicon
    return folder / catalog._name(), lexicon


@pytest.fixture
def full_cache(made: tuple[Path, ...], cache: Path) -> Path:
    """A cache of its own, full."""
    (cache / "neurons").mkdir(parents=True)
    for file in made:
        shutil.copy(file, cache / "neurons")
    return cache


@pytest.mark.slow
def test_it_is_made_once_and_then_copied(
    tiny_warehouse: Path, known: object, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(tiny_warehouse) == known
    before = {file: file.stat().st_mtime_ns for file in cache.rglob("*.*")}
    assert sorted(file.name.split("-")[0] for file in before) == ["catalog", "lexicon"]
    monkeypatch.setattr(catalog, "_create", lambda connection: pytest.fail("it is there"))
    assert ask(tiny_warehouse) == known
    assert {file: file.stat().st_mtime_ns for file in cache.rglob("*.*")} == before


def test_the_lexicon_is_not_copied(tiny_warehouse: Path) -> None:
    """It has a quarter of a million rows: that would cost more than all else of opening."""
    with connect(tiny_warehouse) as connection:
        rows = connection.execute(
            "select database_name, schema_name, table_name from duckdb_tables() "
            "where estimated_size > 1000"
        ).fetchall()
        assert rows == [("shipped", "main", "lexicon")]
        (phrase,) = connection.execute("select any_value(phrase) from lexicon").fetchone()
        assert phrase, "it is read though no other file may be"


@pytest.mark.parametrize("kind", ["catalog", "lexicon"])
@pytest.mark.parametrize("keep", [100, 300_000])
@pytest.mark.slow
def test_a_damaged_one_is_made_again(
    tiny_warehouse: Path, known: object, full_cache: Path, keep: int, kind: str
) -> None:
    (file,) = full_cache.rglob(f"{kind}-*")
    whole = file.read_bytes()
    damaged = whole[:keep] + b"\7" * (len(whole) - keep)
    file.write_bytes(damaged)
    assert ask(tiny_warehouse) == known
    assert ask(tiny_warehouse) == known
    assert any(other.read_bytes() != damaged for other in full_cache.rglob(f"{kind}-*"))


def test_one_that_is_gone_when_it_is_opened_is_not_needed(
    tiny_warehouse: Path, known: object, full_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where another version clears the cache between the look and the opening."""
    monkeypatch.setattr(catalog, "_find_lexicon", lambda folder: folder / "gone.duckdb")
    assert ask(tiny_warehouse) == known


def test_old_ones_of_other_versions_go(tiny_warehouse: Path, cache: Path) -> None:
    """Those of the last hour stay: another version is at work with them."""
    old, young = (
        [cache / f"neurons/catalog-{n}{age}.duckdb" for n in range(9)] for age in ("old", "young")
    )
    (cache / "neurons").mkdir(parents=True)
    for file in (*old, *young):
        file.touch()
    for hours, file in enumerate(old, 2):
        os.utime(file, (time.time() - 3600 * hours,) * 2)
    ask(tiny_warehouse)
    assert all(file.exists() for file in young)
    assert not any(file.exists() for file in old)


def test_it_is_not_needed(tiny_warehouse: Path, known: object, cache: Path) -> None:
    cache.write_text("a file where the folder would be")
    assert ask(tiny_warehouse) == known


@pytest.mark.parametrize("kind", ["catalog", "lexicon"])
@pytest.mark.slow
def test_what_others_could_have_written_is_not_used(
    tiny_warehouse: Path, known: object, full_cache: Path, kind: str
) -> None:
    (file,) = full_cache.rglob(f"{kind}-*")
    file.unlink()
    with duckdb.connect(str(file)) as connection:
        connection.execute("create view neuron_labels as select 'planted' as concept")
        connection.execute("create table lexicon as select 'planted' as concept")
    if kind == "lexicon":
        named = hash_bytes(file.read_bytes()).rpartition(":")[2]
        file = file.rename(file.with_stem(f"{file.stem.rpartition('-')[0]}-{named}"))
    file.chmod(0o666)
    assert ask(tiny_warehouse) == known


@pytest.mark.slow
def test_many_processes_open_at_once(tiny_warehouse: Path, cache: Path) -> None:
    code = (
        "import sys; from pipeline.warehouse.connect import connect; "
        "print(connect(sys.argv[1]).execute('select count(*) from runs').fetchall())"
    )
    command = [sys.executable, "-c", code, str(tiny_warehouse)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate()[0] for process in running]
    assert len(set(said)) == 1 and said[0].startswith("[(")
    assert {file.suffix for file in cache.rglob("*.*")} == {".duckdb"}


def test_no_view_holds_a_file(tiny_warehouse: Path) -> None:
    """Whatever the number of shards, the text of what DuckDB resolves stays as it is."""
    with connect(tiny_warehouse, use_marts=False) as connection:
        texts = connection.execute(
            "select sql from duckdb_views() where not internal "
            "union all select macro_definition from duckdb_functions() where not internal"
        ).fetchall()
    assert len(texts) > len(load_views())
    assert not [text for (text,) in texts if ".parquet" in text and "marts/" not in text]


def test_a_file_that_is_written_anew_makes_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it is as long, and says that it is as old."""
    made_from = catalog._made_from.__wrapped__
    (tmp_path / "labels").mkdir()
    file = tmp_path / "labels/view.sql"
    file.write_text("select 1")
    monkeypatch.setattr(catalog, "sql_folder", lambda: tmp_path)
    before, age = made_from(), file.stat().st_mtime_ns
    assert made_from() == before
    file.write_text("select 2")
    os.utime(file, ns=(age, age))
    assert made_from() != before
