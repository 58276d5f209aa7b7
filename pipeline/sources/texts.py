"""The texts of an example: from a sample's JSON and .txt members to rows of ``texts``."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.errors import ExampleError

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

_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_OLD_CODES = {"iw": "he", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro"}


def normalise_language(tag: object) -> str:
    """A BCP 47 tag from any spelling: ``PT_br`` is ``pt-BR``; ``und`` if there is none.

    Withdrawn codes become their successors (``iw`` is ``he``), as in CLDR.
    """
    text = str(tag or "").strip().replace("_", "-")
    if not _TAG.fullmatch(text):
        return "und"
    first, *rest = text.split("-")
    parts = [_OLD_CODES.get(first.lower(), first.lower())]
    for part in rest:
        is_region = len(part) == 2 and part.isalpha()
        is_script = len(part) == 4 and part.isalpha()
        parts.append(part.upper() if is_region else part.title() if is_script else part.lower())
    return "-".join(parts)


def make_text(
    text: str, language: object = None, text_kind: str = "caption", page_title: str | None = None
) -> dict[str, str | None]:
    """One text in our normal form."""
    return {
        "language": normalise_language(language),
        "text_kind": text_kind,
        "text": text,
        "page_title": page_title or None,
    }


def drop_repeats(texts: Sequence[SourceText]) -> list[SourceText]:
    """The texts that say something, each (language, kind, text) once, in their order."""
    kept: dict[tuple[object, object, str], SourceText] = {}
    for text in texts:
        words = (text.get("text") or "").strip()
        if words:
            kept.setdefault((text.get("language"), text.get("text_kind"), words), text)
    return list(kept.values())


def parse_record(data: bytes | None) -> dict[str, Any]:
    """The JSON member of a sample; an empty record if it has none.

    Raises:
        ExampleError: ``bad_json`` if it does not parse or is not an object.
    """
    if data is None:
        return {}
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ExampleError("bad_json", f"the .json member does not parse: {error}") from error
    if not isinstance(record, dict):
        kind = type(record).__name__
        raise ExampleError("bad_json", f"the .json member is a {kind}, expected an object")
    return record


def read_texts(record: Mapping[str, Any], plain: bytes | None) -> list[SourceText]:
    """The texts of a sample, in order.

    Our normal form has a list ``texts``. Otherwise ``caption`` (a text or a list of texts) is read,
    in the language that ``language`` or ``LANGUAGE`` names, and only without it the .txt member.
    Blank texts are left out.

    Raises:
        ExampleError: ``bad_json`` for texts of another form, ``bad_text`` for a .txt not in UTF-8.
    """
    if record.get("texts") is not None:
        return [text for text in _own_texts(record["texts"]) if (text["text"] or "").strip()]
    language = record.get("language") or record.get("LANGUAGE")
    captions = record.get("caption")
    captions = captions if isinstance(captions, list) else [captions]
    words = [_as_text(caption) for caption in captions if caption is not None]
    if not any(word.strip() for word in words) and plain is not None:
        try:
            words = [plain.decode("utf-8-sig").strip()]
        except UnicodeDecodeError as error:
            raise ExampleError("bad_text", f"the .txt member is not UTF-8: {error}") from error
    title = record.get("page_title")
    title = clean_text(title) if isinstance(title, str) else None
    return [make_text(word, language, page_title=title) for word in words if word.strip()]


def rank_texts(texts: Sequence[SourceText]) -> Iterator[tuple[int, SourceText]]:
    """Number the texts of each (language, kind) from 1."""
    counts: Counter[tuple[str | None, str | None]] = Counter()
    for text in texts:
        place = (text["language"], text["text_kind"])
        counts[place] += 1
        yield counts[place], text


def clean_text(text: str) -> str:
    """The text without lone surrogates, which JSON allows and Parquet does not."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_url(record: Mapping[str, Any]) -> str | None:
    """Where the image came from, as ``url`` or ``image_url`` says."""
    url = record.get("url") or record.get("image_url")
    return clean_text(url) if isinstance(url, str) else None


def _own_texts(texts: object) -> Iterator[SourceText]:
    if not isinstance(texts, list):
        raise ExampleError("bad_json", "'texts' in the .json member is not a list")
    for text in texts:
        if not isinstance(text, dict) or not isinstance(text.get("text"), str):
            raise ExampleError("bad_json", "'texts' has an entry without a 'text'")
        kind = text.get("text_kind") or "caption"
        if kind not in TEXT_KINDS:
            known = ", ".join(TEXT_KINDS)
            raise ExampleError("bad_json", f"text_kind {kind!r} is none of {known}")
        title = text.get("page_title")
        yield make_text(
            clean_text(text["text"]),
            text.get("language"),
            kind,
            clean_text(title) if isinstance(title, str) else None,
        )


def _as_text(caption: object) -> str:
    if isinstance(caption, str | int | float):
        return clean_text(str(caption))
    kind = type(caption).__name__
    raise ExampleError("bad_json", f"'caption' is a {kind}, expected a text or a list of texts")
