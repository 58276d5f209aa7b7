"""A job file: the whole job in TOML, read into settings and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pipeline.base.effect_settings import AblationChoice, EffectChoice
from pipeline.base.errors import ConfigError
from pipeline.base.facet_settings import FacetProbeChoice
from pipeline.base.fields import (
    Settings,
    find_field,
    list_fields,
    make_settings,
    refuse_unknown,
)
from pipeline.base.job_settings import PipelineConfig, ProbeConfig, RunnerConfig, StimuliConfig
from pipeline.base.settings import (
    ClassChoice,
    ExtractConfig,
    IngestConfig,
    IngestStep,
    LabelSettings,
)
from pipeline.base.support_settings import SupportChoice
from pipeline.base.visualise_settings import VisualiseChoice

Table = dict[str, Any]
"""A table as TOML has it, before it is checked."""


def load_config(
    path: str | Path, warehouse: str | None = None, fallback: str | None = None
) -> PipelineConfig:
    """Read a TOML file.

    Top level: ``warehouse``, ``dataset``, ``similarity``, ``similarity_templates``. Tables: ``[ingest]``
    (fields of `IngestStep` and `IngestConfig`, and ``[ingest.options]``); ``[[stimuli]]`` (fields of
    `IngestConfig`, and a table for each kind, as ``[stimuli.words]``); ``[[extract]]`` (fields of
    `ExtractConfig`); ``[[attack]]`` and ``[[stroop]]`` (fields of `ExtractConfig` and `ClassChoice`);
    ``[effect]`` (fields of `EffectChoice`); ``[support]`` (fields of `SupportChoice`);
    ``[ablate]`` (fields of `AblationChoice`); ``[facet_probes]`` (fields of `FacetProbeChoice`);
    ``[visualise]`` (fields of `VisualiseChoice`); ``[labels]`` (fields of `LabelSettings`); and ``[runner]``
    (fields of `RunnerConfig`). Of those that may be several, one may be written ``[extract]``.

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
    whole: Table = {**base, "labels": _read_labels(data, path)}
    where = f"{path} [runner]"
    whole["runner"] = make_settings(RunnerConfig, _table(data.get("runner", {}), where), where)
    whole |= {name: data[name] for name in ("similarity", "similarity_templates") if name in data}
    if "ingest" in data:
        where = f"{path} [ingest]"
        step, limits = _split(data["ingest"], (IngestStep, IngestConfig), where)
        whole["ingest"] = make_settings(IngestStep, step, where)
        whole["ingest_limits"] = make_settings(IngestConfig, base | limits, where)
    after = {
        "effect": EffectChoice,
        "support": SupportChoice,
        "ablate": AblationChoice,
        "facet_probes": FacetProbeChoice,
        "visualise": VisualiseChoice,
    }
    for name, kind in after.items():
        if name in data:
            where = f"{path} [{name}]"
            whole[name] = make_settings(kind, _table(data[name], where), where)
    for name, read in (
        ("stimuli", _read_stimuli), ("extract", _read_extract), ("attack", _read_probe),
        ("stroop", _read_probe),
    ):  # fmt: skip
        tables = data.get(name, [])
        where = f"{path} [{name}]"
        tables = tables if isinstance(tables, list) else [tables]
        whole[name] = tuple(read(base | _table(table, where), where) for table in tables)
    return make_settings(PipelineConfig, whole, f"{path}")


def _read_extract(values: Table, where: str) -> ExtractConfig:
    return make_settings(ExtractConfig, values, where)


def _read_probe(values: Table, where: str) -> ProbeConfig:
    extract, choice = _split(values, (ExtractConfig, ClassChoice), where)
    return ProbeConfig(
        make_settings(ExtractConfig, extract, where), make_settings(ClassChoice, choice, where)
    )


def _read_stimuli(values: Table, where: str) -> StimuliConfig:
    kinds = get_type_hints(StimuliConfig)
    for name in values.keys() & kinds.keys():
        kind = next((one for one in get_args(kinds[name]) if _is_settings(one)), None)
        if kind is not None:
            inner = f"{where.removesuffix(']')}.{name}]"
            values[name] = make_settings(kind, _table(values[name], inner), inner)
    return make_settings(StimuliConfig, values, where)


def _is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Settings)


def _split(
    data: Any, kinds: tuple[type[Settings], type[Settings]], where: str
) -> tuple[Table, Table]:
    """What one table says of two kinds of settings."""
    table = _table(data, where)
    known = [{field.name for field in list_fields(kind)} for kind in kinds]
    refuse_unknown(table, sorted(known[0] | known[1]), where)
    one, two = ({n: value for n, value in table.items() if n in names} for names in known)
    return one, two


def _table(data: Any, where: str) -> Table:
    if not isinstance(data, dict):
        raise ConfigError(f"{where} is {data!r}.", "It must be a table: lines of NAME = VALUE.")
    return data


def _read_labels(data: Mapping[str, Any], path: str | Path) -> LabelSettings:
    where = f"{path} [labels]"
    return make_settings(LabelSettings, _table(data.get("labels", {}), where), where)


def _read_toml(path: str | Path) -> Table:
    """The file as TOML has it, with names at its top that we know and places that are texts."""
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", "Give a TOML file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}.", "Mend that line.") from error
    known = [one.name for one in list_fields(PipelineConfig) if one.name != "ingest_limits"]
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
    values: Table = {}
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
