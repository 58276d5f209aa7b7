"""``python -m pipeline.concepts.make``: write the lexicon that ships, or check it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

from pipeline.base.errors import NeuronsError
from pipeline.concepts.lexicon import LEXICON
from pipeline.concepts.make.packages import PACKAGES, fetch
from pipeline.concepts.make.table import build_lexicon, write_lexicon
from pipeline.concepts.phrases import COMPOUNDS


def main() -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.concepts.make", description=__doc__)
    parser.add_argument(
        "--sources",
        type=Path,
        default=user_cache_path("neurons", appauthor=False) / "lexicon-sources",
        help="folder that keeps the fetched packages (default: %(default)s)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit with status 1 if the file that ships would change",
    )
    arguments = parser.parse_args()
    try:
        archives = {key: fetch(one, arguments.sources) for key, one in PACKAGES.items()}
    except NeuronsError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 2
    terms, compounds = build_lexicon(archives)
    listed = "".join(f"{phrase}\n" for phrase in compounds)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / LEXICON.name
        write_lexicon(terms, made)
        new = {LEXICON: made.read_bytes(), LEXICON.with_name(COMPOUNDS): listed.encode()}
        is_same = all(path.is_file() and path.read_bytes() == data for path, data in new.items())
        if not arguments.check:
            for path, data in new.items():
                path.write_bytes(data)
    state = "unchanged" if is_same else "it would change" if arguments.check else "written"
    sys.stdout.write(
        f"{LEXICON.name}: {len(terms):,} rows, {COMPOUNDS}: {len(compounds):,}, {state}\n"
    )
    return 1 if arguments.check and not is_same else 0


if __name__ == "__main__":
    sys.exit(main())
