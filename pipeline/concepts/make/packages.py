"""The packages that the lexicon is made from: pinned, fetched by their registries' clients, verified."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.base.errors import NeuronsError


class SourceError(NeuronsError):
    """A package that the lexicon is made from cannot be had, or is not the one that was pinned."""


@dataclass(frozen=True)
class Package:
    """One version of a package of a registry."""

    registry: str
    """npm, pypi or debian."""
    name: str
    version: str
    file: str
    """As the registry's client names it."""
    sha512: str
    """Of the file, in base64, as npm writes it."""
    licence: str

    @property
    def command(self) -> list[str]:
        """What fetches it into the working folder."""
        if self.registry == "npm":
            return ["npm", "pack", "--silent", f"{self.name}@{self.version}"]
        if self.registry == "debian":
            return ["apt-get", "download", f"{self.name}={self.version}"]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        return [*pip, f"{self.name}=={self.version}"]


def _cldr(name: str, sha512: str) -> Package:
    file = f"{name}-48.2.0.tgz"
    return Package("npm", name, "48.2.0", file, sha512, "Unicode License v3")


PACKAGES = {
    "annotations": _cldr(
        "cldr-annotations-full",
        "DV7A+rEcgUSNTRsVGNGqBZRmAkGfwhGHO5Q1dRwzBoBnVrHWp804JP7/QJdEc66iHmx3+zLWVIMCFLm0lW7PUQ==",
    ),
    "derived": _cldr(
        "cldr-annotations-derived-full",
        "log62km+AOzI7n/NEuNNFV0mg9DWnt67EYCh1RwxZq9dyRuyteB586LT83Ke8TchEfnwI9cIk2P31zO4nTvZmw==",
    ),
    "names": _cldr(
        "cldr-localenames-full",
        "4o0paYDz0UXhfhChAVFkmVl2CP0YTSEqE6WrC0fNafaSC5u5DAXphxH3SZ1Ujczarikr8DToKZfiok6EqWLdNQ==",
    ),
    "dates": _cldr(
        "cldr-dates-full",
        "zMrKvjMO414HDftLr6vKH1fNQHakFNe+F1h4S0eg+zmL4WRi9pI41fxB3UrTJDY42MEM87jCuAw/qlqCgYKcAQ==",
    ),
    "misc": _cldr(
        "cldr-misc-full",
        "dSc2Tr53dQcUGwsTinamEeoP2YXOhQrIZ+SyeuUrv4MzJOSjT/Q0qkSmX11ZwfcTbYSkIqbrgALQLhAm1yf5fA==",
    ),
    "spellout": _cldr(
        "cldr-rbnf",
        "wFhWUOvGGGGSbBc99zJIjMvBxZ7s/fzPdtjLEkccbi8Uk+h/K1AzRiKjGtIqU1FEFNEkO8elkzojpEea0/td1Q==",
    ),
    "core": _cldr(
        "cldr-core",
        "zfmLothncSwfv2jlevoSrgI2VGgH8SDGHXst6jUEotHA8nq9Igeg9jzdJDFtBso9pgJuG89DK16TzrmZDdo2Bg==",
    ),
    "subdivisions": Package(
        "debian",
        "unicode-cldr-core",
        "41-0.1",
        "unicode-cldr-core_41-0.1_all.deb",
        "AKMh6H5EWfbYyV3Ln7deL58FlUGT/5gVRbxmdBxZNSuC4r8PycHGIvmo81RHsknUjlunidybErg0CDCccYtH/w==",
        "Unicode-DFS-2016",
    ),
    "wordnet": Package(
        "debian",
        "wordnet-base",
        "1:3.0-37",
        "wordnet-base_1%3a3.0-37_all.deb",
        "w44T1Pns7KC9lsiM7Y9F6ItzLNXivaPfVYq/Wt3aBKLJU7dXylPxDf6HjPKPytoJtY+x9xXHofxWCAEH3/QlpA==",
        "WordNet 3.0",
    ),
    "holidays": Package(
        "pypi",
        "holidays",
        "0.109",
        "holidays-0.109-py3-none-any.whl",
        "ecyGDxRS8jqcPchM3drmgRxqsRFt3+JzzBpm1YCZ1ewwtlxJDL35Ge3Ry6n6UMhmSTDyLNkNdO0gf7v7SjDbGA==",
        "MIT",
    ),
}
"""Every source but our own list, by what the other files call it."""


class Archive:
    """A fetched package, read in memory.

    Args:
        data: Its file: a ``.tgz`` of npm, a wheel, or a ``.deb``.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data

    @cached_property
    def _members(self) -> dict[str, bytes]:
        data = self._data
        if data.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(data)) as wheel:
                return {name: wheel.read(name) for name in wheel.namelist()}
        if data.startswith(b"!<arch>"):
            data = _data_of_deb(data)
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            found = {m.name.removeprefix("./"): tar.extractfile(m) for m in tar if m.isfile()}
            return {name: file.read() for name, file in found.items() if file}

    def names(self, prefix: str, suffix: str = "") -> list[str]:
        """Paths of its files below a folder, sorted."""
        found = (name for name in self._members if name.startswith(prefix))
        return sorted(name for name in found if name.endswith(suffix))

    def read(self, name: str) -> bytes:
        """A file of it."""
        return self._members[name]

    def json(self, name: str) -> Any:
        """A file of it; an empty dictionary if there is none."""
        return json.loads(self._members.get(name, b"{}"))


def _data_of_deb(data: bytes) -> bytes:
    """The archive of files in a Debian package, which is an ``ar`` of three."""
    position = 8
    while position < len(data):
        head = data[position : position + 60]
        size = int(head[48:58])
        if head.startswith(b"data.tar"):
            return data[position + 60 : position + 60 + size]
        position += 60 + size + size % 2
    raise SourceError("A Debian package holds no data.tar.", "Fetch it again.")


def fetch(package: Package, folder: Path) -> Archive:
    """A package, from a folder that keeps what was fetched, else from its registry.

    Raises:
        SourceError: It cannot be fetched, or is not the file that was pinned.
    """
    path = folder / package.file
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            _run(package, Path(work))
            shutil.move(Path(work) / package.file, path)
    data = path.read_bytes()
    found = base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != package.sha512:
        raise SourceError(
            f"{path} is not {package.name} {package.version} as it was pinned: "
            f"its SHA-512 is {found}, expected {package.sha512}.",
            "Delete the file and try again; if it stays so, the registry has another file.",
        )
    return Archive(data)


def _run(package: Package, work: Path) -> None:
    try:
        done = subprocess.run(
            package.command, cwd=work, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise SourceError(
            f"{package.command[0]} is not installed; it fetches {package.name}.", "Install it."
        ) from error
    if done.returncode or not (work / package.file).is_file():
        raise SourceError(
            f"{' '.join(package.command)} did not fetch {package.file}: {done.stderr.strip()[-500:]}",
            "Check the connection, or put the file into the folder of --sources by hand.",
        )
