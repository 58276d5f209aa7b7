"""Which datasets, runs, layers and neurons of a warehouse are meant: one way for every command.

A layer may be called by its canonical name (``PATH:POINT:POOLING``), by its path, or by a preset
(``goh2021``) that names it in the run's model; a run by its id, or by a beginning of it that no other has.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import HookError, WarehouseError
from pipeline.warehouse.left_out import list_left_out, refuse_left_out

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class FoundRun:
    """One run."""

    dataset: str
    run_id: str
    model_id: str
    weights_sha256: str
    text_activation: str | None = None

    @property
    def model(self) -> tuple[str, str | None]:
        """What embeds texts in one way: weights, and the activation function that runs them."""
        return self.weights_sha256, self.text_activation


@dataclass(frozen=True)
class FoundLayer:
    """One layer of one run."""

    dataset: str
    run_id: str
    layer: str
    """Its canonical name."""
    unit_count: int


class NamedNeuron(NamedTuple):
    """A neuron as a person names it: what `find_neuron` takes."""

    layer: str
    """Canonical name; or the path or a preset, if it names one layer."""
    unit: int
    run: str | None = None
    """Needed if several runs have that layer."""
    dataset: str | None = None
    """Needed if runs of several datasets have the same name and layer."""


@dataclass(frozen=True)
class Neuron:
    """One unit of one layer of one run."""

    dataset: str
    run_id: str
    layer: str
    """Its canonical name."""
    unit: int
    """Its index in the layer, from 0."""

    @property
    def parameters(self) -> dict[str, str | int]:
        """What a query is given of it, by name."""
        return asdict(self)


def spell_out_run(
    run: str | None, known: Iterable[tuple[str, str]], dataset: str | None = None
) -> str | None:
    """The whole id of a run that may be called by its beginning. One that no run begins with stays as it is.

    Args:
        run: What it is called; None if none is named.
        known: Dataset and id of the runs that there are.
        dataset: Only runs of this one are meant; of all if it is not said.

    Raises:
        WarehouseError: Runs of several ids begin so.
    """
    meant = sorted({pair for pair in known if dataset in (None, pair[0])})
    if not run or run in {run_id for _, run_id in meant}:
        return run
    begin = [(name, run_id) for name, run_id in meant if run_id.startswith(run)]
    if len({run_id for _, run_id in begin}) > 1:
        listed = "; ".join(f"--dataset {name} --run {run_id}" for name, run_id in begin)
        raise WarehouseError(f"Several runs begin with {run!r}.", f"Choose one: {listed}.")
    return begin[0][1] if begin else run


def find_layers(
    connection: duckdb.DuckDBPyConnection,
    dataset: str | None = None,
    run: str | None = None,
    layer: str | None = None,
) -> list[FoundLayer]:
    """The layers that are meant, in order of dataset, run and name; all of them if nothing is given.

    Args:
        connection: Of ``pipeline.connect``.
        dataset: Its name.
        run: The run's id, or its beginning.
        layer: Canonical name, path or preset.

    Raises:
        WarehouseError: There is none: the message says whether it is the dataset, the run or the
            layer that is not there, and lists what is.
        NeuronsError: It is there and cannot be read.
    """
    left_out = list_left_out(connection)
    there = connection.execute("select distinct dataset, run_id from stg_layers").fetchall()
    there += [(one.dataset, one.run_id) for one in left_out if one.run_id is not None]
    run = spell_out_run(run, there, dataset)
    refuse_left_out(left_out, dataset, run)
    _check_dataset(connection, dataset)
    rows = connection.execute(
        """
        select
            dataset, run_id, layer, unit_count,
            coalesce(
                $layer in (layer, layer_path) or list_contains(presets, $layer), $layer is null
            ) as is_meant
        from stg_layers
        where coalesce(dataset = $dataset, true) and coalesce(run_id = $run, true)
        order by dataset, run_id, layer
        """,
        {"dataset": dataset, "run": run, "layer": layer},
    ).fetchall()
    if not rows:
        refuse_left_out(left_out, dataset, run, is_needed=True)
        raise _explain_no_run(connection, dataset, run)
    found = [FoundLayer(*row[:4]) for row in rows if row[4]]
    if not found:
        where = "".join(
            [f" run {run!r}" if run else " run", f" of {dataset!r}" if dataset else " here"]
        )
        known = list(dict.fromkeys(row[2] for row in rows))
        close = difflib.get_close_matches(str(layer), known, n=1, cutoff=0.6)
        hint = f"Closest: {close[0]!r}. " if close else ""
        raise WarehouseError(
            f"No{where} has a layer {layer!r}.", f"{hint}Layers: {', '.join(known)}."
        )
    return found


def find_runs(
    connection: duckdb.DuckDBPyConnection,
    dataset: str | None = None,
    run: str | None = None,
    layer: str | None = None,
) -> list[FoundRun]:
    """The runs that are meant; all that read a layer, if it is given.

    Raises:
        WarehouseError: As of `find_layers`.
    """
    found = find_layers(connection, dataset, run, layer)
    meant = {(one.dataset, one.run_id) for one in found}
    rows = connection.execute(
        """
        select dataset, run_id, model_id, weights_sha256, text_activation from stg_runs
        order by all
        """
    ).fetchall()
    return [FoundRun(*row) for row in rows if row[:2] in meant]


def find_run(
    connection: duckdb.DuckDBPyConnection,
    dataset: str | None = None,
    run: str | None = None,
    layer: str | None = None,
) -> FoundRun:
    """The one run that is meant.

    Raises:
        WarehouseError: As of `find_layers`; or several match.
    """
    found = find_runs(connection, dataset, run, layer)
    if len(found) > 1:
        listed = "; ".join(f"--dataset {one.dataset} --run {one.run_id}" for one in found)
        raise WarehouseError("Several runs could be meant.", f"Choose one: {listed}.")
    return found[0]


def find_neuron(
    connection: duckdb.DuckDBPyConnection,
    layer: str,
    unit: int,
    run: str | None = None,
    dataset: str | None = None,
) -> Neuron:
    """The one neuron that is meant.

    Args:
        connection: Of ``pipeline.connect``.
        layer: Canonical name; or the path or a preset, if it names one layer.
        unit: Index in the layer, from 0.
        run: Its id or the beginning of it; needed if several runs have that layer.
        dataset: Needed if runs of several datasets have the same name and layer.

    Raises:
        WarehouseError: As of `find_layers`; or several match, or the layer has no such unit.
    """
    found = find_layers(connection, dataset, run, layer)
    if len(found) > 1:
        listed = "; ".join(
            f"--dataset {one.dataset} --run {one.run_id} --layer {one.layer}" for one in found
        )
        raise WarehouseError(f"Layer {layer!r} is in several places.", f"Choose one: {listed}.")
    (one,) = found
    if not 0 <= unit < one.unit_count:
        raise WarehouseError(
            f"Layer {one.layer!r} has no unit {unit}.", f"Its units are 0 to {one.unit_count - 1}."
        )
    return Neuron(one.dataset, one.run_id, one.layer, unit)


def find_image_layers(
    connection: duckdb.DuckDBPyConnection, dataset: str, run: str, layer: str | None = None
) -> list[FoundLayer]:
    """Those of `find_layers` that are of an image tower.

    Raises:
        HookError: All are of a text tower.
        WarehouseError: As of `find_layers`.
    """
    layers = find_layers(connection, dataset, run, layer)
    rows = connection.execute(
        "select layer from stg_layers where dataset = $dataset and run_id = $run_id "
        "and tower = 'visual'",
        {"dataset": dataset, "run_id": run},
    ).fetchall()
    visual = {name for (name,) in rows}
    found = [one for one in layers if one.layer in visual]
    if not found:
        raise HookError(
            f"Layer {layers[0].layer!r} of run {run!r} is of the text tower.",
            "What a neuron answers to an image, or does to what it is taken for, is asked of image towers: "
            "name a layer of one with --layer.",
        )
    return found


def _check_dataset(connection: duckdb.DuckDBPyConnection, dataset: str | None) -> None:
    if dataset is None:
        return
    rows = connection.execute("select distinct dataset from stg_shards order by 1").fetchall()
    if (dataset,) not in rows:
        known = ", ".join(name for (name,) in rows)
        raise WarehouseError(
            f"There is no dataset {dataset!r} in this warehouse.", f"Datasets: {known}."
        )


def _explain_no_run(
    connection: duckdb.DuckDBPyConnection, dataset: str | None, run: str | None
) -> WarehouseError:
    """There is no layer of such a run; nobody asked for a certain layer yet."""
    rows = connection.execute(
        """
        select distinct dataset, run_id from stg_layers
        order by dataset is distinct from $dataset, dataset, run_id
        """,
        {"dataset": dataset},
    ).fetchall()
    listed = "; ".join(f"--dataset {d} --run {r}" for d, r in rows)
    named = f" {run!r}" if run else ""
    of = f" of dataset {dataset!r}" if dataset else ""
    return WarehouseError(
        f"There is no run{named}{of} in this warehouse.",
        f"There are: {listed or 'none: run neurons extract first'}.",
    )
