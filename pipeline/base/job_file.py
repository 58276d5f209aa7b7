"""A job file: the whole job in TOML, read into settings and checked."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

from pipeline.base.errors import ConfigError
from pipeline.base.settings import (
    _KINDS,
    ExtractConfig,
    IngestConfig,
    IngestStep,
    LabelSettings,
    PipelineConfig,
)

_MISSING_TYPE = type(MISSING)


def load_config(
    path: str | Path, warehouse: str | None = None, fallback: str | None = None
) -> PipelineConfig:
    """Read a TOML file.

    Top level: ``warehouse``, ``dataset``, ``similarity``. Tables: ``[ingest]`` (``source``,
    ``paths``, limits, and ``[ingest.options]``), ``[extract]`` or several ``[[extract]]`` (fields of
    `ExtractConfig`), and ``[labels]`` (fields of `LabelSettings`).

    Args:
        path: The file.
        warehouse: Goes before the file's own.
        fallback: The warehouse if neither says which.

    Raises:
        ConfigError: The file is missing or not TOML, or names something that cannot be set.
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
    ingest = dict(data.get("ingest", {}))
    step_keys = {f.name for f in fields(IngestStep)}
    step = {k: _tuple(v) for k, v in ingest.items() if k in step_keys}
    limits = {k: v for k, v in ingest.items() if k not in step_keys}
    runs = data.get("extract", [])
    runs = runs if isinstance(runs, list) else [runs]
    base = {"warehouse": place, "dataset": dataset}
    if ingest and "source" not in ingest:
        raise ConfigError(
            f"{path} [ingest] does not say which source.", 'Write source = "folder", or another.'
        )
    for run in runs:
        if missing_keys := {"model", "layers"} - run.keys():
            raise ConfigError(
                f"{path} [extract] lacks {min(missing_keys)}.", "It needs model and layers."
            )
    return PipelineConfig(
        warehouse=place,
        dataset=dataset,
        ingest=IngestStep(**step) if ingest else None,
        ingest_limits=_make(IngestConfig, base | limits, f"{path} [ingest]"),
        extract=tuple(_make(ExtractConfig, base | run, f"{path} [extract]") for run in runs),
        similarity=_read_switch(data, "similarity", f"{path}"),
        labels=_make(LabelSettings, data.get("labels", {}), f"{path} [labels]"),
    )


def _read_toml(path: str | Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", "Give a TOML file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}.", "Mend that line.") from error
    known = ("warehouse", "dataset", "similarity", "ingest", "extract", "labels")
    _check_keys(data, known, f"{path}")
    return data


def load_labels(path: str | Path) -> tuple[LabelSettings, str | None]:
    """The ``[labels]`` of a job file, which needs nothing else, and its warehouse if it names one.

    Raises:
        ConfigError: As `load_config`.
    """
    data = _read_toml(path)
    labels = _make(LabelSettings, data.get("labels", {}), f"{path} [labels]")
    place = data.get("warehouse")
    return labels, str(place) if place else None


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
    _make(LabelSettings, values, "--set")
    return replace(labels, **{name: _tuple(value) for name, value in values.items()})


def _read_value(name: str, text: str) -> Any:
    default = {f.name: f.default for f in fields(LabelSettings)}.get(name)
    if isinstance(default, str):
        return text.strip("\"'")
    if isinstance(default, tuple) and not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _read_switch(data: dict[str, Any], name: str, where: str) -> bool:
    value = data.get(name, False)
    if not isinstance(value, bool):
        raise ConfigError(f"{where}: {name} is {value!r}.", "It must be true or false.")
    return value


def _make(kind: type[Any], values: dict[str, Any], where: str) -> Any:
    _check_keys(values, tuple(f.name for f in fields(kind)), where)
    defaults = {f.name: f.default for f in fields(kind)}
    for name, value in values.items():
        default = defaults[name]
        if isinstance(default, _MISSING_TYPE):
            continue
        if isinstance(default, tuple):
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise ConfigError(f"{where}: {name} is {value!r}.", "It must be a list of texts.")
            continue
        right = (int, float) if isinstance(default, float) else type(default)
        if not isinstance(value, right) or isinstance(value, bool) != isinstance(default, bool):
            raise ConfigError(
                f"{where}: {name} is {value!r}.", f"It must be {_KINDS[type(default)]}."
            )
    return kind(**{name: _tuple(value) for name, value in values.items()})


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_keys(values: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in values:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            raise ConfigError(
                f"{where}: {name!r} cannot be set.",
                (f"Did you mean {close[0]!r}? " if close else "") + f"Known: {', '.join(known)}.",
            )
