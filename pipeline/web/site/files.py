"""The folder of a site: what is written is whole, and a record says what it was made from.

A job's record comes after its files. Whoever makes the site again does only what has no record, or one of
other data; and takes away what only an older record names.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TypedDict

from pipeline.base.errors import ConfigError
from pipeline.base.storage import storage_errors

_MARK = "site.json"
_RECORDS = "record"
_WHAT = "pages made by neurons site"


class JobRecord(TypedDict):
    """``record/HASH.json``."""

    job: str
    made_from: str
    files: dict[str, int]
    """Bytes of each, by path in the site."""


class SiteFolder:
    """A folder of ours."""

    def __init__(self, root: Path) -> None:
        """Args:
        root: Not there, empty, or a site of ours.

        Raises:
            ConfigError: There is something else.
            StorageError: It cannot be written.
        """
        self.root = root
        with storage_errors(str(root)):
            if root.exists() and not root.is_dir():
                raise ConfigError(f"{root} is a file.", "Name a folder: --out DIR")
            if root.is_dir() and any(root.iterdir()) and not (root / _MARK).exists():
                raise ConfigError(
                    f"{root} holds files, and is no site that neurons site made.",
                    "Name a folder that is empty or not there yet.",
                )
            root.mkdir(parents=True, exist_ok=True)
            self.write(_MARK, json.dumps({"what": _WHAT}).encode() + b"\n")

    def write(self, path: str, data: bytes | str) -> int:
        """Write one file by rename; how many bytes it has."""
        target = self.root / path
        data = data.encode() if isinstance(data, str) else data
        with storage_errors(str(target)):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f"{target.name}.tmp-{os.getpid()}")
            temporary.write_bytes(data)
            temporary.replace(target)
        return len(data)

    def is_done(self, job: str, made_from: str) -> bool:
        """Whether a job's files are there, made from that."""
        record = self._read(self._path(job))
        return (
            record is not None
            and record["made_from"] == made_from
            and all(self._size(path) == size for path, size in record["files"].items())
        )

    def note_done(self, job: str, made_from: str, files: Mapping[str, int]) -> None:
        """A job's files are there."""
        record: JobRecord = {
            "job": job,
            "made_from": made_from,
            "files": dict(sorted(files.items())),
        }
        text = json.dumps(record, ensure_ascii=False, indent=1)
        self.write(self._path(job), f"{text}\n")

    def clean(self, jobs: Collection[str]) -> None:
        """Take away what no job of these has made, and what killed processes left."""
        kept = {self._path(job) for job in jobs}
        records = {
            f"{_RECORDS}/{path.name}": self._read(f"{_RECORDS}/{path.name}")
            for path in sorted((self.root / _RECORDS).glob("*.json"))
        }
        named = {path for name in kept for path in (records.get(name) or {"files": {}})["files"]}
        with storage_errors(str(self.root)):
            for name, record in records.items():
                if name not in kept:
                    for path in sorted(set(record["files"] if record else ()) - named):
                        self._remove(path)
                    self._remove(name)
            for left in self.root.rglob("*.tmp-*"):
                left.unlink(missing_ok=True)

    def forget_files(self, job: str, files: Iterable[str]) -> None:
        """Take away what an earlier record of a job names and is not among these files."""
        record = self._read(self._path(job))
        for path in sorted(set(record["files"] if record else ()) - set(files)):
            self._remove(path)

    def total_bytes(self, jobs: Collection[str]) -> tuple[int, int]:
        """Files and bytes of jobs."""
        records = [self._read(self._path(job)) for job in jobs]
        sizes = [size for record in records if record for size in record["files"].values()]
        return len(sizes), sum(sizes)

    def _path(self, job: str) -> str:
        return f"{_RECORDS}/{hashlib.sha256(job.encode()).hexdigest()[:16]}.json"

    def _read(self, path: str) -> JobRecord | None:
        try:
            record: JobRecord = json.loads((self.root / path).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return (
            record if isinstance(record, dict) and record.keys() >= {"files", "made_from"} else None
        )

    def _size(self, path: str) -> int:
        try:
            return (self.root / path).stat().st_size
        except OSError:
            return -1

    def _remove(self, path: str) -> None:
        """A file, and the folders that are empty then. Of a path that leads out of the site, nothing."""
        file = self.root / path
        if not file.resolve().is_relative_to(self.root.resolve()):
            return
        file.unlink(missing_ok=True)
        for folder in file.parents:
            if folder == self.root or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()
