"""Snapshots: written from the records of a folder, and compared with them.

A snapshot serves only speed: the records stay the truth. Whoever writes one lists all files, so what another
program changed comes in as well; then he takes away the news that it tells (`news`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from pipeline.base.errors import NeuronsError
from pipeline.base.storage import Store
from pipeline.tables.folder_records import Records
from pipeline.tables.news import clear_news
from pipeline.tables.packing import MANIFESTS, Known
from pipeline.tables.snapshot_files import (
    OLDER,
    decode_snapshot,
    encode_snapshot,
    explain_damage,
    is_snapshot,
    name_next,
)


def write_snapshots(store: Store) -> None:
    """Bring the snapshots of all datasets and runs up to date."""
    for folder in list_folders(store):
        write_snapshot(store, folder)


def list_folders(store: Store) -> Iterator[str]:
    """The folders of all datasets and runs."""
    for name in store.list(""):
        if name.startswith("dataset="):
            yield name
            yield from (f"{name}/{run}" for run in store.list(name) if run.startswith("run_id="))


def write_snapshot(store: Store, folder: str, growth: float = 0) -> bool:
    """Write down what the records of a folder say, if its last snapshot does not say so already.

    Where it cannot be written, nothing is lost.

    Args:
        store: The warehouse.
        folder: Of a dataset or a run.
        growth: Only if more has changed than this share of what the snapshot holds: who calls often
            writes little.

    Returns:
        Whether one was written.
    """
    records = Records(store, folder, by_stamps=True)
    before = records.snapshot
    if not (records.has("dataset.json") or records.has("run.json")):
        return False
    changed = records.count_news()
    if not changed and before.is_last:
        kept = before.replaces[-1]
        _clear(store, records, before.known, [name for name in before.names if name != kept])
        return False
    if before.is_last and changed <= growth * len(records):
        return False
    for name in records.half_written():  # if its writer lives, it goes without
        with suppress(OSError):
            store.delete(f"{folder}/{name}")
    known = dict(records.all())
    replaces = dict.fromkeys((*before.replaces, *(n for n in before.names if n != OLDER)))
    data = encode_snapshot(known, store.place_of(folder), [*replaces])
    if not data:
        return False
    try:
        store.write_bytes(f"{folder}/{name_next(before.names)}", data)
    except NeuronsError:
        return False
    _clear(store, records, known, before.names)
    return True


def _clear(
    store: Store,
    records: Records,
    known: Mapping[str, Known],
    replaced: Sequence[str],
) -> None:
    """Take away what a snapshot has made needless, once it is in its place.

    Args:
        store: The warehouse.
        records: As they were before it was made.
        known: What it holds.
        replaced: Other snapshots that were there then.
    """
    folder = records.folder
    with suppress(NeuronsError, OSError):
        said = {
            name[len(MANIFESTS) : -len(".json")]: one.value
            for name, one in (known.items() if records.news else ())
            if name.startswith(MANIFESTS)
        }
        clear_news(store, folder, records.news, said)
        if OLDER in replaced and not records.is_as_listed(OLDER):
            replaced = [name for name in replaced if name != OLDER]  # that version writes here now
        store.delete_all([f"{folder}/{name}" for name in replaced])


def drop_snapshots(store: Store, folder: str) -> None:
    """Take all snapshots of a folder away: until the next is written all records are read."""
    names = (name for name in store.list(folder) if is_snapshot(name))
    store.delete_all([f"{folder}/{name}" for name in names])


def find_snapshot_problem(
    store: Store, folder: str, said: Mapping[str, object] | None = None
) -> str:
    """What is wrong with the snapshots of a folder, as a sentence that begins with the name of one.

    Args:
        store: The warehouse.
        folder: Of a dataset or a run.
        said: What its records say, by name, as they were read just now; read here if None.

    Returns:
        Empty if nothing is, or there is none.
    """
    records = Records(store, folder)
    if not records.snapshot.names:
        return ""
    for name in records.snapshot.names:
        try:
            data = store.read_bytes(f"{folder}/{name}")
        except FileNotFoundError:
            continue  # replaced just now
        except (NeuronsError, OSError) as error:
            return f"{name} cannot be read: {error}"
        if problem := explain_damage(data):
            return f"{name} {problem}"
        if decode_snapshot(data) is None and name != OLDER:
            return f"{name} is of another form than ours"
    name = records.snapshot.names[-1]
    if said is None:
        said = _read_all(store, folder)
    if wrong := _compare(records.seen(), said):
        # somebody may have changed a record since it was read
        before, seen, after = (
            _read_all(store, folder),
            Records(store, folder).seen(),
            _read_all(store, folder),
        )
        still = [one for one in wrong if before.get(one) == after.get(one) != seen.get(one)]
        if still:
            return f"{name} does not say what {still[0]} says"
    return ""


def _compare(seen: Mapping[str, object], said: Mapping[str, object]) -> list[str]:
    """Names of records that are not seen as they are."""
    return sorted(name for name in seen.keys() | said.keys() if seen.get(name) != said.get(name))


def _read_all(store: Store, folder: str) -> dict[str, object]:
    return {name: one.value for name, one in Records(store, folder, use=False).all()}
