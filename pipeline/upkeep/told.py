"""What a build did to parts that had been built before, in words: which marts grew, and which are whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.upkeep.build import BuildSummary
from pipeline.upkeep.marts import Made
from pipeline.warehouse.growth import BOUNDED, KEEPING, WHOLE


def tell_growth(done: BuildSummary) -> list[str]:
    """Lines for each part that has other shards than an earlier build saw; none of other parts."""
    parts = dict.fromkeys(one.part for one in done.made if one.part in done.grown)
    return [line for part in parts for line in _tell([m for m in done.made if m.part == part])]


def _tell(made: Sequence[Made]) -> Iterator[str]:
    """Of one part."""
    whole = [one for one in made if one.name in WHOLE]
    yield (
        f"{made[0].part.told} had been built: {len(whole)} of {len(made)} marts are made whole, "
        f"{_seconds(whole)} of {_seconds(made)}"
    )
    groups: dict[str, list[Made]] = {}
    for one in made:
        if one.added is not None and one.name in KEEPING:
            how = "of neurons whose top images are others now"
        elif one.added is not None:
            how = f"grown by {one.added} shards"
        elif one.name in BOUNDED:
            how = f"from {BOUNDED[one.name]}"
        else:
            how = f"whole, since {WHOLE.get(one.name, 'earlier shards are not what they were')}"
        groups.setdefault(how, []).append(one)
    for how, some in groups.items():
        yield f"  {how}: {', '.join(f'{one.name} {one.seconds:.1f} s' for one in some)}"


def _seconds(made: Sequence[Made]) -> str:
    return f"{sum(one.seconds for one in made):.1f} s"
