"""A job file: the whole job in TOML, read into settings and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.base.errors import ConfigError
from pipeline.base.fields import find_field, list_fields, make_settings, refuse_unknown
from pipeline.base.settings import (
    ExtractConfig,
    IngestConfig,
    IngestStep,
    LabelSettings,
    PipelineConfig,
)


def load_config(
    path: str | Path, warehouse: str | None = None, fallback: str | None = None
) -> PipelineConfig:
    """Read a TOML file.

    Top level: ``warehouse``, ``dataset``, ``similarity``. Tables: ``[ingest]`` (fields of `IngestStep` and
    `IngestConfig`, and ``[ingest.options]``), ``[extract]`` or several ``[[extract]]`` (fields of
    `ExtractConfig`), and ``[labels]`` (fields of `LabelSettings`).

    Args:
        path: The file.
        warehouse: Goes before the file's own.
        fallback: The warehouse if neither says which.

    Raises:
        ConfigError: The file is missing or not TOML, or names something that cannot be set, or sets
            something to what it cannot be.
    """
    data = _read_toml(path)
    place, dataset = warehouse or data.get("warehouse") or fallback, data.get("dataset")
    if not place or not dataset:
        missing = "dataset" if place else "warehouse"
        raise ConfigError(
            f"{path} does not say which {missing}.",
            f'Write {missing} = "..." at its top'
            + (", or give --warehouse." if missing == "warehouse" else "."),
        )
    base = {"warehouse": place, "dataset": dataset}
    whole: dict[str, Any] = {**base, "labels": _read_labels(data, path)}
    if "similarity" in data:
        whole["similarity"] = data["similarity"]
    if "ingest" in data:
        step, limits = _split_ingest(data["ingest"], f"{path} [ingest]")
        whole["ingest"] = make_settings(IngestStep, step, f"{path} [ingest]")
        whole["ingest_limits"] = make_settings(IngestConfig, base | limits, f"{path} [ingest]")
    runs = data.get("extract", [])
    whole["extract"] = tuple(
        make_settings(ExtractConfig, base | _table(run, f"{path} [extract]"), f"{path} [extract]")
        for run in (runs if isinstance(runs, list) else [runs])
    )
    return make_settings(PipelineConfig, whole, f"{path}")


def _split_ingest(data: Any, where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What ``[ingest]`` says of the source, and what it says of limits."""
    table = _table(data, where)
    of_step = {one.name for one in list_fields(IngestStep)}
    of_limits = {one.name for one in list_fields(IngestConfig)}
    refuse_unknown(table, sorted(of_step | of_limits), where)
    return (
        {name: value for name, value in table.items() if name in of_step},
        {name: value for name, value in table.items() if name in of_limits},
    )


def _table(data: Any, where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ConfigError(f"{where} is {data!r}.", "It must be a table: lines of NAME = VALUE.")
    return data


def _read_labels(data: Mapping[str, Any], path: str | Path) -> LabelSettings:
    where = f"{path} [labels]"
    return make_settings(LabelSettings, _table(data.get("labels", {}), where), where)


def _read_toml(path: str | Path) -> dict[str, Any]:
    """The file as TOML has it, with names at its top that we know and places that are texts."""
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", "Give a TOML file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}.", "Mend that line.") from error
    known = ("warehouse", "dataset", "similarity", "ingest", "extract", "labels")
    refuse_unknown(data, known, f"{path}")
    for name in {"warehouse", "dataset"} & data.keys():
        find_field(PipelineConfig, name).take(data[name], f"{path}")
    return data


def load_labels(path: str | Path) -> tuple[LabelSettings, str | None]:
    """The ``[labels]`` of a job file, which needs nothing else, and its warehouse if it names one.

    Raises:
        ConfigError: As `load_config`.
    """
    data = _read_toml(path)
    return _read_labels(data, path), data.get("warehouse") or None


def change_labels(labels: LabelSettings, changes: Sequence[str]) -> LabelSettings:
    """Settings with some of them changed.

    Args:
        labels: The others.
        changes: Each ``NAME=VALUE``; the value as in TOML, lists also as ``a,b``.

    Raises:
        ConfigError: There is no such setting, or it cannot have that value.
    """
    values: dict[str, Any] = {}
    for change in changes:
        name, sign, text = (part.strip() for part in change.partition("="))
        if not sign or not text:
            raise ConfigError(
                f"--set {change} gives no value.", "Write NAME=VALUE: label_null_repeats=20"
            )
        values[name] = _read_value(name, text)
    made = make_settings(LabelSettings, values, "--set")
    return replace(labels, **{name: getattr(made, name) for name in values})


def _read_value(name: str, text: str) -> Any:
    default = {one.name: one.default for one in list_fields(LabelSettings)}.get(name)
    if isinstance(default, str):
        return text.strip("\"'")
    if isinstance(default, tuple) and not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
