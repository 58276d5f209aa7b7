"""A process that kills or stops itself in the middle of what it does."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any


def die_at(
    call: int,
    *names: str,
    sent: signal.Signals = signal.SIGKILL,
    is_after: bool = False,
    since: str = "",
) -> None:
    """From now on the n-th call of any of these functions of ``os`` kills this process; 0 never does.

    Args:
        call: Which.
        names: Of the functions.
        sent: Another signal than the one that kills.
        is_after: When the call is done, not before.
        since: Count anew after each call whose last argument has this in it, and not before the first.
    """
    left = 0 if since else call

    def die() -> None:
        # To this thread: one that is sent to the process may find another, and this one goes on a little.
        signal.pthread_kill(threading.get_ident(), sent)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            is_now, left = left == 1, max(0, left - 1)
            if is_now and not is_after:
                die()
            result = function(*arguments, **options)
            if is_now and is_after:
                die()
            if since and left == 0 and since in str(arguments[-1]):
                left = call
            return result

        return counting

    for name in names:
        setattr(os, name, counted(getattr(os, name)))
