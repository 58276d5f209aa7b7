"""Which tars a person means: files, folders, globs, brace ranges, and URLs of any of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from braceexpand import braceexpand

from pipeline.errors import ShardError
from pipeline.folders import list_folder
from pipeline.names import find_hidden
from pipeline.places import is_chain, is_url, list_pattern, open_place, spell_place, split_pattern


def expand_shards(paths: Sequence[str]) -> list[str]:
    """List the tars that paths mean: files, folders, globs, brace ranges, URLs of any of these.

    Within a folder or glob tars are sorted by name; otherwise the given order stands. A folder that
    holds no tar itself means those of its subfolders, at any depth.

    Returns:
        Absolute local paths, or URLs.

    Raises:
        ShardError: A path or a member of a brace range is not there, nothing was found, or a tar is
            listed twice.
    """
    found: list[str] = []
    for path in paths:
        try:
            found += _expand(str(path))
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


def _expand(path: str) -> list[str]:
    members = _expand_braces(path)
    if members != [path]:
        listed = [url for member in members for url in _list_one(member)]
        missing = [url for url in listed if not _exists(url)]
        if missing:
            raise ShardError(
                f"{len(missing)} of the {len(listed)} shards of {path} are not there: "
                f"{', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}.",
                "Correct the range, or bring the missing shards.",
            )
        return listed
    found = _list_one(path)
    if not found:
        raise ShardError(f"{path} holds no .tar file.", "Expected a folder or glob of .tar files.")
    missing_one = next((url for url in found if not _exists(url)), None)
    if missing_one is not None:
        fs, inner = open_place(missing_one)
        what = "is no file (a pipe, a socket or a device)" if fs.exists(inner) else "is not there"
        raise ShardError(
            f"Shard {missing_one} {what}.", "Check the path; relative paths start here."
        )
    return found


def _expand_braces(path: str) -> list[str]:
    if is_url(path):
        return list(braceexpand(path, escape=False)) if "{" in path else [path]
    folder, rest = split_pattern(path)
    if "{" not in rest:
        return [path]
    return [f"{folder.rstrip('/')}/{part}" for part in braceexpand(rest, escape=False)]


def _list_one(path: str) -> list[str]:
    """The tars of a folder or glob, or the path itself; one spelling for each place."""
    if is_url(path) and is_chain(path):
        first, rest = path.split("::", 1)
        if "://" not in first and is_url(rest):  # a cache before another URL: it keeps its place
            return [f"{first}::{url}" for url in _list_one(rest)]
        return [path]
    fs, inner = open_place(path)
    if fs.isdir(inner):
        items = _tars_in(fs, inner)
    elif any(letter in path for letter in "*?[") and not fs.exists(inner):
        found = list_pattern(fs, inner)
        items = [item for item in found if _is_tar(item.rsplit("/", 1)[-1])]
        items = items or [tar for item in found if fs.isdir(item) for tar in _tars_in(fs, item)]
    else:
        items = [inner]
    return [spell_place(fs, item) for item in items]


def _tars_in(fs: Any, folder: str) -> list[str]:
    items = sorted(map(str, fs.ls(folder, detail=False)))
    at_top = [item for item in items if _is_tar(item.rsplit("/", 1)[-1])]
    if at_top:
        return at_top
    below = (name for name in list_folder(fs, folder).files if _is_tar(name))
    return [f"{folder.rstrip('/')}/{name}" for name in below]


def _is_tar(name: str) -> bool:
    return name.lower().endswith(".tar") and find_hidden(name) is None


def _exists(url: str) -> bool:
    fs, inner = open_place(url)
    return bool(fs.isfile(inner))
