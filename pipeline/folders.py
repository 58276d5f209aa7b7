"""What lies in a folder, at any depth, without ever opening a file or walking in circles."""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from pipeline.names import find_hidden


@dataclass
class Listing:
    """The files of a folder; names are relative to it, with ``/``."""

    files: list[str] = field(default_factory=list)
    """Plain files, sorted."""
    broken: list[tuple[str, str]] = field(default_factory=list)
    """(name, why) of links to nothing and of folders that cannot be read, sorted."""
    hidden: Counter[str] = field(default_factory=Counter)
    """Files that `find_hidden` passes over, by kind."""
    special: Counter[str] = field(default_factory=Counter)
    """Pipes, sockets and devices, and links to folders that are listed anyway, by kind."""


def list_folder(fs: Any, root: str) -> Listing:
    """List a folder of any filesystem.

    A link to a file is that file. A link to a folder is followed unless that folder lies in ``root``, or
    ``root`` in it: each folder is read once, so a loop of links ends.
    """
    listing = Listing()
    if isinstance(fs, LocalFileSystem):
        _list_local(root, listing)
    else:
        for name in fs.find(root):
            _add(listing, str(name).removeprefix(root.rstrip("/")).lstrip("/"))
    listing.files.sort()
    listing.broken.sort()
    return listing


def _add(listing: Listing, name: str) -> None:
    kind = find_hidden(name)
    if kind is None:
        listing.files.append(name)
    else:
        listing.hidden[kind] += 1


def _list_local(root: str, listing: Listing) -> None:
    top = os.path.realpath(root)
    seen: set[str] = set()
    links: list[tuple[str, str]] = []
    _walk(root, "", listing, links, seen)
    while links:
        name, target = links.pop(0)
        if target in seen or f"{top}/".startswith(f"{target.rstrip('/')}/"):
            listing.special["link to a folder that is listed already"] += 1
        else:
            _walk(target, name, listing, links, seen)


def _walk(
    folder: str, prefix: str, listing: Listing, links: list[tuple[str, str]], seen: set[str]
) -> None:
    """List a real folder whose files are called ``prefix/...``; links to folders are put aside."""
    waiting = [(folder, prefix)]
    while waiting:
        place, name = waiting.pop()
        seen.add(os.path.realpath(place))
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            listing.broken.append((name or ".", f"the folder cannot be read: {error.strerror}"))
            continue
        for entry in entries:
            path = f"{name}/{entry.name}".lstrip("/") if not name else f"{name}/{entry.name}"
            try:
                mode = entry.stat().st_mode
            except OSError as error:
                listing.broken.append((path, f"a link that leads nowhere: {error.strerror}"))
                continue
            if stat.S_ISDIR(mode) and entry.is_symlink():
                links.append((path, os.path.realpath(entry.path)))
            elif stat.S_ISDIR(mode):
                waiting.append((entry.path, path))
            elif stat.S_ISREG(mode):
                _add(listing, path)
            elif find_hidden(path) is None:
                listing.special[_SPECIAL.get(stat.S_IFMT(mode), "special file")] += 1


_SPECIAL = {
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}
