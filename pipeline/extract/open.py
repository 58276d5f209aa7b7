"""What a run is: the fields that decide its result, its folder, and the refusal to mix two of them."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import cast

from pipeline.base.errors import ConfigError, ConfigMismatchError
from pipeline.base.leftovers import clear_half_written
from pipeline.base.locks import hold_lock
from pipeline.base.settings import ExtractConfig, digest
from pipeline.base.storage import Store
from pipeline.clip.layers import preset_layers, resolve_layers
from pipeline.clip.model import Clip
from pipeline.extract.kept import choose_kept
from pipeline.extract.results import DTYPES, LayerOutput
from pipeline.tables.datasets import check_name, dataset_folder, run_folder
from pipeline.tables.merged import read_merged, width_of
from pipeline.tables.runs import (
    RunConfig,
    RunIdentity,
    RunLayer,
    RunRecord,
    has_run,
    read_run,
    run_path,
)


@dataclass(frozen=True)
class Run:
    """An opened run."""

    run_id: str
    folder: str
    outputs: tuple[LayerOutput, ...]
    model_id: str
    is_random: bool


def versions() -> dict[str, str]:
    """Versions of what decides a result, for the record."""
    found = {"python": platform.python_version()}
    for name in ("multimodal-neurons", "torch", "torchvision", "open_clip_torch", "pyarrow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return found


def choose_outputs(config: ExtractConfig, clip: Clip) -> tuple[LayerOutput, ...]:
    """Probe the layers and decide what is stored of each.

    Raises:
        HookError: A layer cannot be read.
    """
    outputs = []
    for layer in resolve_layers(clip, config.layers):
        kept = choose_kept(config.store, layer.is_rectified)
        outputs.append(LayerOutput(layer, kept, DTYPES[config.activation_dtype]))
    return tuple(outputs)


def identify_run(store: Store, config: ExtractConfig, clip: Clip) -> tuple[Run, RunIdentity]:
    """The run that a configuration is, and its identity; nothing is written.

    Raises:
        ConfigMismatchError: The folder holds the outputs of another configuration; the fields that
            differ are named with both values.
    """
    if config.precision != "float32" and clip.device.type == "cpu":
        raise ConfigError(
            f"Precision {config.precision!r} on a CPU is about ten times slower than float32.",
            "Leave --precision at float32, or run on a GPU.",
        )
    if config.merge_width == 1:
        raise ConfigError("Of 1 shard no merge can be made.", "Give --merge-width from 2 on, or 0.")
    outputs = choose_outputs(config, clip)
    identity: RunIdentity = {
        "dataset": config.dataset,
        **clip.identity(),
        "layers": [output.layer.name for output in outputs],
        "store": [output.store for output in outputs],
        "preprocess": config.preprocess,
        "precision": config.precision + (", compiled" if config.compile else ""),
        "activation_dtype": config.activation_dtype,
        "top_k": config.top_k,
        "max_pixels": config.max_pixels,
    }
    unsaid = _unsaid(clip)
    earlier = digest({k: v for k, v in identity.items() if k not in unsaid})
    if config.run:
        run_id = check_name(config.run, "run")
    else:
        run_id = _find_id(store, config.dataset, [earlier, digest(identity)])
    folder = run_folder(config.dataset, run_id)
    run = Run(run_id, folder, outputs, clip.model_id, clip.is_random)
    if has_run(store, folder):
        _refuse_another(store, config, run, identity, unsaid)
    return run, identity


def _find_id(store: Store, dataset: str, ids: list[str]) -> str:
    """The id of a run that nobody named: of these the first that is there, or what it was renamed to; else the
    last."""
    folder = dataset_folder(dataset)
    for run_id in ids:
        if has_run(store, run_folder(dataset, run_id)):
            return run_id
    for name in store.list(folder):
        place = f"{folder}/{name}"
        if name.startswith("run_id=") and has_run(store, place):
            record = read_run(store, place)
            if set(ids) & set(record.get("known_as", ())):
                return record["run_id"]
    return ids[-1]


def _unsaid(clip: Clip) -> set[str]:
    """What runs of format 1 do not say: how their model was set up. It was open_clip's own way, so a run
    of a model that is set up in another way is none of them."""
    return set(clip.setup_fields()) if clip.is_plain else set()


def _refuse_another(
    store: Store, config: ExtractConfig, run: Run, identity: RunIdentity, unsaid: set[str]
) -> None:
    known: Mapping[str, object] = read_run(store, run.folder)["identity"]
    compared = {key: now for key, now in identity.items() if key in known or key not in unsaid}
    if differs := [key for key, now in compared.items() if now != known.get(key)]:
        lines = "; ".join(f"{k}: there {known.get(k)!r}, now {compared[k]!r}" for k in differs)
        raise ConfigMismatchError(
            f"Run {run.run_id!r} of {config.dataset!r} was made with another configuration ({lines}).",
            "Outputs of two configurations never mix. Give another --run name, or none.",
        )
    width = width_of(read_run(store, run.folder), read_merged(store, run.folder))
    if config.merge_width not in (0, width):
        raise ConfigMismatchError(
            f"Statistics of run {run.run_id!r} of {config.dataset!r} are merged {width} shards at a time, not "
            f"{config.merge_width}: with another width sums would be added in another order.",
            "Leave --merge-width out, or give another --run name.",
        )


def open_run(store: Store, config: ExtractConfig, clip: Clip) -> Run:
    """Find the run's folder as `identify_run` does, or make it.

    Raises:
        ConfigMismatchError: As of `identify_run`.
    """
    run, identity = identify_run(store, config, clip)
    path = run_path(run.folder)
    if not store.exists(path):
        with hold_lock(
            store, f"{run.folder}/run.lock"
        ) as lock:  # two processes may open it at once
            clear_half_written(store, lock, run.folder, prefix="run.json")
            if not store.exists(path):
                record = _make_record(run.run_id, identity, config, clip, run.outputs)
                store.write_record(path, record, with_copy=True)
        _refuse_another(store, config, run, identity, _unsaid(clip))  # it may be the other's
    elif any("grid" not in layer for layer in read_run(store, run.folder)["layers"]):
        with hold_lock(store, f"{run.folder}/run.lock"):  # of a version that kept no peaks
            record = read_run(store, run.folder)
            record["layers"] = [describe_layer(output) for output in run.outputs]
            store.write_record(path, record, with_copy=True)
    return run


def _make_record(
    run_id: str,
    identity: RunIdentity,
    config: ExtractConfig,
    clip: Clip,
    outputs: tuple[LayerOutput, ...],
) -> RunRecord:
    """What ``run.json`` says."""
    return {
        "run_id": run_id,
        "identity": identity,
        "model": {
            "model_id": clip.model_id,
            "weights_sha256": clip.weights_sha256,
            "is_random": clip.is_random,
            "setup_said_by": clip.setup.said_by,
        },
        "layers": [describe_layer(output) for output in outputs],
        "presets": preset_layers(clip),
        "config": cast(RunConfig, asdict(config)),
        "versions": versions(),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def describe_layer(output: LayerOutput) -> RunLayer:
    """What ``run.json`` says of a layer."""
    layer = output.layer
    return {
        "layer": layer.name,
        "path": layer.spec.path,
        "point": layer.spec.point,
        "pooling": layer.spec.pooling,
        "tower": layer.tower,
        "module_kind": layer.kind,
        "unit_count": layer.unit_count,
        "is_rectified": layer.is_rectified,
        "store": output.store,
        "grid": layer.grid,
        "token_count": layer.token_count,
        "prefix_tokens": layer.prefix_tokens,
    }
