"""Which of several processes of one command has which shard.

What a killed process was doing is not tried by the next one, which it might kill as well; shards that it
had only laid aside for later are free again. A shard that failed is tried once, not by each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

FREE = 0
ENDED = 2**31 - 1
"""Done, or failed, or found done."""


class Board:
    """A number for each shard, in memory that the processes share.

    Only who holds a shard's lock writes its number, so it needs no lock of its own, which a killed process
    would keep. ``n`` means that process ``n - 1`` holds the shard for later, ``-n`` that it is doing it.

    Args:
        cells: An int32 for each shard: ``multiprocessing.RawArray``.
        ordinals: The shards, in the order of the cells.
        seat: Which process we are, from 0; None for the one that watches.
    """

    def __init__(self, cells: Any, ordinals: Sequence[int], seat: int | None = None) -> None:
        self._cells = cells
        self._place = {ordinal: place for place, ordinal in enumerate(ordinals)}
        self._number = 0 if seat is None else seat + 1

    def claim(self, ordinal: int) -> bool:
        """Take a shard whose lock we hold; False if that is no use: it is ended, or its process died in it."""
        cell = self._cells[self._place[ordinal]]
        if cell == ENDED or cell < 0:
            return False
        self._cells[self._place[ordinal]] = self._number
        return True

    def do(self, ordinal: int) -> None:
        """Say that we do a shard now, of those that we have claimed."""
        self._cells[self._place[ordinal]] = -self._number

    def end(self, ordinal: int) -> None:
        """Say that a shard of ours is done, or has failed."""
        self._cells[self._place[ordinal]] = ENDED

    def is_settled(self, ordinal: int) -> bool:
        """Whether a shard will never be ours: ended, or being done by another process."""
        cell: int = self._cells[self._place[ordinal]]
        return cell == ENDED or (cell < 0 and cell != -self._number)

    def done_by(self, seat: int) -> list[int]:
        """Ordinals of the shards that a process is doing, or was when it died: one at most."""
        return [n for n, place in self._place.items() if self._cells[place] == -(seat + 1)]

    def unended(self) -> list[int]:
        """Ordinals of the shards that nobody has ended."""
        return [n for n, place in self._place.items() if self._cells[place] != ENDED]
