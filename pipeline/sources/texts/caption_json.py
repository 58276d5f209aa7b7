"""One JSON file of captions for a whole folder, in the layouts that people have.

COCO (``images`` and ``annotations``), Karpathy's splits (``images`` with ``sentences``), a list of objects,
alone or as a member of an object, a list of pairs, columns as pandas writes them, a mapping from name to
caption. What a JSON file is, is known by what is in it and never by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

FILE_COLUMNS = (
    "file",
    "file_name",
    "filename",
    "image",
    "image_name",
    "image_path",
    "file_path",
    "filepath",
    "path",
)
"""Columns that may name the image, first come first."""

TEXT_COLUMNS = ("caption", "captions", "text", "sentences", "sentence")
"""Columns that may hold the caption: the first that gives a text is read."""

_MEMBERS = ("images", "data", "annotations", "items", "records", "rows", "samples", "captions")
"""Members of an object that may be the list of rows."""

_URLS = ("url", "coco_url", "flickr_url")


def plain_name(name: object) -> str:
    """The name of a column in one spelling: ``File Name`` is ``file_name``."""
    return str(name).strip().strip("\ufeff\"'").lower().replace(" ", "_").replace("-", "_")


def find_rows(
    value: object, is_image: Callable[[str], bool], is_named: bool = False
) -> list[Mapping[str, Any] | str] | None:
    """The rows that a JSON value holds, or None if it is no table of captions.

    Args:
        value: The parsed file.
        is_image: Whether a name is that of an image here: one must be, if names alone say what they are.
        is_named: Whether somebody said that these are captions.

    Returns:
        For each row its fields, by plain name, or what is wrong with it.
    """
    if isinstance(value, list):
        return _read_list(value, is_image, is_named)
    if not isinstance(value, Mapping):
        return None
    if isinstance(value.get("images"), list) and isinstance(value.get("annotations"), list):
        found = list(_read_coco(value["images"], value["annotations"]))
        if any(not isinstance(row, str) for row in found):
            return found
    for member in _MEMBERS:
        if isinstance(value.get(member), list):
            rows = _read_list(value[member], is_image, is_named=False)
            if rows is not None:
                return rows
    columns = {plain_name(name): column for name, column in value.items()}
    if _has(columns, FILE_COLUMNS) and _has(columns, TEXT_COLUMNS):
        return _read_columns(columns)
    if any(_is_caption(entry) and is_image(str(name)) for name, entry in value.items()) or (
        is_named and not any(isinstance(value.get(member), list) for member in _MEMBERS)
    ):
        return [_name_row(name, entry) for name, entry in value.items()]
    return None


def _read_list(
    entries: Sequence[Any], is_image: Callable[[str], bool], is_named: bool
) -> list[Mapping[str, Any] | str] | None:
    rows = [
        {plain_name(name): field for name, field in entry.items()}
        if isinstance(entry, Mapping)
        else {"file": entry[0], "caption": entry[1]}
        if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)
        else f"holds a {type(entry).__name__}, expected an object with a file and a caption"
        for entry in entries
    ]
    pairs = (e[0] for e in entries if isinstance(e, list) and len(e) == 2)
    is_table = any(
        isinstance(row, dict) and _has(row, FILE_COLUMNS) and _has(row, TEXT_COLUMNS)
        for row, entry in zip(rows, entries, strict=True)
        if isinstance(entry, Mapping)
    ) or any(isinstance(name, str) and is_image(name) for name in pairs)
    return list(rows) if is_table or is_named else None


def _read_coco(
    images: Sequence[Any], annotations: Sequence[Any]
) -> Iterator[Mapping[str, Any] | str]:
    """A row for each annotation that has a text; those of objects and key points have none."""
    known: dict[Any, Mapping[str, Any]] = {
        str(image["id"]): image for image in images if isinstance(image, Mapping) and "id" in image
    }
    for entry in annotations:
        if not isinstance(entry, Mapping) or not _has(entry, TEXT_COLUMNS):
            continue
        image = known.get(str(entry.get("image_id")))
        if image is None:
            yield f"names the image {entry.get('image_id')!r}, which is not among images"
            continue
        fields = {plain_name(name): field for name, field in image.items()}
        texts = {name: entry[name] for name in (*TEXT_COLUMNS, "language") if name in entry}
        url = next((fields[name] for name in _URLS if fields.get(name)), None)
        yield fields | texts | {"url": url}


def _read_columns(columns: Mapping[str, Any]) -> list[Mapping[str, Any] | str] | None:
    """Columns, each a list or an object by row, as ``DataFrame.to_json`` writes them."""
    rows: dict[str, dict[str, object]] = {}
    for name, column in columns.items():
        cells = dict(enumerate(column)) if isinstance(column, list) else column
        for place, cell in cells.items() if isinstance(cells, Mapping) else ():
            rows.setdefault(str(place), {})[name] = cell
    return list(rows.values()) or None


def _name_row(name: Any, entry: Any) -> Mapping[str, Any] | str:
    if isinstance(entry, Mapping):
        fields = {plain_name(field): value for field, value in entry.items()}
        if _has(fields, TEXT_COLUMNS):
            return fields | {"file": str(name)}
    return {"file": str(name), "caption": entry}


def _is_caption(entry: Any) -> bool:
    return isinstance(entry, str | list | Mapping)


def _has(fields: Mapping[str, Any], columns: Sequence[str]) -> bool:
    return any(column in fields for column in columns)
