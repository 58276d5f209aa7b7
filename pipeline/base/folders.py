"""What lies in a folder, at any depth, without ever opening a file or walking in circles."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from pipeline.base.names import find_hidden, is_image_name, split_ending
from pipeline.base.places import open_place
from pipeline.base.warn import warn_once


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
    special_names: list[str] = field(default_factory=list)
    """The names of these pipes, sockets and devices, sorted."""


def list_folder(fs: Any, root: str, but: str = "") -> Listing:
    """List a folder of any filesystem.

    A link to a file is that file. A link to a folder is followed unless that folder lies in ``root``, or
    ``root`` in it: each folder is read once, so a loop of links ends.

    Args:
        fs: The filesystem.
        root: The folder, as the filesystem wants it.
        but: A place, such as our warehouse, that is left out where it lies below the folder. What lies
            in it is ours, and a folder within it that is named is listed.
    """
    listing = Listing()
    ours = _find_below(fs, root, but)
    if isinstance(fs, LocalFileSystem):
        _list_local(root, listing, ours)
    else:
        for path in map(str, fs.find(root)):
            if not ours or not path.startswith(f"{ours}/"):
                _add(listing, path.removeprefix(root.rstrip("/")).lstrip("/"))
    listing.files.sort()
    listing.broken.sort()
    listing.special_names.sort()
    return listing


def _find_below(fs: Any, root: str, place: str) -> str:
    """The path of a place that lies below ``root``, as the filesystem has it; empty for any other."""
    if not place:
        return ""
    other, inner = open_place(place)
    is_local = isinstance(fs, LocalFileSystem)
    top, path = (os.path.realpath(p) if is_local else p.rstrip("/") for p in (root, inner))
    return path if type(other) is type(fs) and path.startswith(f"{top.rstrip('/')}/") else ""


def _add(listing: Listing, name: str) -> None:
    kind = find_hidden(name)
    if kind is None:
        listing.files.append(name)
    else:
        listing.hidden[kind] += 1


def _list_local(root: str, listing: Listing, ours: str) -> None:
    top = os.path.realpath(root)
    seen = {ours}
    links: list[tuple[str, str]] = []
    _walk(root, "", listing, links, seen, ours)
    while links:
        name, target = links.pop(0)
        if target in seen or f"{top}/".startswith(f"{target.rstrip('/')}/"):
            listing.special["link to a folder that is listed already"] += 1
        else:
            _walk(target, name, listing, links, seen, ours)


def _walk(
    folder: str,
    prefix: str,
    listing: Listing,
    links: list[tuple[str, str]],
    seen: set[str],
    ours: str,
) -> None:
    """List a real folder whose files are called ``prefix/...``; links to folders are put aside."""
    waiting = [(folder, prefix)]
    while waiting:
        place, name = waiting.pop()
        seen.add(os.path.realpath(place))
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            kind = find_hidden(name)  # such as lost+found
            if kind is None:
                listing.broken.append((name or ".", f"the folder cannot be read: {error.strerror}"))
            else:
                listing.hidden[kind] += 1
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
                if not ours or os.path.realpath(entry.path) != ours:
                    waiting.append((entry.path, path))
            elif stat.S_ISREG(mode):
                _add(listing, path)
            elif find_hidden(path) is None:
                listing.special[_SPECIAL.get(stat.S_IFMT(mode), "special file")] += 1
                listing.special_names.append(path)


_SPECIAL = {
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}

_PACKED = re.compile(
    r"\.(?:(?:tar|tsv|csv|parquet)\.(?:gz|bz2|xz|zst|lz4|zip|7z)|tgz|tbz2|txz|zip|7z|rar)$",
    re.IGNORECASE,
)


def warn_unread(place: str, names: Sequence[str], used: Collection[str], images: str = "") -> None:
    """Say which files of a folder look like data and are not read: packed ones, and images beside tars.

    Args:
        place: The folder, as a person knows it.
        names: Of its files.
        used: Those that are read. Packed files of these are copies, and not told.
        images: What reads images that lie there as they are; empty says nothing of them.
    """
    there = set(names)
    packed = [name for name in names if name not in used and _PACKED.search(name)]
    packed = [name for name in packed if name.rpartition(".")[0] not in there]
    loose = [name for name in names if images and is_image_name(split_ending(name)[1])]
    for found, cure in ((packed, "Unpack them to have them read"), (loose, images)):
        if found:
            shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
            warn_once(f"{place} holds {len(found):,} files that are not read: {shown}. {cure}.")
