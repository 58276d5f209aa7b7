"""``python -m pipeline.stimuli.make_world``: write the map that ships, or check it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from platformdirs import user_cache_path

from pipeline.base.errors import NeuronsError
from pipeline.concepts.make.packages import fetch
from pipeline.stimuli.make_world.countries import SOURCES, build_world, write_world
from pipeline.stimuli.world import WORLD


def main() -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.stimuli.make_world", description=__doc__
    )
    parser.add_argument(
        "--sources",
        type=Path,
        default=user_cache_path("neurons", appauthor=False) / "lexicon-sources",
        help="folder that keeps the fetched packages, those of the lexicon too (default: %(default)s)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit with status 1 if the file that ships would change",
    )
    arguments = parser.parse_args()
    try:
        archives = {key: fetch(one, arguments.sources) for key, one in SOURCES.items()}
    except NeuronsError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 2
    file, left_out = build_world(archives)
    text = write_world(file)
    is_same = WORLD.is_file() and WORLD.read_text(encoding="utf-8") == text
    if not arguments.check:
        WORLD.write_text(text, encoding="utf-8")
    state = "unchanged" if is_same else "it would change" if arguments.check else "written"
    countries = file["countries"]
    unnamed = [one["name"] for one in countries if not one["is_concept"]]
    points = sum("at" in one for one in countries)
    sys.stdout.write(
        f"{WORLD.name}: {len(countries)} countries, {points} of them points, "
        f"{len(text.encode()):,} bytes, {state}\n"
        f"no concept of the lexicon: {', '.join(unnamed)}\n"
        f"not on the map: {', '.join(left_out)}\n"
    )
    return 1 if arguments.check and not is_same else 0


if __name__ == "__main__":
    sys.exit(main())
