"""``python -m pipeline.stimuli.make_world``: write the map that ships, or check it."""

from __future__ import annotations

import sys

from pipeline.concepts.make.command import read_given, tell_state
from pipeline.stimuli.make_world.countries import SOURCES, build_world, write_world
from pipeline.stimuli.world import WORLD


def main() -> int:
    """Run the command; its exit status."""
    given = read_given("pipeline.stimuli.make_world", __doc__, SOURCES)
    file, left_out = build_world(given.archives)
    text = write_world(file)
    is_same = WORLD.is_file() and WORLD.read_text(encoding="utf-8") == text
    if not given.is_check:
        WORLD.write_text(text, encoding="utf-8")
    countries = file["countries"]
    unnamed = [one["name"] for one in countries if not one["is_concept"]]
    points = sum("at" in one for one in countries)
    sys.stdout.write(
        f"{WORLD.name}: {len(countries)} countries, {points} of them points, "
        f"{len(text.encode()):,} bytes, {tell_state(given, is_same)}\n"
        f"no concept of the lexicon: {', '.join(unnamed)}\n"
        f"not on the map: {', '.join(left_out)}\n"
    )
    return 1 if given.is_check and not is_same else 0


if __name__ == "__main__":
    sys.exit(main())
