"""The command line with somebody who presses Ctrl-C."""

from __future__ import annotations

import subprocess
import sys

from waiting import LIMIT_S

# It presses the key itself, as soon as it says that its work begins: a hand outside can come too late.
_PRESSING = """
import io, os, signal, sys, threading

signal.signal(signal.SIGINT, signal.default_int_handler)

class Pressing(io.TextIOWrapper):
    def write(self, text):
        if "begins" in text:
            threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
        return super().write(text)

sys.stderr = Pressing(sys.stderr.buffer, encoding="utf-8", line_buffering=True)
sys.argv = ["neurons", *sys.argv[1:]]
from pipeline.cli.entry import main
main()
"""


def press_when_it_begins(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command that is interrupted at the beginning of its work."""
    return subprocess.run(
        [sys.executable, "-c", _PRESSING, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
