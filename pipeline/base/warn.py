"""Warnings for a person: one line in the log ``pipeline`` (standard error), each said once a process."""

from __future__ import annotations

import logging

from pipeline.base.display import show_lines

_said: set[str] = set()


def warn_once(text: str) -> None:
    """Say something that a person should know and that stops nothing.

    Args:
        text: What it is, and what to do if anything.
    """
    if text not in _said:
        _said.add(text)
        logging.getLogger("pipeline").warning("%s", show_lines(text))
