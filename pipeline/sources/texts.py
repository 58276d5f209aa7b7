"""The texts of an example: from a sample's JSON and .txt members to rows of ``texts``.

A text never costs its image: what cannot be read or is no text is left out and told.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.credentials import drop_credentials
from pipeline.sources.captions import NOT_TEXTS, clean_text, iter_captions
from pipeline.sources.decoding import decode_text
from pipeline.sources.languages import is_language, normalise_language, read_language
from pipeline.sources.notices import (
    TEXT_EMPTY,
    TEXT_LEFT_OUT,
    TEXT_MENDED,
    TEXT_NOT_USED,
    TEXT_UNREADABLE,
    Notices,
)

TEXT_KINDS = (
    "caption",
    "attribution",
    "alt",
    "page_title",
    "section_title",
    "section",
    "page",
)
"""Every kind of text that ``texts`` knows."""

SourceText = Mapping[str, str | None]
"""One text in our normal form: language, text_kind, text and, if it has one, page_title."""

_SHORT_KINDS = ("caption", "alt", "attribution")
"""Kinds that may hold a program's word for nothing; a page may well be called NaN."""

_CAPTION_FIELDS = ("caption", "captions", "text")
"""Members of a sample's JSON that may hold its captions, in any case: the first that gives a text is read."""


def make_text(
    text: str, language: object = None, text_kind: str = "caption", page_title: object = None
) -> dict[str, str | None]:
    """One text in our normal form."""
    is_title = isinstance(page_title, str) and bool(page_title.strip())
    return {
        "language": normalise_language(language),
        "text_kind": text_kind,
        "text": text,
        "page_title": clean_text(str(page_title)) if is_title else None,
    }


def drop_repeats(texts: Sequence[SourceText]) -> list[SourceText]:
    """The texts that say something, each (language, kind, text) once, in their order."""
    kept: dict[tuple[object, object, str], SourceText] = {}
    for text in texts:
        words = (text.get("text") or "").strip()
        if words:
            kept.setdefault((text.get("language"), text.get("text_kind"), words), text)
    return list(kept.values())


def parse_record(data: bytes | None, notices: Notices, what: str = ".json") -> dict[str, Any]:
    """The JSON member of a sample; an empty record if it has none or cannot be read.

    JSON that is no object, such as a list of texts, is taken for the caption.

    Args:
        data: The member.
        notices: Told of what cannot be read.
        what: What to call the member.
    """
    if data is None:
        return {}
    text = decode_text(data, notices, what)
    if text is None:
        return {}
    if not text.strip("\0 \t\r\n"):
        notices.add(TEXT_EMPTY, f"{what} is empty")
        return {}
    try:
        record = json.loads(text, strict=False)  # line ends within a text are read
    except (ValueError, RecursionError) as error:
        notices.add(TEXT_UNREADABLE, f"{what} does not parse: {error}")
        return {}
    return record if isinstance(record, dict) else {"caption": record}


def read_texts(
    record: Mapping[str, Any], plain: Mapping[str, bytes], notices: Notices
) -> list[SourceText]:
    """The texts of a sample, in order.

    Our normal form has a list ``texts``. Where it gives none, the first of ``caption``, ``captions`` and
    ``text``, in any case, that gives a text is read, in the language that ``language`` names, and
    only without it the .txt members.

    Args:
        record: The JSON member.
        plain: The .txt members, by extension: ``txt``, or ``de.txt`` for one in German.
        notices: Told of what is left out.
    """
    if isinstance(record.get("texts"), list):
        if own := list(_own_texts(record, notices)):
            return own
        record = {name: value for name, value in record.items() if name != "texts"}
    found = _read_captions(record, notices)
    beside = _read_plain(plain, Notices() if found else notices)
    title = record.get("page_title")
    if not found:
        return [make_text(text, language, page_title=title) for text, language in beside]
    said = {text for text, _ in found}
    for text, _ in beside:
        if text not in said:
            notices.add(TEXT_NOT_USED, f"a .txt says otherwise than the .json: {text[:60]!r}")
    return [make_text(text, language, page_title=title) for text, language in found]


def rank_texts(texts: Sequence[SourceText]) -> Iterator[tuple[int, SourceText]]:
    """Number the texts of each (language, kind) from 1."""
    counts: Counter[tuple[str | None, str | None]] = Counter()
    for text in texts:
        place = (text["language"], text["text_kind"])
        counts[place] += 1
        yield counts[place], text


def read_url(record: Mapping[str, Any]) -> str | None:
    """Where the image came from, as ``url``, ``image_url`` or ``URL`` says, without credentials."""
    for field in ("url", "image_url", "URL"):
        url = record.get(field)
        if isinstance(url, str) and url.strip() and url.strip() not in NOT_TEXTS:
            return drop_credentials(clean_text(url))
    return None


def _read_captions(record: Mapping[str, Any], notices: Notices) -> list[tuple[str, str]]:
    language = next(filter(None, _find_members(record, "language", "lang")), None)
    for value in _find_members(record, "texts", *_CAPTION_FIELDS):
        if found := list(iter_captions(value, notices, language)):
            return found
    return []


def _find_members(record: Mapping[str, Any], *fields: str) -> Iterator[Any]:
    """The members of some names, in their order, in whatever case they are written."""
    for field in fields:
        names = [name for name in record if name.lower() == field]
        yield from (record[name] for name in sorted(names, key=lambda name: name != field))


def _read_plain(plain: Mapping[str, bytes], notices: Notices) -> list[tuple[str, str]]:
    found = []
    for extension, data in sorted(plain.items(), key=lambda item: "." in item[0]):
        text = decode_text(data, notices, f".{extension}")
        if text is None:
            continue
        tag = extension.removesuffix("txt").strip(".").rsplit(".", 1)[-1]
        language = normalise_language(tag) if is_language(tag) else "und"
        clean = clean_text(text).strip()
        if not clean:
            notices.add(TEXT_EMPTY, f".{extension} is blank")
        elif clean in NOT_TEXTS:
            notices.add(TEXT_LEFT_OUT, f".{extension} holds the word {clean!r}")
        else:
            if "\0" in text.strip():
                notices.add(TEXT_MENDED, f"NUL in .{extension}")
            found.append((clean, language))
    return found


def _own_texts(record: Mapping[str, Any], notices: Notices) -> Iterator[SourceText]:
    """The list ``texts``; a stimulus may well say ``None``, since that is what is written in it."""
    outer = record.get("language")
    for entry in record["texts"]:
        if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
            found = iter_captions(entry, notices, outer)
            yield from (make_text(text, language) for text, language in found)
            continue
        text, kind = clean_text(entry["text"]), entry.get("text_kind") or "caption"
        if kind not in TEXT_KINDS:
            known = ", ".join(TEXT_KINDS)
            notices.add(TEXT_LEFT_OUT, f"text_kind {str(kind)[:40]!r} is none of {known}")
        elif not text.strip():
            notices.add(TEXT_EMPTY, "an entry of texts is blank")
        elif kind in _SHORT_KINDS and text.strip() in NOT_TEXTS and not record.get("stimulus"):
            notices.add(TEXT_LEFT_OUT, f"the text is the word {text.strip()!r}")
        else:
            if text != entry["text"]:
                notices.add(TEXT_MENDED, f"NUL or a lone surrogate in {text[:60]!r}")
            tag = entry.get("language")
            yield make_text(text, read_language(tag), kind, entry.get("page_title"))
