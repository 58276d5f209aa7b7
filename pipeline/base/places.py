"""Local path or URL: the one place that decides, for every path that a person gives.

A path that exists is that path, whatever letters it is written in (``a::b``, ``c:d``, ``~x``, ``100%``,
``[1]``, ``{a,b}``, ``*``). Otherwise what begins with ``scheme://`` is a URL, and so is a chain such as
``simplecache::s3://bucket/key``; ``file://`` URLs are local paths; all the rest is a local path.
"""

from __future__ import annotations

import glob
import os
import re
from typing import Any
from urllib.parse import unquote

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipeline.base.credentials import refuse_credentials
from pipeline.base.errors import ConfigError, MissingDependencyError

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*"
_URL = re.compile(rf"(?:{_SCHEME}::)*{_SCHEME}://")
_CHAIN = re.compile(rf"::{_SCHEME}(?:://|::)|^(?:{_SCHEME}::)")


def is_url(path: str) -> bool:
    """Whether a path is a URL of anything but a local file."""
    return not os.path.lexists(_printable(path)) and bool(
        _URL.match(path) and not path.startswith(("file://", "local://"))
    )


def is_chain(url: str) -> bool:
    """Whether a URL is a chain of several, and not a key with colons in it."""
    return bool(_CHAIN.search(url))


def open_place(path: str, **options: Any) -> tuple[Any, str]:
    """The filesystem of a path or URL, and the path as that filesystem wants it (local: absolute).

    Args:
        path: As a person gave it, or as `spell_place` wrote it.
        options: For the filesystem of a URL.

    Raises:
        MissingDependencyError: The package for that kind of URL is not installed.
        ConfigError: There is no such kind of URL, or it holds credentials.
    """
    if not is_url(path):
        return LocalFileSystem(), local_path(path)
    refuse_credentials(path)
    scheme = path.split(":", 1)[0]
    try:
        if "::" in path and not is_chain(path):
            kind = fsspec.get_filesystem_class(scheme)
            known = kind._get_kwargs_from_urls(path)
            fs, inner = kind(**known, **options), str(kind._strip_protocol(path))
        else:
            fs, inner = fsspec.core.url_to_fs(path, **options)
        if hasattr(fs, "encode_url"):
            fs.encode_url(str(inner))  # else aiohttp says it when the first file is opened
    except ImportError as error:
        raise MissingDependencyError(
            f"{path!r} needs a package that is not installed.",
            f"pip install 'multimodal-neurons[{scheme}]', or the fsspec package for {scheme}.",
        ) from error
    except (ValueError, TypeError) as error:  # a type where its URL lacks what it needs
        raise ConfigError(
            f"{path!r} is not a place we can read or write: {error}.",
            "Give a local path, or a URL such as s3://bucket/folder.",
        ) from error
    return fs, str(inner)


def local_path(path: str) -> str:
    """The absolute local path of a path that is no URL of another kind.

    ``file://`` URLs are taken as they stand if such a file exists, else percent-decoded; a leading
    ``~`` is the home folder unless there is a file of that name.
    """
    for scheme in ("file://", "local://"):
        if path.startswith(scheme):
            path = path.removeprefix(scheme)
            decoded = unquote(path)
            path = path if os.path.lexists(_printable(path)) else decoded
    path = _printable(path)
    if path.startswith("~") and not os.path.lexists(path):
        path = os.path.expanduser(path)  # noqa: PTH111
    return os.path.abspath(path)  # noqa: PTH100


def spell_place(fs: Any, path: str) -> str:
    """A path of a filesystem in the spelling that `open_place` reads: local absolute, or a URL."""
    return path if isinstance(fs, LocalFileSystem) else str(fs.unstrip_protocol(path))


def split_pattern(path: str) -> tuple[str, str]:
    """Split a local path before the first part that does not exist: (folder, the rest).

    Only the rest can be a pattern: the folder is meant as it is written.
    """
    folder = local_path(path)
    rest: list[str] = []
    while not os.path.lexists(folder):
        folder, part = os.path.split(folder)
        rest.insert(0, part)
    return folder, "/".join(rest)


def list_pattern(fs: Any, path: str) -> list[str]:
    """The files that a glob means, sorted; paths as the filesystem wants them."""
    if not isinstance(fs, LocalFileSystem):
        return sorted(map(str, fs.glob(path)))
    folder, rest = split_pattern(path)
    found = glob.glob(rest, root_dir=folder, recursive=True) if rest else []  # noqa: PTH207
    return sorted(f"{folder.rstrip('/')}/{name}" for name in found)


def _printable(path: str) -> str:
    return path.replace("\0", "\ufffd")  # the system takes no NUL
