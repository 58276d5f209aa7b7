"""Neurons that answer like one neuron: in its layer, other layers, other models, other datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import duckdb

from pipeline.search.find import Found, read_labels
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import NamedNeuron, find_neuron
from pipeline.warehouse.not_kept import refuse_not_kept
from pipeline.warehouse.stale import tell_stale

if TYPE_CHECKING:
    from pipeline.evidence.matrix import RunLayer

MIN_SHARED = 10
"""Fewest images that two runs must share: a correlation over fewer says nothing."""


def find_like(warehouse: str, named: NamedNeuron, k: int) -> Iterator[Found]:
    """The nearest neurons by correlation of activations, a table for each layer of each run.

    The neuron's own layer comes first, then its run, its dataset, and other datasets, whose images
    are the same where their hash is. Of the same dataset, ``neuron_neighbours`` answers if a build is
    current and holds as many; else the activations are read in one pass.

    Args:
        warehouse: Folder or URL.
        named: The neuron.
        k: Neurons in each table.

    Raises:
        WarehouseError: No such layer, run or unit; several runs have that layer; or it keeps no activations.
    """
    from pipeline.evidence.matrix import list_layers

    with connect(warehouse) as connection:
        tell_stale(connection, ("neuron_labels",))
        neuron = find_neuron(connection, *named)
        key = (neuron.dataset, neuron.run_id, neuron.layer)
        refuse_not_kept(connection, *key, "A correlation")
        layers = list_layers(connection)
        mine = next(one for one in layers if (one.dataset, one.run_id, one.layer) == key)
        layers.sort(
            key=lambda one: (
                one != mine,
                (one.dataset, one.run_id) != key[:2],
                one.dataset != mine.dataset,
            )
        )
        labels = read_labels(connection, layers)
        label = labels[mine].get(neuron.unit)
        yield Found(
            f"{mine.layer}  unit {neuron.unit}, {mine.dataset}, run {mine.run_id} "
            f"({mine.model_id}): {label or 'unlabelled'}",
        )
        mutual = _mutual(connection, mine, neuron.unit)
        for other in layers:
            yield _compare(connection, mine, neuron.unit, other, k, mutual, labels[other])


def _compare(
    connection: duckdb.DuckDBPyConnection,
    mine: RunLayer,
    unit: int,
    other: RunLayer,
    k: int,
    mutual: set[tuple[str, str, int]],
    labels: Mapping[int, str],
) -> Found:
    place = f"{other.layer}, {other.dataset}, run {other.run_id} ({other.model_id})"
    title = f"{'In its own layer' if other == mine else 'In ' + place}"
    if other.is_cut:
        return Found(
            title, notes=("Not compared: the run keeps no activations of it, or a share.",)
        )
    count, rows = _read_mart(connection, mine, unit, other, k)
    if not rows:
        count, rows = _read_activations(connection, mine, unit, other, k)
    if count < MIN_SHARED:
        return Found(title, notes=(f"{count} images in common: too few to compare.",))
    if not rows:
        return Found(title, notes=(f"It is constant over the {count} images in common.",))
    return Found(
        title,
        ("unit", "correlation", "mutual", "label"),
        tuple(
            (
                u,
                correlation,
                "yes" if (other.run_id, other.layer, u) in mutual else "",
                labels.get(u),
            )
            for u, correlation in rows
        ),
        (f"Over {count} images; activations that are not stored count as 0.",),
    )


def _read_mart(
    connection: duckdb.DuckDBPyConnection, mine: RunLayer, unit: int, other: RunLayer, k: int
) -> tuple[int, list[tuple[int, float]]]:
    """From the last build: nothing if it is not current, or keeps fewer than asked for."""
    from pipeline.evidence.neighbours import NEIGHBOURS

    if mine.dataset != other.dataset or k > NEIGHBOURS:
        return 0, []
    rows = connection.execute(
        """
        select other_unit, correlation, example_count from neuron_neighbours
        where
            dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
            and other_run_id = $other_run and other_layer = $other_layer
            and neighbour_rank <= $k
        order by neighbour_rank
        """,
        {
            "dataset": mine.dataset,
            "run_id": mine.run_id,
            "layer": mine.layer,
            "unit": unit,
            "other_run": other.run_id,
            "other_layer": other.layer,
            "k": k,
        },
    ).fetchall()
    return (rows[0][2] if rows else 0), [(u, correlation) for u, correlation, _ in rows]


def _read_activations(
    connection: duckdb.DuckDBPyConnection, mine: RunLayer, unit: int, other: RunLayer, k: int
) -> tuple[int, list[tuple[int, float]]]:
    """One pass over the other layer, for the images that both runs hold."""
    import numpy as np

    from pipeline.evidence.matrix import read_units, shared_ids
    from pipeline.evidence.neighbours import SAMPLE, correlate

    here, there = shared_ids(
        connection, (mine.dataset, mine.run_id), (other.dataset, other.run_id), SAMPLE
    )
    if len(there) < MIN_SHARED:
        return len(there), []
    order = np.argsort(here)
    values = np.empty(len(here), np.float32)
    values[order] = read_units(connection, mine, here[order], [unit])[0]
    units, correlations = correlate(connection, other, there, values)
    found = zip(units.tolist(), correlations.tolist(), strict=True)
    rows = [row for row in found if other != mine or row[0] != unit]
    return len(there), sorted(rows, key=lambda row: (-row[1], row[0]))[:k]


def _mutual(
    connection: duckdb.DuckDBPyConnection, mine: RunLayer, unit: int
) -> set[tuple[str, str, int]]:
    """Run, layer and unit of those that it is the nearest of, and that are its nearest."""
    rows = connection.execute(
        """
        select other_run_id, other_layer, other_unit from mutual_neighbours
        where dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
        union
        select run_id, layer, unit from mutual_neighbours
        where
            dataset = $dataset and other_run_id = $run_id and other_layer = $layer
            and other_unit = $unit
        """,
        {"dataset": mine.dataset, "run_id": mine.run_id, "layer": mine.layer, "unit": unit},
    ).fetchall()
    return {(run, layer, u) for run, layer, u in rows}
