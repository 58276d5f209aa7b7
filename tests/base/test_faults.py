"""Only damage is told as damage: limits, permissions, broken disks and missing files are told as such.

The faults are real ones where a test can have them: little room for open files or memory, a user
without permission, a full disk, files that were cut and bits that were flipped.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from making import ingest_paths, make_samples, write_tar

from pipeline.base.errors import NeuronsError, StorageError, WarehouseError
from pipeline.base.faults import explain_fault, faults_told, system_faults_told
from pipeline.base.storage import Store
from pipeline.cli.query import explain_query
from pipeline.warehouse.duck import open_duckdb, restrict

NOBODY = 65534


def told(error: BaseException) -> NeuronsError:
    answer = explain_fault(error, "/w")
    assert answer is not None
    return answer


def scan(*files: Path | str) -> None:
    """Read all of some files with DuckDB, as queries do."""
    names = [str(file) for file in files]
    with duckdb.connect() as connection, faults_told("/w"):
        connection.execute(
            f"select sum(a), count(distinct b) from read_parquet({names})"
        ).fetchall()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.parquet"
    table = pa.table({"a": list(range(5000)), "b": [f"text {n % 97}" for n in range(5000)]})
    pq.write_table(table, path, compression="zstd")
    return path


@pytest.mark.parametrize("where", ["empty", "cut", "words", "footer", "pages"])
def test_damage_is_told_as_damage(file: Path, where: str) -> None:
    data = bytearray(file.read_bytes())
    if where == "footer":
        start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
        data[start : start + 100] = bytes(100)
    if where == "pages":
        data[10:2000] = bytes(1990)
    new = {"empty": b"", "cut": data[: len(data) // 2], "words": b"not a Parquet file at all"}
    file.write_bytes(new.get(where, bytes(data)))
    with pytest.raises(WarehouseError, match="A file of /w is damaged") as caught:
        scan(file)
    assert "neurons repair --warehouse /w" in caught.value.hint
    with pytest.raises((pa.ArrowInvalid, OSError)) as seen:
        pq.read_table(file)
    assert "is damaged" in str(told(seen.value))


def test_a_file_that_is_gone(file: Path) -> None:
    with pytest.raises(WarehouseError, match=r"gone\.parquet is gone") as caught:
        scan(file, file.parent / "gone.parquet")
    assert "neurons repair --warehouse /w" in caught.value.hint


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EMFILE, "ulimit -n"),
        (errno.ENFILE, "ulimit -n"),
        (errno.EACCES, "Give this user the permission"),
        (errno.EROFS, "Give this user the permission"),
        (errno.EIO, "dmesg"),
        (errno.ESTALE, "dmesg"),
        (errno.ECONNRESET, "the connection failed"),
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "Free some space"),
        (errno.ENOMEM, "not enough memory"),
    ],
)
def test_faults_of_the_system_in_its_own_words(number: int, words: str) -> None:
    """From Python, from DuckDB and from Arrow alike; never with advice to make files again."""
    said = os.strerror(number)
    errors = [
        OSError(number, said, "/w/x.parquet"),
        duckdb.IOException(f'IO Error: Cannot open file "/w/x.parquet": {said}'),
    ]
    for error in errors:
        answer = told(error)
        assert isinstance(answer, StorageError)
        assert words in str(answer) and "nothing" in str(answer).lower()
        assert "repair" not in str(answer) and "elete" not in str(answer)
        if number != errno.ENOMEM:
            assert "/w/x.parquet" in answer.message and said in answer.message


def test_memory_that_is_not_enough() -> None:
    limits = {"memory_limit": "20MB", "temp_directory": ""}
    with (
        duckdb.connect(config=limits) as connection,
        pytest.raises(StorageError, match="more memory than it may use"),
        faults_told("/w"),
    ):
        connection.execute("select a from range(9000000) as t (a) order by hash(a)").fetchall()
    assert isinstance(told(MemoryError()), StorageError)
    assert isinstance(told(pa.ArrowMemoryError("malloc of size 64 failed")), StorageError)


def test_what_is_none_of_it_stays_what_it_is(file: Path) -> None:
    """A wrong query or a bug is never told as damage."""
    with pytest.raises(duckdb.BinderException), faults_told("/w"):
        duckdb.execute(f"select nope from read_parquet('{file}')")
    with pytest.raises(duckdb.ConversionException), faults_told("/w"):
        duckdb.execute("select 'x'::integer")
    for error in (KeyError("a"), ValueError("magic bytes"), OSError("no number"), TypeError()):
        assert explain_fault(error, "/w") is None
    with pytest.raises(FileNotFoundError), system_faults_told("/w"):
        Path("/no/such/file").read_bytes()


QUERIES = (
    "select {}::integer",
    "select strptime({}, '%Y')",
    "select error({})",
    "select json('{{' || {})",
    "select regexp_matches('a', '(' || {})",
    'select "{name}"',
    'from "{name}"',
    "select 1 as a where {}",
)


@pytest.mark.parametrize(
    "words",
    [
        *(os.strerror(number) for number in (errno.EMFILE, errno.ENOSPC, errno.EACCES, errno.EIO)),
        os.strerror(errno.ENOMEM),
        f"OSError: [Errno 28] {os.strerror(errno.ENOSPC)}",
        *("magic bytes", "the checksum is corrupt", "Thrift", "decompression failure"),
        "DefaultCPUAllocator",
        "No files found that match the pattern",
        "failed to offload data block",
        *("a warehouse is read here, never written", "x leaves the warehouse"),
        "the configuration has been locked",
        "warehouse://a.parquet is corrupt",
    ],
)
def test_the_words_of_a_query_are_no_fault(file: Path, words: str) -> None:
    """Whatever a query's own texts and names are, it is the query that does not work."""
    with open_duckdb(Store(file.parent)) as connection:
        restrict(connection)
        for template in QUERIES:
            query = template.format(f"'{words}'", name=words)
            with pytest.raises(duckdb.Error) as caught:
                connection.execute(query).fetchall()
            assert explain_fault(caught.value, "/w") is None, query
            assert "The query does not work" in str(explain_query(caught.value, "/w")), query


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.EIO, errno.ENOENT, None])
def test_faults_of_our_own_files_inside_duckdb(
    file: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    """DuckDB passes them on as text: the number in it says what it was."""

    def fail(*_: object) -> None:
        if number is None:
            raise RuntimeError("No space left on device")
        raise OSError(number, os.strerror(number), "/w/No space left on device.parquet")

    with open_duckdb(Store(file.parent)) as connection:
        monkeypatch.setattr("pipeline.warehouse.files.WarehouseFiles.open", fail)
        with pytest.raises(duckdb.Error) as caught:
            connection.execute("from read_parquet('warehouse://a.parquet')").fetchall()
    answer = str(explain_query(caught.value, "/w"))
    words = {None: "Nothing says that it is damaged", errno.ENOENT: "is gone"}
    assert words.get(number, os.strerror(number or 0)) in answer
    assert "disk is full" not in answer
    assert ("repair" in answer) == (number == errno.ENOENT)


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Code in a process of its own, which prints what it was told."""
    text = (
        "import os, resource, sys\nfrom pipeline.base.errors import NeuronsError\n"
        f"try:\n    {code}\nexcept NeuronsError as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", text, *map(str, arguments)], capture_output=True, text=True
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="run as root: a user without permission is needed")
@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_user_without_permission_is_told_so(tmp_path: Path, place: str) -> None:
    """Not that there is nothing, or that something is damaged."""
    folder = tmp_path / "w/dataset=d"
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps({"dataset": "d", "source": "x", "shards": []}))
    above = list(tmp_path.parents)[:-1]
    modes = {each: each.stat().st_mode for each in above}
    for each in above:  # pytest's folders are private; /tmp stays as it is
        if not each.stat().st_mode & 0o001:
            each.chmod(0o711)
    for each in (tmp_path, tmp_path / "w"):
        each.chmod(0o755)
    folder.chmod(0o700 if place == "folder" else 0o755)
    (folder / "dataset.json").chmod(0o600)
    try:
        done = run(
            "from pipeline.warehouse.inventory import take_inventory; from pipeline.base.storage import Store; "
            f"store = Store(sys.argv[1]); os.setuid({NOBODY}); take_inventory(store)",
            tmp_path / "w",
        )
    finally:
        for each, mode in modes.items():
            each.chmod(mode)
    assert done.returncode == 0, done.stderr
    assert "StorageError" in done.stdout and "Permission denied" in done.stdout
    assert str(folder) in done.stdout and "Nothing is damaged" in done.stdout


def test_a_store_tells_what_is_there_from_what_cannot_be_known(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "file").write_text("")
    assert store.exists("file") and not store.exists("none") and not store.exists("file/below")
    assert store.list("none") == []
    with pytest.raises(StorageError, match="File name too long"):
        store.write_json("x" * 300, {})


def test_too_few_open_files_name_the_limit(tmp_path: Path) -> None:
    ingest_paths(tmp_path, "webdataset", write_tar(tmp_path / "00000.tar", make_samples(2)))
    done = run(
        "from pipeline.upkeep.check import check; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3)); check(sys.argv[1])",
        tmp_path / "warehouse",
    )
    assert "StorageError" in done.stdout and "ulimit -n" in done.stdout, done.stdout + done.stderr
    assert "3 files open" in done.stdout and "repair" not in done.stdout
