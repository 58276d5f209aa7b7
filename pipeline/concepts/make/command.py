"""What the programs that write shipped data have in common: where sources are kept, and ``--check``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_cache_path

from pipeline.base.errors import NeuronsError
from pipeline.concepts.make.packages import Archive, Package, fetch


class Given(NamedTuple):
    """What a program is to work on."""

    archives: dict[str, Archive]
    """Of each package, by its key."""
    is_check: bool
    """Write nothing: only look whether what ships would change."""


def read_given(module: str, about: str | None, packages: Mapping[str, Package]) -> Given:
    """Read the arguments of ``python -m MODULE`` and fetch its packages; status 2 if one cannot be had."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    parser.add_argument(
        "--sources",
        type=Path,
        default=user_cache_path("neurons", appauthor=False) / "lexicon-sources",
        help="folder that keeps the fetched packages of all such programs (default: %(default)s)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit with status 1 if the file that ships would change",
    )
    arguments = parser.parse_args()
    try:
        archives = {key: fetch(one, arguments.sources) for key, one in packages.items()}
    except NeuronsError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(2)
    return Given(archives, arguments.check)


def tell_state(given: Given, is_same: bool) -> str:
    """What became of a file."""
    return "unchanged" if is_same else "it would change" if given.is_check else "written"
