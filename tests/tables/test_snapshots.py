"""A snapshot holds what the records say: whatever happens to it or to them, a warehouse opens the same."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from many_records import FOLDERS, make_manifest, make_records, write_quickly

from pipeline.base.checksums import seal
from pipeline.base.storage import Store
from pipeline.tables import folder_records, packing, snapshots
from pipeline.tables.datasets import run_folder
from pipeline.tables.folder_records import Records
from pipeline.tables.manifest_files import write_manifest
from pipeline.tables.snapshots import find_snapshot_problem, write_snapshot
from pipeline.upkeep.check import check, run_violations
from pipeline.upkeep.repair import repair
from pipeline.warehouse.connect import connect
from pipeline.warehouse.inventory import take_inventory

SNAPSHOTS = "snapshot-*.json"


@pytest.fixture(scope="module")
def run_record(tiny_warehouse: Path) -> dict[str, Any]:
    (file,) = tiny_warehouse.glob("dataset=*/run_id=*/run.json")
    found: dict[str, Any] = json.loads(file.read_bytes())
    return found


@pytest.fixture
def place(tiny_warehouse: Path, tmp_path: Path) -> Path:
    """A warehouse of this test's own, with snapshots of now."""
    place = tmp_path / "warehouse"
    shutil.copytree(tiny_warehouse, place)
    snapshots.write_snapshots(Store(place))
    return place


def seen(place: Path) -> list[object]:
    it = take_inventory(Store(place))
    return [it.datasets, it.shards, it.runs, it.layers, it.run_shards, it.class_sets, it.files]


def read_all(place: Path) -> dict[str, dict[str, Any]]:
    """What is read, not taken from a snapshot."""
    store = Store(place)
    return {
        folder: {name: one.value for name, one in Records(store, folder, use=False).all()}
        for folder in snapshots.list_folders(store)
    }


def test_what_it_holds_is_what_the_records_say(place: Path, monkeypatch) -> None:
    truth, before = read_all(place), seen(place)
    monkeypatch.setattr(folder_records, "read_record", lambda *_: pytest.fail("a record was read"))
    store = Store(place)
    for folder, records in truth.items():
        assert {name: one.value for name, one in Records(store, folder).all()} == records
    assert seen(place) == before
    assert not any(write_snapshot(store, folder) for folder in truth), "nothing is new"


DAMAGE: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "no JSON": lambda file: file.write_bytes(b"{" + file.read_bytes()),
    "one byte": lambda file: file.write_bytes(file.read_bytes().replace(b"done", b"dane", 1)),
    "newer": lambda file: rewrite(file, format=99),
    "another form": lambda file: rewrite(file, form=99),
    "no form": lambda file: rewrite(file, form=None),
    "not an object": lambda file: file.write_bytes(b"[]\n"),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}


def rewrite(file: Path, **fields: object) -> None:
    file.write_bytes(seal(json.loads(file.read_bytes()) | fields))


@pytest.mark.parametrize("way", DAMAGE)
def test_one_that_is_not_whole_is_not_used(place: Path, way: str) -> None:
    before = seen(place)
    for file in place.rglob(SNAPSHOTS):
        DAMAGE[way](file)
    assert seen(place) == before


def test_a_record_that_changed_is_read_beside_it(place: Path) -> None:
    """Also one of the same size, written within the same tick of the clock."""
    (folder,) = (run_folder(row.dataset, row.run_id) for row in take_inventory(Store(place)).runs)
    store = Store(place)
    for changed in ("done", "lost", "done"):
        manifest = Records(store, folder).manifests()[1]
        before = (place / folder / "manifests/00001.json").stat()
        write_manifest(store, folder, {**manifest, "status": changed})
        os.utime(
            place / folder / "manifests/00001.json", ns=(before.st_atime_ns, before.st_mtime_ns)
        )
        rows = take_inventory(store).run_shards
        assert {row.shard_ordinal: row.status for row in rows}[1] == changed
        write_snapshot(store, folder)
    (place / folder / "manifests/00001.json").unlink()
    assert 1 not in {row.shard_ordinal for row in take_inventory(store).run_shards}
    assert write_snapshot(store, folder)


def test_a_copy_of_a_warehouse_answers_the_same(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place, tmp_path / "copy", copy_function=shutil.copyfile)
    assert seen(tmp_path / "copy") == seen(place)


def test_check_compares_and_repair_mends(place: Path) -> None:
    """One that says another thing, with stamps that hold and a checksum of its own."""
    assert run_violations(check(place)) == 0
    (file,) = place.glob(f"dataset=*/run_id=*/{SNAPSHOTS}")
    value = json.loads(file.read_bytes())
    value["manifests"][0]["manifests"]["same"]["written_count"] = 7
    value["manifests"][0]["manifests"]["each"].pop("written_count", None)
    file.write_bytes(seal(value, is_compact=True))
    store, folder = Store(place), file.parent.relative_to(place).as_posix()
    assert "does not say what manifests/" in find_snapshot_problem(store, folder)
    (wrong,) = (result for result in check(place) if result.name == "check_snapshots")
    assert wrong.violation_count == 1 and "neurons repair" in wrong.rows[0]
    assert any("snapshot-" in line for line in repair(place).done)
    assert run_violations(check(place)) == 0
    assert repair(place).damage_count == 0
    (file,) = place.glob(f"dataset=*/run_id=*/{SNAPSHOTS}")
    whole = file.read_bytes()
    for at in (9, len(whole) // 2, len(whole) - 9):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert find_snapshot_problem(store, folder)


def test_where_it_cannot_be_written_nothing_is_lost(place: Path, monkeypatch) -> None:
    before = seen(place)
    for file in place.rglob(SNAPSHOTS):
        file.unlink()
        file.with_name(f"{file.name}.tmp-00000000").mkdir()
    monkeypatch.setattr(snapshots.Store, "write_with", _refuse)
    snapshots.write_snapshots(Store(place))
    assert seen(place) == before
    assert not list(place.rglob(SNAPSHOTS))


def _refuse(*_: object) -> None:
    from pipeline.base.errors import StorageError

    raise StorageError("It is read only.", "Nothing.")


def test_it_grows_only_when_it_pays(place: Path) -> None:
    store = Store(place)
    manifest = Records(store, "dataset=textures").manifests()[0]
    write_manifest(store, "dataset=textures", {**manifest, "source": "folder"})
    assert not write_snapshot(store, "dataset=textures", growth=1 / 2)
    assert write_snapshot(store, "dataset=textures")


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False), st.text()
)
MANIFESTS = st.lists(
    st.tuples(
        st.integers(0, 200_000),
        st.lists(st.sampled_from(["examples", "texts", "rejects"]), unique=True),
        st.dictionaries(st.sampled_from(["a", "b", "files*"]), VALUES),
        st.sampled_from(["", "x*", "00001"]),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda item: item[0],
)


@given(MANIFESTS)
def test_packing_loses_nothing(items: list[tuple[int, list[str], dict[str, Any], str]]) -> None:
    known = []
    for ordinal, tables, more, odd in items:
        manifest = make_manifest(f"dataset=d{odd}", ordinal, tuple(tables), **more)
        known.append((f"manifests/{ordinal:05d}.json", packing.Known("s", manifest)))
    back: dict[str, Any] = {}
    for group in packing.alike(known):
        packed = json.loads(json.dumps(packing.pack_manifests(group)))
        packing.unpack_manifests(packed, back)
    assert back == dict(known)


@pytest.fixture(scope="module")
def two_thousand(tmp_path_factory: pytest.TempPathFactory, run_record: dict[str, Any]) -> Path:
    place = tmp_path_factory.mktemp("many") / "warehouse"
    make_records(place, run_record, 2000)
    for folder in FOLDERS:
        assert write_snapshot(Store(place), folder)
    return place


@pytest.mark.slow
def test_opening_two_thousand_shards_reads_a_bounded_number_of_files(
    two_thousand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    honest = Store.read_bytes

    def read_bytes(self: Store, rel: str) -> bytes:
        read.append(rel)
        return honest(self, rel)

    monkeypatch.setattr(Store, "read_bytes", read_bytes)
    store = Store(two_thousand)
    inventory = take_inventory(store)
    assert len(inventory.run_shards) == len(inventory.shards) == 2000
    assert [rel.rpartition("/")[0] for rel in read] == [*FOLDERS]
    assert all("/snapshot-" in rel for rel in read)
    for n in range(2000, 2003):
        write_quickly(
            two_thousand, FOLDERS[1], make_manifest(FOLDERS[1], n - 2000, ("embeddings",))
        )
    read.clear()
    assert len(take_inventory(store).run_shards) == 2000
    assert len(read) == 2 + 3, "those that are newer than the snapshot"
    assert write_snapshot(store, FOLDERS[1])  # others go on from here


@pytest.mark.parametrize("way", ["with times", "in seconds", "without times"])
@pytest.mark.slow
def test_a_copy_opens_from_its_snapshots(
    two_thousand: Path, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``cp -a``, as a tar, and as ``cp -r`` or ``aws s3 sync`` make one; then it lives on."""
    copy = tmp_path / "copy"
    copied = shutil.copyfile if way == "without times" else shutil.copy2
    shutil.copytree(two_thousand, copy, copy_function=copied)
    if way == "in seconds":
        for file in copy.rglob("*.json"):
            second = int(file.stat().st_mtime)
            os.utime(file, (second, second))
    store = Store(copy)
    folder = FOLDERS[1]
    changed = Records(Store(two_thousand), folder).manifests()[7]
    write_manifest(store, folder, {**changed, "written_count": changed["written_count"] + 1})
    read: list[str] = []
    honest = Store.read_bytes
    monkeypatch.setattr(
        Store, "read_bytes", lambda self, rel: (read.append(rel), honest(self, rel))[1]
    )
    rows = take_inventory(store).run_shards
    assert len(rows) == 2000
    assert [row.written_count for row in rows[6:9]] == [5, 6, 5]
    assert len(read) <= 5, "two snapshots, the list of shards, the run, and what was written since"
    for one in FOLDERS:
        assert write_snapshot(store, one)
    assert seen(copy)[4] == rows


@pytest.mark.parametrize("form", [1, 2])
def test_what_the_version_before_wrote_opens_and_is_replaced(place: Path, form: int) -> None:
    """Its ``snapshot.json`` alone, or beside ours: then it has written here, and nothing is believed."""
    before = seen(place)
    for file in place.rglob(SNAPSHOTS):
        value = json.loads(file.read_bytes())
        value["records"] = {
            n: (stamp, packed) for n, (stamp, _, packed) in value["records"].items()
        }
        older = {k: v for k, v in value.items() if k not in ("place", "replaces")}
        file.with_name("snapshot.json").write_bytes(seal({**older, "form": 1}, is_compact=True))
        if form == 1:
            file.unlink()
    assert seen(place) == before
    for folder in snapshots.list_folders(Store(place)):
        assert not Records(Store(place), folder).snapshot.is_last
        assert write_snapshot(Store(place), folder)
        assert Records(Store(place), folder).snapshot.is_last
    assert seen(place) == before
    assert not list(place.rglob("snapshot.json"))


KILLED = """
import os, sys, signal
from pipeline.base.storage import Store
from pipeline.tables.snapshots import write_snapshots
stop, place = int(sys.argv[1]), sys.argv[2]
calls = 0
def at_call(honest):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == stop:
            os.kill(os.getpid(), signal.SIGKILL)
        return honest(*args, **kwargs)
    return call
os.replace, os.fsync, os.scandir = at_call(os.replace), at_call(os.fsync), at_call(os.scandir)
write_snapshots(Store(place))
"""


@pytest.mark.slow
def test_a_kill_while_it_is_written_changes_no_answer(place: Path) -> None:
    """At every sync, rename and listing in turn."""
    before = seen(place)
    for stop in range(1, 40):
        for file in place.rglob(SNAPSHOTS):
            file.unlink()
        done = subprocess.run([sys.executable, "-c", KILLED, str(stop), str(place)], check=False)
        assert seen(place) == before
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert 6 <= stop < 39
    with connect(place) as connection:
        assert connection.execute("select count(*) from runs").fetchall() == [(1,)]
