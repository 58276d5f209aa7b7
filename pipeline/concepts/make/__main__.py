"""``python -m pipeline.concepts.make``: write the lexicon that ships, or check it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pipeline.concepts.lexicon import LEXICON
from pipeline.concepts.make.command import read_given, tell_state
from pipeline.concepts.make.packages import PACKAGES
from pipeline.concepts.make.table import build_lexicon, write_lexicon
from pipeline.concepts.phrases import COMPOUNDS


def main() -> int:
    """Run the command; its exit status."""
    given = read_given("pipeline.concepts.make", __doc__, PACKAGES)
    terms, compounds = build_lexicon(given.archives)
    listed = "".join(f"{phrase}\n" for phrase in compounds)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / LEXICON.name
        write_lexicon(terms, made)
        new = {LEXICON: made.read_bytes(), LEXICON.with_name(COMPOUNDS): listed.encode()}
        is_same = all(path.is_file() and path.read_bytes() == data for path, data in new.items())
        if not given.is_check:
            for path, data in new.items():
                path.write_bytes(data)
    sys.stdout.write(
        f"{LEXICON.name}: {len(terms):,} rows, {COMPOUNDS}: {len(compounds):,}, {tell_state(given, is_same)}\n"
    )
    return 1 if given.is_check and not is_same else 0


if __name__ == "__main__":
    sys.exit(main())
