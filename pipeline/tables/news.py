"""News: which manifests of a folder are newer than its snapshot, said by empty files beside it.

``new-00007-0123456789abcdef`` says that ``manifests/00007.json`` becomes, or has become, the record of that
checksum; ``new-00007-gone``, that it goes. It is put there before the manifest changes, and taken away by
whoever has put what it says into a snapshot. So whoever sees no news of a shard may believe the snapshot
that he finds afterwards. A listing gives names in their order, and ``new-`` comes before ``snapshot-``: one
listing is enough.

News may be left by a process that was killed before it changed the manifest; and that a manifest goes stays
news. They cost a look at that manifest, and are taken away after a day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pipeline.base.checksums import read_seal
from pipeline.base.errors import NeuronsError
from pipeline.base.storage import Store

GONE = "gone"

_NEWS = re.compile(r"new-(\d{5,})-([0-9a-f]{16}|gone)\Z")
_MANIFEST = re.compile(r"(.+)/manifests/(\d{5,})\.json\Z")
_LEFT_AFTER = timedelta(days=1)


class News(NamedTuple):
    """That a shard's manifest becomes another one, or goes."""

    name: str
    """Of the empty file."""
    number: str
    """Of the shard, as its manifest is called."""
    checksum: str
    """The end of what the manifest says of itself, or `GONE`."""

    def is_in(self, manifests: Mapping[str, object]) -> bool:
        """Whether it is told already. Of one that goes nobody can tell whether it is gone yet.

        Args:
            manifests: By number, what a snapshot holds.
        """
        value = manifests.get(self.number)
        return isinstance(value, dict) and _end(value.get("checksum", "")) == self.checksum


def list_news(names: Iterable[str]) -> list[News]:
    """The news among the names in a folder."""
    found = ((name, _NEWS.match(name)) for name in names)
    return [News(name, match[1], match[2]) for name, match in found if match]


def is_news(name: str) -> bool:
    """Whether a file is one of these."""
    return bool(_NEWS.match(name))


def write_told(store: Store, rel: str, data: bytes) -> None:
    """Put a record in place, and say so before if it is a shard's manifest."""
    with _told(store, rel, _end(read_seal(data))):
        store.write_bytes(rel, data)


def delete_told(store: Store, rel: str) -> None:
    """Delete a record that may be a shard's manifest, and say so before."""
    with _told(store, rel, GONE):
        store.delete(rel)


@contextmanager
def _told(store: Store, rel: str, checksum: str) -> Iterator[None]:
    """Tell what happens to a manifest inside the block; what happened before it is then no news any more."""
    match = _MANIFEST.match(rel)
    if match is None:
        yield
        return
    begin = f"{match[1]}/new-{match[2]}-"
    try:
        before = _end(read_seal(store.read_bytes(rel)))
    except (FileNotFoundError, NeuronsError):
        before = ""
    store.touch(begin + checksum)
    yield
    if before not in ("", checksum):
        store.delete_all([begin + before])


def clear_news(
    store: Store, folder: str, news: Iterable[News], manifests: Mapping[str, object]
) -> None:
    """Take away what a snapshot tells, and what was left by killed processes long ago.

    Args:
        store: The warehouse.
        folder: Of a dataset or a run.
        news: As they were before the manifests were listed that the snapshot holds.
        manifests: By number, what the snapshot holds.
    """
    told: list[str] = []
    for one in news:
        rel = f"{folder}/{one.name}"
        if one.is_in(manifests) or _is_left(store, rel):
            told.append(rel)
    store.delete_all(told)


def _is_left(store: Store, rel: str) -> bool:
    try:
        return datetime.now(UTC) - store.modified_at(rel) > _LEFT_AFTER
    except FileNotFoundError:
        return False


def _end(checksum: str) -> str:
    return checksum.rpartition(":")[2]
