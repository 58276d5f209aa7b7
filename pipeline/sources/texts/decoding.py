"""From the bytes of a text file to its text. Whatever the bytes are, nothing is raised.

The rule: a byte order mark is believed; UTF-8 is read; UTF-16 without a mark is known by its zeros; bytes
that are mostly ASCII, and Western letters and signs otherwise, are read as Windows-1252 (which holds
Latin-1); anything else is left out. The last three are told.
"""

from __future__ import annotations

import codecs
from itertools import pairwise

from pipeline.sources.notices import TEXT_GUESSED, TEXT_UNREADABLE, Notices

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MIN_ASCII_FRAC = 0.6
"""Shift-JIS, GBK, KOI8 and other encodings of texts that are not in Latin letters have far less."""


def decode_text(data: bytes, notices: Notices, what: str) -> str | None:
    """The text of a file, or None if it cannot be known.

    Args:
        data: The file.
        notices: Told of what was guessed or left out.
        what: What to call the file.
    """
    encoding = find_encoding(data)
    if encoding is not None:
        if not data.startswith(tuple(mark for mark, _ in _MARKS)):
            notices.add(TEXT_GUESSED, f"{what} has no byte order mark; read as {encoding.upper()}")
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            notices.add(TEXT_UNREADABLE, f"{what} has a mark of {encoding}: {error}")
            return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if _looks_western(data):
            notices.add(TEXT_GUESSED, f"{what} is not UTF-8; read as Windows-1252")
            return data.decode("cp1252")
        problem = f"byte 0x{data[error.start]:02x} at position {error.start:,}"
        notices.add(TEXT_UNREADABLE, f"{what} is not UTF-8 ({problem}), nor any encoding we know")
        return None


def find_encoding(data: bytes) -> str | None:
    """The encoding that a byte order mark or the zeros of UTF-16 tell, or None: most likely UTF-8."""
    marked = (encoding for mark, encoding in _MARKS if data.startswith(mark))
    return next(marked, None) or _find_utf16(data)


def _find_utf16(data: bytes) -> str | None:
    """UTF-16 of mostly Latin letters: every other byte is zero, and the rest are not."""
    if len(data) < 4 or len(data) % 2 or 0 not in data:
        return None
    low, high = data[0::2], data[1::2]
    half = len(low)
    for name, zeros, letters in (("utf-16-le", high, low), ("utf-16-be", low, high)):
        if zeros.count(0) >= 0.6 * half and letters.count(0) == 0:
            try:
                data.decode(name)
            except UnicodeDecodeError:
                return None
            return name
    return None


def _looks_western(data: bytes) -> bool:
    ascii_count = sum(byte < 0x80 for byte in data)
    if ascii_count < _MIN_ASCII_FRAC * len(data):
        return False
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    odd = [letter for letter in text if letter > "\x7f"]
    # UTF-8 that was cut or holds surrogates has continuation bytes beside its lead byte
    pairs = sum(a >= 0xC0 and 0x80 <= b < 0xC0 for a, b in pairwise(data))
    return all(letter.isalpha() or letter in _SIGNS for letter in odd) and not pairs


_SIGNS = frozenset("\u00a0€…–—‘’“”„•™«»°·®©§£")
"""Signs of running text; the others (¹ ³ ¿ ...) are mostly letters of another encoding."""
