"""Which tars a person means: files, folders, globs, brace ranges, and URLs of any of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from braceexpand import braceexpand

from pipeline.base.errors import ShardError
from pipeline.base.folders import list_folder, warn_unread
from pipeline.base.names import find_hidden
from pipeline.base.places import (
    is_chain,
    is_url,
    list_pattern,
    open_place,
    spell_place,
    split_pattern,
)

FindTars = Callable[[Sequence[str]], Sequence[str]]
"""From the names of all files below a folder to the names of the tars that it means."""


def find_tars(names: Sequence[str]) -> list[str]:
    """The tars among the files of a folder."""
    return [name for name in names if _is_tar(name)]


def expand_shards(paths: Sequence[str], find: FindTars = find_tars, but: str = "") -> list[str]:
    """List the tars that paths mean: files, folders, globs, brace ranges, URLs of any of these.

    A folder means the tars in it, at any depth, and so does one that a glob matches. Within a folder or
    glob tars are sorted by name; otherwise the given order stands.

    Args:
        paths: As a person gave them.
        find: Which tars a folder means.
        but: A place, our warehouse, whose own tars are left out where a folder holds it.

    Returns:
        Absolute local paths, or URLs.

    Raises:
        ShardError: A path or a member of a brace range is not there, nothing was found, or a tar is
            listed twice.
    """
    found: list[str] = []
    for path in paths:
        try:
            found += _expand(str(path), find, but)
        except (ValueError, FileNotFoundError) as error:
            if not is_url(str(path)):
                raise
            raise ShardError(
                f"{path} could not be listed: {error}.", "Check the URL, and that it is there."
            ) from error
    if not found:
        raise ShardError(
            "No shards were given.", "Give tar files, folders of them, globs or brace ranges."
        )
    seen: set[str] = set()
    for url in found:
        if url in seen:
            raise ShardError(f"{url} is listed {found.count(url)} times.", "Name each shard once.")
        seen.add(url)
    return found


def shard_size(url: str) -> int:
    """Size of a shard in bytes.

    Raises:
        ShardError: It is not there.
    """
    try:
        fs, path = open_place(url)
        return int(fs.size(path))
    except OSError as error:
        raise ShardError(
            f"Shard {url} is not there: {error}.", "Check the path; relative paths start here."
        ) from error


def _expand(path: str, find: FindTars, but: str) -> list[str]:
    members = _expand_braces(path)
    found = [place for member in members for place in _list_one(member, find, but)]
    if not found:
        raise ShardError(f"{path} holds no .tar file.", "Expected a folder or glob of .tar files.")
    missing = [place.url for place in found if not place.is_listed and not _exists(place.url)]
    if missing and members != [path]:
        raise ShardError(
            f"{len(missing)} of the {len(found)} shards of {path} are not there: "
            f"{', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}.",
            "Correct the range, or bring the missing shards.",
        )
    if missing:
        fs, inner = open_place(missing[0])
        what = _NO_FILE if fs.exists(inner) else "is not there"
        raise ShardError(
            f"Shard {missing[0]} {what}.", "Check the path; relative paths start here."
        )
    return [place.url for place in found]


_NO_FILE = "is no file (a pipe, a socket or a device)"


def _expand_braces(path: str) -> list[str]:
    if is_url(path):
        return list(braceexpand(path, escape=False)) if "{" in path else [path]
    folder, rest = split_pattern(path)
    if "{" not in rest:
        return [path]
    return [f"{folder.rstrip('/')}/{part}" for part in braceexpand(rest, escape=False)]


class _Place(NamedTuple):
    url: str
    is_listed: bool
    """Whether a folder said that it is there."""


def _list_one(path: str, find: FindTars, but: str) -> list[_Place]:
    """The tars of a folder or glob, or the path itself; one spelling for each place."""
    if is_url(path) and is_chain(path):
        first, rest = path.split("::", 1)
        if "://" not in first and is_url(rest):  # a cache before another URL: it keeps its place
            found = _list_one(rest, find, but)
            return [place._replace(url=f"{first}::{place.url}") for place in found]
        return [_Place(path, False)]
    fs, inner = open_place(path)
    if fs.isdir(inner):
        return _list_tars(fs, inner, find, but)
    if not any(letter in path for letter in "*?[") or fs.exists(inner):
        return [_Place(spell_place(fs, inner), False)]
    found = []
    for item in list_pattern(fs, inner):
        if fs.isdir(item):
            found += _list_tars(fs, item, find, but)
        elif _is_tar(item.rsplit("/", 1)[-1]):
            found.append(_Place(spell_place(fs, item), False))
    return list({place.url: place for place in found}.values())  # ** gives folders and their files


def _list_tars(fs: Any, folder: str, find: FindTars, but: str) -> list[_Place]:
    """The tars of a folder, at any depth; one that cannot be read is an error, never left out."""
    listing = list_folder(fs, folder, but)
    for name, why in listing.broken:
        if _is_tar(name) or why.startswith("the folder"):
            raise ShardError(
                f"{folder.rstrip('/')}/{name} cannot be read: {why}.",
                "Mend it, or name the tars that are meant.",
            )
    for name in find_tars(listing.special_names):
        what = f"{spell_place(fs, folder.rstrip('/'))}/{name} {_NO_FILE}"
        raise ShardError(f"Shard {what}.", "Move it away, or name the tars that are meant.")
    names = find(listing.files)
    cure = "neurons ingest folder reads images that lie in no tar"
    warn_unread(spell_place(fs, folder), listing.files, names, cure)
    return [_Place(spell_place(fs, f"{folder.rstrip('/')}/{name}"), True) for name in names]


def _is_tar(name: str) -> bool:
    return name.lower().endswith(".tar") and find_hidden(name) is None


def _exists(url: str) -> bool:
    fs, inner = open_place(url)
    return bool(fs.isfile(inner))
