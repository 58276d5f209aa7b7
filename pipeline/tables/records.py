"""Records: the small JSON files that say what is done. One typed reader, one writer, for all of them.

`Store.write_record` writes them, with their format and their own checksum. A field that we do
not know is passed over, one that is not there yet in an older record is left out (read it with
``get``), and anything else that is not
what the shapes in ``manifests`` and ``runs`` say is an error that names the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import PurePosixPath
from types import UnionType
from typing import (
    Annotated,
    Any,
    NotRequired,
    TypedDict,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)
from typing import is_typeddict as is_shape

from pipeline.base.errors import NewerFormatError, WarehouseError
from pipeline.base.storage import FORMAT, Store

Moment = Annotated[str, datetime]
"""A time, ISO 8601."""
Small = Annotated[int, 32]
"""A whole number of 32 bits, as the views have it."""
FilePath = Annotated[str, PurePosixPath]
"""A Parquet file inside the warehouse, or a picture."""


UPDATE = "Update: pip install -U multimodal-neurons."
"""What to do about a record of a newer version."""

_VERSION = re.compile(r"[0-9][0-9A-Za-z.]{0,30}")

Shape = TypeVar("Shape")


class Sealed(TypedDict):
    """What `Store.write_record` adds to every record; format 1 has neither."""

    format: NotRequired[int]
    needs: NotRequired[str]
    checksum: NotRequired[str]


def read_record(store: Store, rel: str, shape: type[Shape]) -> Shape:
    """Read a record.

    Raises:
        StorageError: It is no JSON.
        NewerFormatError: A newer version of ours made it.
        WarehouseError: It has another shape.
    """
    value = store.read_json(rel)
    check_shape(value, shape, store.uri(rel))
    return cast(Shape, value)


def check_shape(value: Any, shape: Any, place: str) -> None:
    """Refuse a value that is not what a shape says.

    Args:
        value: What a JSON file holds.
        shape: One of the typed dictionaries of ``manifests`` and ``runs``.
        place: The file, for the message.

    Raises:
        NewerFormatError: A newer version of ours made it.
        WarehouseError: It has another shape.
    """
    known = value.get("format", 1) if isinstance(value, dict) else 1
    is_format = type(known) is int and known >= 1
    if is_format and known > FORMAT:
        raise NewerFormatError(
            f"{place} was made by a newer version of ours (its format is {known}, ours {FORMAT}).",
            _say_update(value.get("needs")),
        )
    problem = "" if is_format else f"format is {json.dumps(known)}, expected a number from 1"
    if problem := problem or _misfit(value, shape, ""):
        raise WarehouseError(
            f"{place} is not what we write there: {problem}.",
            "Something else changed it. Leave it where it is: neurons check says what is damaged, "
            "neurons repair makes it again.",
        )


def _say_update(needs: object) -> str:
    """What to do about a record that says which version of ours it needs."""
    if not (isinstance(needs, str) and _VERSION.fullmatch(needs)):
        return UPDATE
    return f"Update to {needs} or later: pip install -U 'multimodal-neurons>={needs}'."


def _misfit(value: Any, shape: Any, where: str) -> str:
    """What is wrong with a value, in words; empty if it fits."""
    origin, arguments = get_origin(shape), get_args(shape)
    if shape in (Any, object):
        return ""
    if is_shape(shape):
        return _misfit_fields(value, shape, where)
    if origin is NotRequired:
        return _misfit(value, arguments[0], where)
    if origin is Annotated:
        return _misfit_more(value, arguments[0], arguments[1], where)
    if origin in (UnionType, Union):  # the second if a part of it is annotated
        problems = [_misfit(value, kind, where) for kind in arguments]
        return "" if "" in problems else problems[0]
    if origin is list and isinstance(value, list):
        items = (_misfit(item, arguments[0], f"{where}[{n}]") for n, item in enumerate(value))
        return next(filter(None, items), "")
    if origin is tuple and isinstance(value, list):
        if len(value) != len(arguments):
            return f"{where.lstrip('.')} has {len(value)} items, expected {len(arguments)}"
        items = (
            _misfit(item, kind, f"{where}[{n}]")
            for n, (item, kind) in enumerate(zip(value, arguments, strict=True))
        )
        return next(filter(None, items), "")
    if origin in (dict, Mapping) and isinstance(value, dict):
        items = (_misfit(item, arguments[1], f"{where}.{name}") for name, item in value.items())
        return next(filter(None, items), "")
    fits = {
        type(None): value is None,
        bool: isinstance(value, bool),
        int: isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63,
        float: isinstance(value, float) or (type(value) is int and abs(value) < 1 << 63),
        str: isinstance(value, str) and _is_text(value),
    }
    if fits.get(shape, False):
        return ""
    return f"{where.lstrip('.') or 'it'} is {_name(value)}, expected {_words(origin or shape)}"


def _misfit_more(value: Any, kind: Any, more: Any, where: str) -> str:
    """As `_misfit`, for a kind that is narrower than Python's."""
    if is_shape(more):
        return _misfit(value, more, where)
    if problem := _misfit(value, kind, where):
        return problem
    place = where.lstrip(".") or "it"
    if more == 32 and not -(1 << 31) <= value < 1 << 31:
        return f"{place} is {value}, expected a smaller number"
    if more is datetime:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return f"{place} is {value!r}, expected a time"
    if more is PurePosixPath:
        parts = value.split("/")
        if value.startswith("/") or ".." in parts or not value.endswith((".parquet", ".png")):
            return f"{place} is {value!r}, expected a Parquet file inside the warehouse"
    return ""


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which no table can hold
        return False
    return True


def _misfit_fields(value: Any, shape: Any, where: str) -> str:
    if not isinstance(value, dict):
        return f"{where.lstrip('.') or 'it'} is {_name(value)}, expected an object"
    for name, kind in _fields(shape).items():
        place = f"{where}.{name}".lstrip(".")
        if name not in value:
            if get_origin(kind) is not NotRequired:
                return f"{place} is missing"
        elif problem := _misfit(value[name], kind, place):
            return problem
    return ""


@cache
def _fields(shape: Any) -> Mapping[str, object]:
    return get_type_hints(shape, include_extras=True)


def _name(value: Any) -> str:
    return json.dumps(value) if value is None or isinstance(value, bool) else _words(type(value))


def _words(kind: Any) -> str:
    words = {
        dict: "an object",
        list: "a list",
        tuple: "a list",
        str: "a text",
        int: "a whole number",
    }
    return words.get(kind, "a number" if kind is float else "null or another kind")
