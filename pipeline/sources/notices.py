"""What is told of an example that is used: what was left out of it, and why. It becomes ``notices``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_SHOWN = 5
_DETAIL_LENGTH = 500

TEXT_LEFT_OUT = "text_left_out"
"""A caption that is no text: a number, true, NaN, a word such as None, an object of another form."""
TEXT_EMPTY = "text_empty"
"""A caption that is there and says nothing: null, blank, a file of 0 bytes."""
TEXT_UNREADABLE = "text_unreadable"
"""Bytes in an unknown encoding, JSON that does not parse, a member or file that cannot be read."""
TEXT_GUESSED = "text_guessed"
"""Read, but in an encoding that the file does not state."""
TEXT_MENDED = "text_mended"
"""Read, but for characters that no text may have."""
TEXT_NOT_USED = "text_not_used"
"""A text of an example that says otherwise than the one that is used, or lies where none is read."""
HIDDEN_FILE = "hidden_file"
"""Passed over: see `pipeline.base.names.find_hidden`."""
OTHER_FILE = "other_file"
"""Passed over: neither an image nor a text."""
SPECIAL_FILE = "special_file"
"""Passed over: a pipe, a socket, a device, or a link that leads round in a circle."""


@dataclass(frozen=True)
class Notice:
    """One thing that is told of an example."""

    reason: str
    """A word to count by."""
    detail: str
    """What was seen, for a person."""
    count: int = 1
    """How many texts or files it tells of."""


class Notices:
    """Collects what is told of one example: at most one notice a reason."""

    def __init__(self) -> None:
        self._details: dict[str, list[str]] = {}

    def add(self, reason: str, detail: str) -> None:
        """Tell one more thing."""
        self._details.setdefault(reason, []).append(detail)

    def __iter__(self) -> Iterator[Notice]:
        for reason, details in self._details.items():
            shown = "; ".join(details[:_SHOWN])[:_DETAIL_LENGTH]
            more = len(details) - _SHOWN
            tail = f"; and {more:,} more" if more > 0 else ""
            yield Notice(reason, f"{shown}{tail}", len(details))


def merge_notices(notices: Iterable[Notice]) -> tuple[Notice, ...]:
    """One notice a reason."""
    found = Notices()
    for notice in notices:
        found.add(notice.reason, notice.detail)
    return tuple(found)


class PassedOver:
    """Counts the files that are passed over, by reason and kind."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, reason: str, kind: str, count: int = 1) -> None:
        """So many more files."""
        self.counts[reason, kind] += count

    def __iter__(self) -> Iterator[Notice]:
        return describe_counts(self.counts)


def describe_counts(counts: Counter[tuple[str, str]]) -> Iterator[Notice]:
    """One notice a reason: how many files of each kind, most first."""
    by_reason: dict[str, Counter[str]] = {}
    for (reason, kind), count in counts.items():
        by_reason.setdefault(reason, Counter())[kind] += count
    for reason, kinds in sorted(by_reason.items()):
        ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
        listed = ", ".join(f"{kind}: {count:,}" for kind, count in ordered)
        yield Notice(reason, listed[:_DETAIL_LENGTH], kinds.total())
