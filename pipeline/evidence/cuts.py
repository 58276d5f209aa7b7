"""How the units of a layer are cut into blocks that are read at once: at powers of two, where row groups end.

Shards hold row groups of 128 units or of more. A block that began in the middle of one would have it read
and decoded twice.
"""

from __future__ import annotations

from collections.abc import Iterator


def units_at_once(most: int, unit_count: int | None = None) -> int:
    """How many units a block has: all that there are, or a power of two; at least one.

    Args:
        most: So many fit.
        unit_count: Units that there are, if all of them may be one block.
    """
    if unit_count is not None and most >= unit_count:
        return max(1, unit_count)
    return 1 << (max(1, most).bit_length() - 1)


def cut(units: range, step: int) -> Iterator[range]:
    """Consecutive units in blocks of so many; the last may have fewer."""
    for first in range(units.start, units.stop, step):
        yield range(first, min(first + step, units.stop))
