"""What every connection has alike: views with their comments, macros, the lexicon, small tables without rows.

DuckDB resolves all that a view reads when the view is made: a second for all of them. So they are made
once, into a database file in the user's cache folder, and a connection copies that, which resolves
nothing: some hundredths of a second. The lexicon has more rows than that is worth: it is a file of its own,
which a connection attaches as `SHIPPED`.

What differs from one connection to the next, the files that a view is over, stands in no view. Such a
view (`SOURCES`) is the query whose text a macro of its name gives; a connection makes that, see `define`,
and DuckDB resolves it when it is asked for. (A macro that is a table itself would be resolved at once.)
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path

import duckdb

from pipeline.base.checksums import hash_stream
from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.tables.computed import DERIVED
from pipeline.tables.schema import TABLES
from pipeline.warehouse.contents import Inventory
from pipeline.warehouse.duck import hide_progress
from pipeline.warehouse.headers import View
from pipeline.warehouse.own_concepts import LEXICON_COLUMNS, SHIPPED, create_lexicon
from pipeline.warehouse.raw_views import empty_of, no_rows, quote
from pipeline.warehouse.small_tables import create_table, small_tables
from pipeline.warehouse.views import MATERIALISED, load_statements, load_views, sql_folder

_RAW = tuple(f"raw_{name}" for name in (*TABLES, *DERIVED) if name != "compact")

SOURCES = ("lexicon", *_RAW, *(name for name in MATERIALISED if name not in DERIVED))
"""Views that read what a connection defines: the lexicon, over files, and marts."""

_KEPT = 4
"""Files of each kind that stay in the cache, of other versions; and all of the last hour: where several
versions work beside each other they would go on clearing away each other's."""
_HOUR_S = 3600


def load_catalog(connection: duckdb.DuckDBPyConnection) -> None:
    """Give an empty database all of it. No source is defined yet: see `define`.

    The cache is never needed: one that is missing or damaged is made again, and where it cannot be written
    the catalog is made in the connection itself.
    """
    folder = _cache_folder()
    for is_new in (False, True):
        if is_new and not _write(folder):
            break
        lexicon = _find_lexicon(folder)
        if lexicon and _attach(connection, lexicon):
            if _copy(connection, folder / _name()):
                return
            connection.execute(f"detach {SHIPPED}")
    connection.execute(f"attach ':memory:' as {SHIPPED}")
    _create(connection)
    create_lexicon(connection, SHIPPED)


def define(connection: duckdb.DuckDBPyConnection, *selects: tuple[str, str]) -> None:
    """Say what some of `SOURCES` are in this connection; nothing is resolved, and no file opened.

    Args:
        connection: Of `load_catalog`.
        selects: The name of a view, and SQL with its columns.
    """
    made = (f"create or replace macro source_{name}() as {quote(sql)}" for name, sql in selects)
    connection.execute("begin;\n" + ";\n".join([*made, "commit"]))


def ask(name: str) -> str:
    """SQL of a view that is what was defined."""
    return f"from query(source_{name}())"


def _name() -> str:
    """What the file of the catalog is called."""
    return f"catalog-{_made_from()}.duckdb"


def _find_lexicon(folder: Path) -> Path | None:
    """The file of the lexicon; the checksum of its bytes is in its name, for most are read by queries alone."""
    for file in sorted(folder.glob(f"lexicon-{_made_from()}-*.duckdb")):
        with suppress(OSError), file.open("rb") as stream:
            if _is_ours(file) and file.stem.endswith(_short(hash_stream(stream))):
                return file
    return None


def _short(checksum: str) -> str:
    return checksum.rpartition(":")[2]


def _attach(connection: duckdb.DuckDBPyConnection, file: Path) -> bool:
    """Attach the lexicon from now on; whether that was possible."""
    try:
        connection.execute(f"attach {quote(str(file))} as {SHIPPED} (read_only)")
    except duckdb.Error:
        return False
    return True


def _copy(connection: duckdb.DuckDBPyConnection, file: Path) -> bool:
    """Copy the catalog from a file, and leave that; whether it is whole."""
    if not _is_ours(file):
        return False
    try:
        connection.execute(f"attach {quote(str(file))} as catalog_file (read_only)")
    except duckdb.Error:
        return False
    connection.execute("begin")
    try:
        connection.execute("copy from database catalog_file to memory")
        connection.execute("commit")
    except duckdb.Error:
        connection.execute("rollback")
        return False
    finally:
        connection.execute("detach catalog_file")
    return True


def _create(connection: duckdb.DuckDBPyConnection) -> None:
    """Make all of it but the lexicon."""
    for name, rows, columns in small_tables(Inventory(Store(".")), LabelSettings()):
        create_table(connection, name, rows if name == "facet_prompts" else (), columns)
    views = {view.name: view for view in load_views()}
    tables = {f"raw_{table.name}": table for table in (*TABLES.values(), *DERIVED.values())}
    empty = {name: no_rows(table) for name, table in tables.items()}
    empty |= {name: empty_of(view) for name, view in views.items()}
    empty["lexicon"] = (
        f"select {', '.join(f'null::varchar as {c}' for c in LEXICON_COLUMNS)} where false"
    )
    define(connection, *((name, empty[name]) for name in SOURCES))
    connection.execute("begin")
    for name in ("lexicon", *_RAW):
        connection.execute(f"create view {name} as {ask(name)}")
    for statements in load_statements():
        connection.execute(statements)
    # DuckDB expands all that a view reads when the view is created, so from the bottom up the cost multiplies.
    # With empty ones in place, from the top down each expands only these.
    for view in views.values():
        connection.execute(f"create view {view.name} as {empty[view.name]}")
    for view in reversed(views.values()):
        body = ask(view.name) if view.name in SOURCES else view.body
        connection.execute(f"create or replace view {view.name} as\n{body}")
    connection.execute(";\n".join(map(_comments, views.values())))
    for name in SOURCES:
        connection.execute(f"drop macro source_{name}")
    connection.execute("commit")


def _comments(view: View) -> str:
    """SQL that says in the database what a view and its columns mean."""
    text = quote(f"{view.purpose} Grain: {view.grain}.")
    statements = [f"comment on view {view.name} is {text}"]
    for column in view.columns:
        unit = f" [{column.unit}]" if column.unit else ""
        where = f"{view.name}.{column.name}"
        statements.append(f"comment on column {where} is {quote(column.meaning + unit)}")
    return ";\n".join(statements)


def _cache_folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("neurons", appauthor=False)


def _write(folder: Path) -> bool:
    """Make the catalog and the lexicon as files, by rename; whether that was possible."""
    temporary = folder / f"catalog.tmp-{uuid.uuid4().hex[:8]}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _drop_old(folder)
        with duckdb.connect() as connection:
            hide_progress(connection)
            for statements in load_statements():
                connection.execute(statements)
            connection.execute(f"attach {quote(str(temporary))} as {SHIPPED}")
            create_lexicon(connection, SHIPPED)
            connection.execute(f"detach {SHIPPED}")
        with temporary.open("rb") as stream:
            checksum = _short(hash_stream(stream))
        temporary.replace(folder / f"lexicon-{_made_from()}-{checksum}.duckdb")
        with duckdb.connect(str(temporary)) as connection:
            hide_progress(connection)
            _create(connection)
        temporary.replace(folder / _name())
    except (OSError, duckdb.Error):
        return False
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return True


def _drop_old(folder: Path) -> None:
    """Leave the newest files of other versions, and after an hour nothing that a killed process left."""
    for kind in ("catalog", "lexicon"):
        files = sorted(folder.glob(f"{kind}[-.]*"), key=lambda file: -file.stat().st_mtime)
        for file in files[_KEPT:]:
            with suppress(OSError):
                if time.time() - file.stat().st_mtime > _HOUR_S:
                    file.unlink()


def _is_ours(file: Path) -> bool:
    """Whether nobody else can have written it: it says what our views answer."""
    try:
        found = file.stat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and not found.st_mode & 0o022


@cache
def catalog_digest() -> str:
    """Changes whenever what is in the catalog does."""
    found = hashlib.sha256(_duckdb().encode())
    for entry in sorted(_files(), key=lambda entry: entry.path):
        found.update(f"{entry.name}\n".encode() + Path(entry.path).read_bytes())
    return found.hexdigest()[:16]


@cache
def _made_from() -> str:
    """Changes whenever one of these files may have changed, and says so without reading them."""
    told = [_duckdb(), str(Path(__file__).parent)]
    for entry in _files():
        stat = entry.stat()
        told.append(
            f"{entry.name} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
        )
    return hashlib.sha256("\n".join(sorted(told)).encode()).hexdigest()[:16]


def _files() -> Iterator[os.DirEntry[str]]:
    """All that the catalog is made from, but DuckDB."""
    here = Path(__file__).parent
    topics = [Path(one.path) for one in os.scandir(sql_folder()) if one.is_dir()]
    for folder in (here, here.parent / "tables", here.parent / "concepts", *topics):
        with os.scandir(folder) as entries:
            yield from (one for one in entries if one.is_file() and _COUNTS.search(one.name))


_COUNTS = re.compile(r"\.(py|sql|csv|txt|parquet)\Z")


def _duckdb() -> str:
    return f"{duckdb.__version__} {metadata.version('duckdb')}"
