"""What a controlled stimulus shows by construction: from a sample's JSON to a row of ``stimuli``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pipeline.base.errors import ExampleError
from pipeline.sources.texts.captions import clean_text
from pipeline.tables.index_tables import STIMULUS_COLUMNS

Stimulus = Mapping[str, str | float | None]
"""Columns of ``index_tables.STIMULUS_COLUMNS`` by name; absent ones are null."""

REQUIRED = ("stimulus", "facet")
"""What every stimulus states."""

_NAMES = frozenset(column.name for column in STIMULUS_COLUMNS)


def read_stimulus(record: Mapping[str, Any]) -> tuple[str | float | None, ...] | None:
    """The member ``stimulus`` of a record in our normal form, in the order of its columns.

    A record without a list ``texts`` is of another's making: what it calls a stimulus is not ours.

    Returns:
        One value for each of ``index_tables.STIMULUS_COLUMNS``, or None if the sample is no stimulus.

    Raises:
        ExampleError: ``bad_json`` for a member that is no object, lacks stimulus or facet, or has a
            field that is not known or of another type.
    """
    found = record.get("stimulus")
    if found is None or record.get("texts") is None:
        return None
    if not isinstance(found, dict):
        raise ExampleError(
            "bad_json", f"'stimulus' is a {type(found).__name__}, expected an object"
        )
    unknown = sorted(found.keys() - _NAMES)
    if unknown:
        raise ExampleError("bad_json", f"'stimulus' has the unknown field {unknown[0]!r}")
    missing = [name for name in REQUIRED if not found.get(name)]
    if missing:
        raise ExampleError("bad_json", f"'stimulus' does not state {missing[0]!r}")
    return tuple(
        _check_text(column.name, found.get(column.name))
        if column.arrow == "string"
        else _check_number(column.name, found.get(column.name))
        for column in STIMULUS_COLUMNS
    )


def _check_text(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ExampleError("bad_json", f"stimulus field {name!r} is {value!r}, expected a text")
    return clean_text(value)


def _check_number(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ExampleError("bad_json", f"stimulus field {name!r} is {value!r}, expected a number")
    return float(value)
