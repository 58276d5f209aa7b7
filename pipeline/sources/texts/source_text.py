"""The texts of an example: from a sample's JSON and .txt members to rows of ``texts``.

What a source states that an image shows, in words that are no text, stands among them as `CONCEPT`.

A text never costs its image: what cannot be read or is no text is left out and told.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pipeline.base.secrets import drop_credentials
from pipeline.base.settings import TextKind
from pipeline.sources.notices import (
    TEXT_EMPTY,
    TEXT_LEFT_OUT,
    TEXT_MENDED,
    TEXT_NOT_USED,
    TEXT_UNREADABLE,
    Notices,
)
from pipeline.sources.texts.captions import NOT_TEXTS, clean_text, iter_captions
from pipeline.sources.texts.decoding import decode_text
from pipeline.sources.texts.languages import is_language, normalise_language, read_language
from pipeline.tables.samples import name_records

TEXT_KINDS: tuple[str, ...] = get_args(TextKind)
"""Every kind of text that ``texts`` knows."""

SourceText = Mapping[str, str | None]
"""One text in our normal form: language, text_kind, text and, if it has one, page_title."""

CONCEPT = "concept"
"""The kind of what a source states that an image shows: ``text`` is the concept, ``page_title`` its category.
No text, and no `TextKind`: models do not read it, and no phrase is looked for in it."""

OWN_CATEGORY = "own"
"""The category of a concept that is stated without one."""

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


def make_concept(concept: object, category: object = None) -> SourceText | None:
    """What a source states that an image shows; None where that is no word."""
    if not isinstance(concept, str) or not (name := " ".join(clean_text(concept).split())):
        return None
    family = " ".join(clean_text(category).split()) if isinstance(category, str) else ""
    return {
        "language": "und",
        "text_kind": CONCEPT,
        "text": name,
        "page_title": family or OWN_CATEGORY,
    }


def split_concepts(
    texts: Sequence[SourceText],
) -> tuple[list[SourceText], list[dict[str, str | None]]]:
    """The texts, and what is stated beside them, as the member ``concepts`` of a sample's JSON has it."""
    stated = [text for text in texts if text["text_kind"] == CONCEPT]
    return (
        [text for text in texts if text["text_kind"] != CONCEPT],
        [{"concept": text["text"], "category": text["page_title"]} for text in stated],
    )


def drop_repeats(texts: Sequence[SourceText]) -> list[SourceText]:
    """The texts that say something, each (language, kind, text) once, in their order.

    Concepts once in each category.
    """
    kept: dict[tuple[object, object, object, str], SourceText] = {}
    for text in texts:
        words = (text.get("text") or "").strip()
        if words:
            kind = text.get("text_kind")
            family = text.get("page_title") if kind == CONCEPT else None
            kept.setdefault((text.get("language"), kind, family, words), text)
    return list(kept.values())


def parse_record(data: bytes | None, notices: Notices, what: str = ".json") -> Mapping[str, Any]:
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


@dataclass(frozen=True)
class Sidecars:
    """What the files beside an image say of it."""

    texts: Sequence[SourceText]
    """In order."""
    url: str | None
    """Where the image came from."""
    records: Sequence[Mapping[str, Any]]
    """The JSON that was read, first the one that goes first."""


def read_sidecars(files: Mapping[str, bytes], image: str, notices: Notices) -> Sidecars:
    """Read the JSON and .txt that belong to one image, in a tar or in a folder.

    Args:
        files: By what their names have behind the image's key: ``json``, ``de.txt``, ``jpg.json``.
        image: What the image's own name has there: ``jpg``, or ``v2.jpg``.
        notices: Told of what is left out, among it JSON under a name that `name_records` does not list.
    """
    plain = {name: data for name, data in files.items() if not name.endswith("json")}
    known = [name for name in name_records(image) if name in files]
    records = {name: parse_record(files[name], notices, f".{name}") for name in known}
    for name in sorted(files.keys() - plain.keys() - records.keys()):
        expected = " and ".join(f".{one}" for one in name_records(image))
        notices.add(TEXT_NOT_USED, f".{name} is not read, only {expected} are")
    texts = [*read_texts(records, plain, notices), *_read_concepts(records, notices)]
    urls = (read_url(record) for record in records.values())
    return Sidecars(texts, next(filter(None, urls), None), tuple(records.values()))


def _read_concepts(records: Mapping[str, Mapping[str, Any]], notices: Notices) -> list[SourceText]:
    """What ``concepts`` of a sample's JSON states: names, or objects with concept and category."""
    found: list[SourceText] = []
    for name, record in records.items():
        for member, value in _find_members(record, "concepts"):
            for entry in value if isinstance(value, list) else [value]:
                named = entry if isinstance(entry, dict) else {"concept": entry}
                concept = make_concept(named.get("concept"), named.get("category"))
                if concept is not None:
                    found.append(concept)
                elif entry not in (None, ""):
                    what = f"{json.dumps(entry, ensure_ascii=False)[:60]} of {member} in .{name}"
                    notices.add(
                        TEXT_LEFT_OUT, f"{what} is no concept, expected a name or an object"
                    )
    return drop_repeats(found)


def read_texts(
    records: Mapping[str, Mapping[str, Any]], plain: Mapping[str, bytes], notices: Notices
) -> list[SourceText]:
    """The texts of a sample, in order.

    Our normal form has a list ``texts``. Where it gives none, the first of ``caption``, ``captions`` and
    ``text``, in any case, that gives a text is read, in the language that ``language`` names, and
    only without it the next JSON, then the .txt members. All are looked at: what says nothing is told
    wherever it stands, and what says otherwise than the texts that are used is told as not used.

    Args:
        records: The JSON members, by extension.
        plain: The .txt members, by extension: ``txt``, or ``de.txt`` for one in German.
        notices: Told of what is left out.
    """
    used: list[SourceText] = []
    place = ""
    for where, texts in _read_in_turn(records, plain, notices):
        if not used:
            used, place = texts, where
            continue
        said = {text["text"] for text in used}
        for text in texts:
            if text["text"] not in said:
                what = f"{where} says otherwise than {place}: {str(text['text'])[:60]!r}"
                notices.add(TEXT_NOT_USED, what)
    for name, record in records.items() if not used else ():
        prose = [field for field, value in record.items() if _is_prose(value)]
        if prose and not any(_find_members(record, "texts", *_CAPTION_FIELDS)):
            shown = ", ".join(map(str, prose[:5]))
            notices.add(TEXT_NOT_USED, f".{name} has no caption or text; not read are {shown}")
    return used


def _is_prose(value: object) -> bool:
    return isinstance(value, str) and len(value.split()) > 1


def _read_in_turn(
    records: Mapping[str, Mapping[str, Any]], plain: Mapping[str, bytes], notices: Notices
) -> Iterator[tuple[str, list[SourceText]]]:
    """What each place says, in the order in which they go before each other."""
    for name, record in records.items():
        if isinstance(record.get("texts"), list):
            yield f"texts of .{name}", list(_own_texts(record, notices))
        named = (value for _, value in _find_members(record, "language", "lang"))
        language = next(filter(None, named), None)
        title = record.get("page_title")
        for member, value in _find_members(record, "texts", *_CAPTION_FIELDS):
            if member != "texts" or not isinstance(value, list):
                said = iter_captions(value, notices, language)
                texts: list[SourceText] = [
                    make_text(text, own, page_title=title) for text, own in said
                ]
                yield f"{member} of .{name}", texts
    titles = (record.get("page_title") for record in records.values())
    title = next(filter(None, titles), None)
    beside = _read_plain(plain, notices)
    yield "a .txt", [make_text(text, language, page_title=title) for text, language in beside]


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


def _find_members(record: Mapping[str, Any], *fields: str) -> Iterator[tuple[str, Any]]:
    """The (name, value) of members of some names, in their order, in whatever case they are written."""
    for field in fields:
        names = [name for name in record if name.lower() == field]
        yield from ((name, record[name]) for name in sorted(names, key=lambda name: name != field))


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
