"""Cells of CSV files: what a spreadsheet opens stays text.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula and runs it, whoever
wrote the caption, the label or the file name that stands there (CWE-1236). Such a text has an apostrophe
before it, the sign of spreadsheets for text, in every CSV that we write; what reads one takes it off again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
"""How a cell begins that a spreadsheet would calculate (also behind apostrophes, so that taking one off
is always right); the page of a sheet, ``labelling/sheet.html``, knows the same."""


def guard_cell(text: str) -> str:
    """A cell that a spreadsheet shows and does not calculate; `read_cell` gives the text again."""
    return f"'{text}" if _FORMULA.match(text) else text


def read_cell(text: str) -> str:
    """What `guard_cell` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def guard_row(values: Iterable[object]) -> list[object]:
    """A row for ``csv.writer``; what is no text, numbers below zero too, is as it is."""
    return [guard_cell(value) if isinstance(value, str) else value for value in values]
