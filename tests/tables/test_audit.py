"""Damage is seen and named: what is gone, cut, flipped or swapped, in every kind of file that we write."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from damaging import copy_of, flip
from waiting import LIMIT_S

from pipeline.base.errors import StorageError
from pipeline.base.storage import Store
from pipeline.tables.audit import audit_warehouse
from pipeline.tables.checked import MEMORY
from pipeline.tables.presence import Presence
from pipeline.tables.snapshot_files import is_snapshot
from pipeline.upkeep.check import check, run_violations
from pipeline.warehouse.connect import connect


def audited(place: Path) -> list[Path]:
    """Files that an audit vouches for: all but caches, locks and what another program may change."""
    files = (file for file in place.rglob("*") if file.suffix in (".parquet", ".json", ".copy"))
    return sorted(file for file in files if file.name != MEMORY and not is_snapshot(file.name))


def kind_of(place: Path, file: Path) -> str:
    parts = [part for part in file.relative_to(place).parts if "=" not in part]
    return "/".join(part for part in parts if not any(c.isdigit() for c in part)) or file.parts[-1]


def named(place: Path, deep: bool = True) -> set[str]:
    return {damage.path for damage in audit_warehouse(Store(place), deep).damages}


def test_a_good_warehouse_has_no_damage(full_warehouse):
    audit = audit_warehouse(Store(full_warehouse), deep=True)
    assert audit.damages == []
    assert audit.unrecorded_count == 0
    assert audit.read_count > 30


def test_one_flipped_bit_is_named_wherever_it_is(full_warehouse, tmp_path):
    """Every kind of file that we write, at places spread over it: a bit of each kind of Parquet at once, and
    records one by one, since they say what else there is."""
    place, moments, kinds = copy_of(full_warehouse, tmp_path), random.Random(0), {}
    for file in audited(place):
        kinds.setdefault(kind_of(place, file), file)
    assert len(kinds) > 25, sorted(kinds)
    tables = [file for file in kinds.values() if file.suffix == ".parquet"]
    assert len(tables) > 15
    for some in (tables, *([file] for file in kinds.values() if file not in tables)):
        good = {file: file.read_bytes() for file in some}
        for n in range(3):
            for file, data in good.items():
                flip(file, min(8 * len(data) - 1, 8 * len(data) * n // 2 + moments.randrange(64)))
            seen = named(place)
            assert {str(file.relative_to(place)) for file in some} - seen == set()
            for file, data in good.items():
                file.write_bytes(data)
    assert named(place) == set()


def test_what_was_found_good_is_not_read_again(full_warehouse, tmp_path):
    place = copy_of(full_warehouse, tmp_path)
    first = audit_warehouse(Store(place))
    again = audit_warehouse(Store(place))
    assert (first.read_count > 30, again.read_count) == (True, 0)
    file = next(place.glob("dataset=*/run_id=*/embeddings/*.parquet"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert named(place, deep=False) == set()  # size and record are as they were
    rel = str(file.relative_to(place))
    assert named(place) == {rel}
    assert named(place, deep=False) == {rel}  # once found, it is not forgotten
    (place / MEMORY).write_text("{ no JSON")  # a cache
    assert named(place, deep=False) == {rel}


def test_what_is_gone_or_cut_is_named_without_deep(full_warehouse, tmp_path):
    place = copy_of(full_warehouse, tmp_path)
    audit_warehouse(Store(place))
    gone = next(place.glob("dataset=*/examples/*.parquet"))
    gone.unlink()
    cut = next(place.glob("dataset=*/run_id=*/compact/*/*/00000.parquet"))
    cut.write_bytes(cut.read_bytes()[:-1])
    torn = next(place.glob("dataset=*/run_id=*/manifests/*.json"))
    torn.write_bytes(torn.read_bytes()[:100])
    assert named(place, deep=False) == {str(f.relative_to(place)) for f in (gone, cut, torn)}
    results = check(place)
    assert run_violations(results) == 3
    assert {row[2] for row in results[0].rows} == {"neurons repair --dataset textures"}


def test_a_list_of_shards_in_another_order_is_named(full_warehouse, tmp_path):
    """Names and sizes are what manifests compare, so a list that was made again is not believed."""
    place = copy_of(full_warehouse, tmp_path)
    record = Store(place).read_json("dataset=textures/dataset.json")
    first, second, *rest = record["shards"]
    swapped = [second | {"ordinal": 0}, first | {"ordinal": 1}, *rest]
    Store(place).write_record("dataset=textures/dataset.json", record | {"shards": swapped})
    found = audit_warehouse(Store(place)).damages
    assert {damage.record.kind for damage in found} == {"index", "shard"}
    assert all("is of the shard" in damage.problem for damage in found)
    with pytest.raises(Exception, match="is not the list that these shards were indexed by"):
        connect(place)


def test_files_without_a_checksum_are_told_once_and_read_on_demand(full_warehouse, tmp_path):
    place = copy_of(full_warehouse, tmp_path)
    path = next(place.glob("dataset=*/manifests/*.json"))
    manifest = json.loads(path.read_text())
    for file in manifest["files"]:
        del file["checksum"]
    del manifest["checksum"], manifest["format"]
    path.write_text(json.dumps(manifest))
    results = {result.name: result for result in check(place)}
    assert results["warn_checksums"].violation_count == len(manifest["files"])
    assert run_violations(list(results.values())) == 0
    texts = place / next(f["path"] for f in manifest["files"] if f["table"] == "texts")
    data = bytearray(texts.read_bytes())
    data[60] ^= 4  # in a page: only its own checksum knows
    texts.write_bytes(data)
    assert named(place) == {str(texts.relative_to(place))}


def test_a_warehouse_that_may_only_be_read_is_checked_all_the_same(
    full_warehouse, tmp_path, monkeypatch
):
    place = copy_of(full_warehouse, tmp_path)

    def refuse(*_):
        raise StorageError("not writable")

    monkeypatch.setattr(Store, "write_json", refuse)
    assert audit_warehouse(Store(place)).damages == []
    assert not (place / MEMORY).exists()


def test_few_files_are_open_at_once(full_warehouse):
    """All checks of a warehouse of many more files, with 64 handles."""
    files = len(list(full_warehouse.rglob("*.parquet")))
    assert files > 64
    code = (
        "import resource, sys; from pipeline.upkeep.check import check, run_violations;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64));"
        "print(run_violations(check(sys.argv[1], deep=True)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(full_warehouse)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert (done.stdout.strip(), done.returncode) == ("0", 0), done.stderr[-2000:]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] != 64  # only there


def test_a_copy_that_another_program_made_of_a_manifest_is_not_counted(full_warehouse, tmp_path):
    """Programs that keep folders alike write ``00000 (1).json`` beside; shards are counted once."""
    place = copy_of(full_warehouse, tmp_path)
    asked = "select count(*), sum(example_count) from raw_shard_stats"
    with connect(place) as connection:
        before = connection.execute(asked).fetchall()
    for manifest in list(place.rglob("manifests/00000.json")):
        manifest.with_name("00000 (1).json").write_bytes(manifest.read_bytes())
    with connect(place) as connection:
        assert connection.execute(asked).fetchall() == before
    assert named(place) == set()


def test_a_file_that_goes_while_it_is_looked_for_is_gone(full_warehouse, tmp_path, monkeypatch):
    """Another step may take it away between the listing of its folder and the reading."""
    place = copy_of(full_warehouse, tmp_path)
    file = next(place.rglob("examples/00000.parquet"))
    find = Presence.find_problem

    def find_and_lose(presence, entry):
        problem = find(presence, entry)
        if entry["path"] == str(file.relative_to(place)):
            file.unlink()
        return problem

    monkeypatch.setattr(Presence, "find_problem", find_and_lose)
    assert [(d.path, d.problem) for d in audit_warehouse(Store(place)).damages] == [
        (str(file.relative_to(place)), "is gone")
    ]


def test_trouble_of_the_system_is_no_damage(full_warehouse, monkeypatch):
    import errno

    from fsspec.implementations.local import LocalFileSystem

    def fail(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(LocalFileSystem, "open", fail)
    with pytest.raises(StorageError, match="Too many open files"):
        audit_warehouse(Store(full_warehouse), deep=True)
