"""From any JSON value to the texts in it: nothing is raised, and only texts come out.

A text is a text. A list is read entry by entry, however nested. An object is read as texts by language
if all its keys are language codes, else by its member ``caption``, ``text``, ``raw`` or the like. All the
rest is left out and told: numbers, true, false, null, NaN, infinity, and the words that stand for
them when another program wrote such a value as text (``nan``, ``None``).
"""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.sources.notices import TEXT_EMPTY, TEXT_LEFT_OUT, TEXT_MENDED, Notices
from pipeline.sources.texts.languages import is_language, read_language

NOT_TEXTS = frozenset(
    [
        "nan",
        "NaN",
        "None",
        "null",
        "NULL",
        "<NA>",
        "NaT",
        "inf",
        "-inf",
        "Infinity",
        "-Infinity",
        "True",
        "False",
        "true",
        "false",
    ]
)
"""Words that are values of programs, not captions, where one is all of a text."""

CAPTION_FIELDS = ("caption", "captions", "text", "TEXT", "raw", "sentence", "value", "alt_text")
"""Members of an object that may hold its caption, first come first."""

_LITERAL_LENGTH = 100_000
_DEPTH = 20


def iter_captions(
    value: object, notices: Notices, language: object = None, depth: int = 0
) -> Iterator[tuple[str, str]]:
    """Give (text, language) of each text in a value, in order.

    Args:
        value: Anything that JSON can say.
        notices: Told of what is left out.
        language: Of texts that do not state their own.
        depth: How many lists and objects it lies in.
    """
    if isinstance(value, str):
        yield from _read_text(value, notices, language, depth)
    elif depth > _DEPTH:
        notices.add(TEXT_LEFT_OUT, f"a caption lies in more than {_DEPTH} lists and objects")
    elif isinstance(value, list | tuple):
        if not value:
            notices.add(TEXT_EMPTY, "the caption is an empty list")
        for entry in value:
            yield from iter_captions(entry, notices, language, depth + 1)
    elif isinstance(value, Mapping):
        yield from _read_object(value, notices, language, depth)
    elif value is None:
        notices.add(TEXT_EMPTY, "the caption is null")
    else:
        shown = json.dumps(value, default=str)[:60]
        notices.add(TEXT_LEFT_OUT, f"the caption {shown} is no text")


def clean_text(text: str) -> str:
    """The text without lone surrogates, which JSON allows and Parquet does not, and without NUL."""
    clean = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return clean.replace("\0", " ")


def _read_text(
    text: str, notices: Notices, language: object, depth: int
) -> Iterator[tuple[str, str]]:
    clean = clean_text(text).strip()
    if not clean:
        notices.add(TEXT_EMPTY, "the caption is blank")
    elif clean in NOT_TEXTS:
        notices.add(TEXT_LEFT_OUT, f"the caption is the word {clean!r}")
    elif (literal := _read_literal(clean)) is not None:
        yield from iter_captions(literal, notices, language, depth + 1)
    else:
        if clean != text.strip():
            notices.add(TEXT_MENDED, f"NUL or a lone surrogate in {clean[:60]!r}")
        yield clean, read_language(language)


def _read_literal(text: str) -> list[object] | dict[object, object] | None:
    """What a text holds that another program wrote from a list or an object: JSON or Python."""
    if text[0] + text[-1] not in ("[]", "{}") or len(text) > _LITERAL_LENGTH:
        return None
    for read in (json.loads, _read_python):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of invalid escapes in what is no Python
                value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(value, set):
            value = sorted(value, key=str)
        if isinstance(value, list | dict):
            return value
    return None


def _read_python(text: str) -> Any:
    """A Python literal, in which numpy's and JSON's words for nothing may stand."""
    tree = ast.parse(text, mode="eval")
    for node in ast.walk(tree):
        for field, child in ast.iter_fields(node):
            if isinstance(child, list):
                setattr(node, field, [_name_nothing(entry) for entry in child])
            else:
                setattr(node, field, _name_nothing(child))
    return ast.literal_eval(tree)


def _name_nothing(node: Any) -> Any:
    is_nothing = isinstance(node, ast.Name) and node.id in NOT_TEXTS
    return ast.copy_location(ast.Constant(float("nan")), node) if is_nothing else node


def _read_object(
    value: Mapping[Any, Any], notices: Notices, language: object, depth: int
) -> Iterator[tuple[str, str]]:
    if value and all(is_language(key) for key in value):
        for key, entry in value.items():
            yield from iter_captions(entry, notices, key, depth + 1)
        return
    own = value.get("language", value.get("lang", language))
    for field in CAPTION_FIELDS:
        if field in value:
            yield from iter_captions(value[field], notices, own, depth + 1)
            return
    keys = ", ".join(map(str, list(value)[:5])) or "nothing"
    notices.add(TEXT_LEFT_OUT, f"the caption is an object of another form, with {keys}")
