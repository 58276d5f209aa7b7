"""Where the command `neurons` begins: Ctrl-C is heeded before the second that importing takes."""

from __future__ import annotations

import gc
import os
import signal
import sys

STATUS = 130
"""As `interrupts.STATUS`, which is not imported yet."""


def main() -> None:
    """Import the command line and run it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored (nohup, &)
        signal.signal(signal.SIGINT, _leave)
    gc.disable()  # modules are no garbage, and looking through them takes a tenth of the time
    from pipeline.cli.app import main as run
    from pipeline.cli.commands import make_app

    app = make_app(*sys.argv[1:2])  # imports the file of the command
    gc.freeze()
    gc.enable()
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # `interrupts` takes over
    run(app)


def _leave(*_: object) -> None:
    os.write(2, b"Interrupted before anything began.\n")
    os._exit(STATUS)  # an exception in the middle of an import would come out as any other one
