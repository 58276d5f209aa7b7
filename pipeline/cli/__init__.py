"""The command line: arguments in, answers printed. `main` is the command ``neurons``."""

from pipeline.cli.entry import main

__all__ = ["main"]
