"""Waiting for what must come, on machines that are slow, or busy with other things."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

LIMIT_S = 900
"""Who waits in vain gives up after this. Where all goes well it costs nothing, on a machine ten times
slower neither."""

_UNIT_S = 0.07
"""What :func:`_unit_of_work` takes on two cores of 2024."""


def _unit_of_work() -> float:
    """Seconds, by the clock, that a fixed piece of work takes here and now."""
    begin = time.perf_counter()
    assert sum(n * n % 7 for n in range(500_000)) > 0
    return time.perf_counter() - begin


def patience(seconds: float) -> float:
    """A limit that is part of a promise ("soon"), in seconds of this machine as busy as it is now."""
    return seconds * max(1.0, max(_unit_of_work() for _ in range(3)) / _UNIT_S)


def wait_for(
    is_true: Callable[[], object],
    process: subprocess.Popen[bytes] | subprocess.Popen[str] | None = None,
    say: Callable[[], str] = lambda: "waited in vain",
) -> None:
    """Until something holds.

    Args:
        is_true: Asked twenty times a second.
        process: Fail at once when it ends first: it was to bring this about.
        say: What to tell on failure, such as a log.
    """
    end = time.monotonic() + LIMIT_S
    while not is_true():
        assert process is None or process.poll() is None or is_true(), say()
        assert time.monotonic() < end, say()
        time.sleep(0.05)
