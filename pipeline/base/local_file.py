"""What is read or written on this machine alone: a path, never a URL."""

from __future__ import annotations

from pathlib import Path

from pipeline.base.errors import ConfigError


def local_file(path: str) -> Path:
    """The path of a file or folder that a person named, as a parser of the command line.

    Raises:
        ConfigError: It is a URL: as a path it would be a folder called ``s3:``.
    """
    from pipeline.base.places import is_url  # it imports fsspec, which takes a third of a second

    if "://" in path and is_url(path):
        raise ConfigError(
            f"{path!r} is a URL; here a file or folder of this machine is meant.",
            "Give a local path, and copy the file from or to the URL.",
        )
    return Path(path)
