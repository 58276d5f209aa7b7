"""Whoever opens a bucket sees every shard that was done before, whoever writes or is killed meanwhile.

Writers, removers, those who write snapshots and a reader take turns at single requests, in orders drawn
by chance, on a bucket in memory that does what an object store promises: a put is whole and at once
seen, a listing gives names in order and may be overtaken on its way.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest
from many_records import make_manifest

from pipeline.base.checksums import hash_bytes
from pipeline.base.storage import Store, Written
from pipeline.tables.folder_records import Records
from pipeline.tables.manifest_files import shard_file, write_manifest
from pipeline.tables.manifests import ShardManifest
from pipeline.tables.news import delete_told
from pipeline.tables.snapshots import find_snapshot_problem, write_snapshot

FOLDER = "dataset=d"
SHARDS = 3


class Killed(BaseException):
    """A process that does nothing any more."""


class Turns:
    """Who may send the next request: threads, of which one runs at a time."""

    def __init__(self) -> None:
        self._waiting: dict[str, threading.Event] = {}
        self._back = threading.Event()
        self._killed: set[str] = set()
        self._next: dict[str, str] = {}
        self.threads: dict[str, threading.Thread] = {}
        self.errors: list[BaseException] = []

    def start(self, name: str, act: Callable[[], object]) -> None:
        """Somebody who waits for a turn."""

        def run() -> None:
            try:
                self.wait()
                act()
            except Killed:
                pass
            except BaseException as error:
                self.errors.append(error)
            finally:
                del self.threads[name]
                self._back.set()

        self._waiting[name] = threading.Event()
        self.threads[name] = thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()

    def wait(self, request: str = "") -> None:
        """Before each request, in a thread."""
        name = threading.current_thread().name
        if name in self._waiting:
            self._next[name] = request
            self._back.set()
            self._waiting[name].wait()
            self._waiting[name].clear()
            if name in self._killed:
                raise Killed

    def give(self, name: str, kill: bool = False) -> None:
        """Let one go on to its next request, or to its end."""
        if name not in self.threads:
            return
        if kill:
            self._killed.add(name)
        self._back.clear()
        self._waiting[name].set()
        self._back.wait()

    def go_on(self, name: str, until: str = "") -> None:
        """Let one go on until the next request begins so, or to the end."""
        while name in self.threads and not (until and self._next[name].startswith(until)):
            self.give(name)
        assert name in self.threads or not until, f"there is no request {until}"


class Bucket(Store):
    """Files in memory."""

    def __init__(self) -> None:
        self.url, self.is_local, self.files, self.turns = "bucket", False, {}, Turns()
        self.history: dict[str, list[bytes | None]] = {}

    files: dict[str, bytes]

    def uri(self, rel: str) -> str:
        return f"bucket/{rel}"

    def _put(self, rel: str, data: bytes | None) -> None:
        self.turns.wait(f"{'delete' if data is None else 'put'} {rel}")
        self.history.setdefault(rel, [None]).append(data)
        if data is None:
            self.files.pop(rel, None)
        else:
            self.files[rel] = data

    def write_bytes(self, rel: str, data: bytes) -> Written:
        self._put(rel, data)
        return Written(len(data), hash_bytes(data))

    def touch(self, rel: str) -> None:
        self._put(rel, b"")

    def delete(self, rel: str) -> None:
        self._put(rel, None)

    def delete_all(self, rels: list[str]) -> None:  # type: ignore[override]  # a list is a sequence
        for rel in rels:
            self._put(rel, None)

    def read_bytes(self, rel: str) -> bytes:
        self.turns.wait()
        if rel not in self.files:
            raise FileNotFoundError(rel)
        return self.files[rel]

    def modified_at(self, rel: str) -> datetime:
        return datetime.now(UTC)

    def stamps(self, rel: str) -> dict[str, str]:
        """In the order of the names; each third of them is looked up in a request of its own."""
        found: dict[str, str] = {}
        for begin, end in (("", "new-00001"), ("new-00001", "snapshot-"), ("snapshot-", "\x7f")):
            self.turns.wait(f"list {rel} from {begin}")
            names = [name for name in self.files if name.startswith(f"{rel}/")]
            for name, _, below in (n[len(rel) + 1 :].partition("/") for n in names):
                if begin <= name < end:
                    data = self.files.get(f"{rel}/{name}", b"")
                    mark = hashlib.md5(data, usedforsecurity=False).hexdigest()
                    found[name] = "" if below else f"{len(data)}-{mark}"
        return found


def make_bucket() -> Bucket:
    store = Bucket()
    shards = [
        {"ordinal": n, "name": f"{n:05d}", "url": "", "size_bytes": 10} for n in range(SHARDS)
    ]
    store.write_record(
        f"{FOLDER}/dataset.json", {"dataset": "d", "source": "webdataset", "shards": shards}
    )
    return store


def place_of(ordinal: int) -> str:
    return shard_file(FOLDER, "manifests", ordinal, ".json")


def put(store: Store, ordinal: int, version: int) -> None:
    manifest: ShardManifest = make_manifest(FOLDER, ordinal, ("examples",), batch_size=version)
    write_manifest(store, FOLDER, manifest)


def version_of(data: bytes | ShardManifest | Mapping[str, object] | None) -> int:
    if data is None:
        return -1
    value = json.loads(data) if isinstance(data, bytes) else data
    return int(value["batch_size"])


def act(store: Bucket, kind: str, ordinal: int, version: int) -> None:
    if kind == "write":
        put(store, ordinal, version)
    elif kind == "remove":
        delete_told(store, place_of(ordinal))
    else:
        write_snapshot(store, FOLDER)


def look(store: Bucket) -> dict[int, int]:
    return {n: version_of(m) for n, m in Records(store, FOLDER).manifests().items()}


def play(moments: random.Random) -> None:
    """Four who write, remove or make snapshots of one shard or two, in bursts; some are killed."""
    store = make_bucket()
    turns = store.turns
    for ordinal in range(moments.randrange(SHARDS + 1)):
        put(store, ordinal, 100 + ordinal)
    if moments.random() < 0.8:
        write_snapshot(store, FOLDER)
        put(store, 2, 200)
    kinds = moments.choices(["write", "snapshot", "remove"], [5, 8, 2], k=4)
    for n, kind in enumerate(kinds):
        ordinal = moments.randrange(2)
        turns.start(f"{n}", lambda k=kind, o=ordinal, n=n: act(store, k, o, n))
    while turns.threads:
        name = moments.choice([*turns.threads])
        is_killed = moments.random() < 0.05
        for _ in range(moments.choice((1, 2, 3, 100))):
            turns.give(name, is_killed)
        check_reader(store, moments)
    write_snapshot(store, FOLDER)
    write_snapshot(store, FOLDER)
    assert Records(store, FOLDER).snapshot.is_last
    there = {n: version_of(store.files.get(place_of(n))) for n in range(SHARDS)}
    assert look(store) == {n: version for n, version in there.items() if version >= 0}
    assert find_snapshot_problem(store, FOLDER) == ""


def check_reader(store: Bucket, moments: random.Random) -> None:
    """It sees each shard as it was when it began, or later; others go on while it reads."""
    began = {n: len(store.history.get(place_of(n), [None])) - 1 for n in range(SHARDS)}
    seen: dict[int, int] = {}
    turns = store.turns
    others = [*turns.threads] if moments.random() < 0.3 else []
    turns.start("reader", lambda: seen.update(look(store)))
    while "reader" in turns.threads:
        turns.give("reader")
        if others and moments.random() < 0.5:
            name = moments.choice(others)
            for _ in range(moments.choice((1, 100))):
                turns.give(name)
    assert turns.errors == []
    for n in range(SHARDS):
        possible = store.history.get(place_of(n), [None])[began[n] :]
        assert seen.get(n, -1) in [version_of(data) for data in possible]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.slow
def test_what_was_done_before_is_seen(seed: int) -> None:
    moments = random.Random(seed)
    for _ in range(60):
        play(moments)


@pytest.mark.parametrize("acts", [["write", "snapshot"], ["snapshot", "write", "snapshot"]])
def test_that_a_manifest_goes_is_news_until_it_is_gone(acts: list[str]) -> None:
    """Who removes it may come to that after another one has written it, and a snapshot has it."""
    store = make_bucket()
    store.turns.start("remover", lambda: delete_told(store, place_of(0)))
    store.turns.go_on("remover", until=f"delete {place_of(0)}")
    for kind in acts:
        act(store, kind, 0, 7)
    assert look(store) == {0: 7}
    store.turns.go_on("remover")
    assert look(store) == {}
    assert store.turns.errors == []


def test_a_snapshot_begun_before_the_first_manifest_has_it() -> None:
    """Its listing of the folder has no manifests yet, but the snapshot of another one, which has them."""
    store = make_bucket()
    store.turns.start("maker", lambda: write_snapshot(store, FOLDER))
    store.turns.go_on("maker", until=f"list {FOLDER} from new-")
    put(store, 0, 7)
    write_snapshot(store, FOLDER)
    store.turns.go_on("maker")
    assert look(store) == {0: 7}
    assert store.turns.errors == []


def test_of_two_snapshots_made_at_once_none_hides_a_shard() -> None:
    """The first has not seen the shard of which the second takes the news away, and comes last."""
    for _ in range(12):  # which of the two names is later is drawn
        store = make_bucket()
        put(store, 0, 1)
        store.turns.start("maker", lambda store=store: write_snapshot(store, FOLDER))
        store.turns.go_on("maker", until=f"put {FOLDER}/snapshot-")
        put(store, 1, 2)
        write_snapshot(store, FOLDER)
        store.turns.go_on("maker")
        assert look(store) == {0: 1, 1: 2}
        assert store.turns.errors == []
