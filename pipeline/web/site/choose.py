"""Which neurons have pages."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.csv_cells import read_cell
from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.site_settings import SiteOptions
from pipeline.warehouse.find import Neuron, find_layers, find_neuron

if TYPE_CHECKING:
    import duckdb


class Place(NamedTuple):
    """A layer of a run."""

    dataset: str
    run_id: str
    layer: str


@dataclass(frozen=True)
class Chosen:
    """The neurons that have pages."""

    units: Mapping[Place, Sequence[int]]
    """By layer, ascending; of each at least one."""
    is_whole: frozenset[Place]
    """Layers of which all neurons have pages."""

    @cached_property
    def _sets(self) -> Mapping[Place, frozenset[int]]:
        return {place: frozenset(units) for place, units in self.units.items()}

    @cached_property
    def runs(self) -> frozenset[tuple[str, str]]:
        """Dataset and id of the runs that have pages."""
        return frozenset(place[:2] for place in self.units)

    @property
    def datasets(self) -> list[str]:
        """Those that images are shown of."""
        return sorted({place.dataset for place in self.units})

    def __contains__(self, neuron: Neuron) -> bool:
        place = Place(neuron.dataset, neuron.run_id, neuron.layer)
        return neuron.unit in self._sets.get(place, ())

    def __len__(self) -> int:
        return sum(map(len, self.units.values()))


def choose_neurons(connection: duckdb.DuckDBPyConnection, options: SiteOptions) -> Chosen:
    """The neurons that are meant.

    Args:
        connection: Of ``pipeline.connect``.
        options: Which.

    Raises:
        ConfigError: The list cannot be read.
        WarehouseError: What is named is not there.
    """
    layers = find_layers(connection, options.dataset, options.run, options.layer)
    sizes = {Place(one.dataset, one.run_id, one.layer): one.unit_count for one in layers}
    if options.neurons is None:
        return Chosen({place: range(count) for place, count in sizes.items()}, frozenset(sizes))
    chosen: dict[Place, set[int]] = {}
    for named in _read_list(options.neurons):
        neuron = find_neuron(
            connection,
            named.get("layer") or options.layer or _only_layer(list(sizes)),
            _read_unit(named["unit"], options.neurons),
            named.get("run_id") or options.run,
            named.get("dataset") or options.dataset,
        )
        place = Place(neuron.dataset, neuron.run_id, neuron.layer)
        chosen.setdefault(place, set()).add(neuron.unit)
    if not chosen:
        raise ConfigError(
            f"--neurons {options.neurons} names no neuron.", "Give at least one unit."
        )
    whole = frozenset(place for place, units in chosen.items() if len(units) == sizes.get(place))
    return Chosen({place: sorted(units) for place, units in sorted(chosen.items())}, whole)


def _read_list(text: str) -> Iterator[Mapping[str, str]]:
    """Rows with ``unit`` and perhaps more."""
    if all(part.strip().isdecimal() for part in text.split(",")):
        yield from ({"unit": part} for part in text.split(","))
        return
    try:
        with Path(text).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(
            f"--neurons {text} cannot be read: {error}.",
            "Give units with commas, as 29,192, or a CSV file with the columns layer and unit.",
        ) from error
    rows = [[read_cell(cell.strip()) for cell in row] for row in rows if any(map(str.strip, row))]
    head = [cell.lower() for cell in rows[0]] if rows else []
    if "unit" not in head:
        raise ConfigError(
            f"--neurons {text} has no column unit.",
            "Its first line names the columns: dataset,run_id,layer,unit, or some of them.",
        )
    for row in rows[1:]:
        yield {"unit": "", **dict(zip(head, row, strict=False))}


def _read_unit(text: str, listed: str) -> int:
    if not text.strip().isdecimal():
        raise ConfigError(f"--neurons {listed} has the unit {text!r}.", "A number is expected.")
    return int(text)


def _only_layer(places: Sequence[Place]) -> str:
    if len({place.layer for place in places}) > 1:
        listed = ", ".join(sorted({place.layer for place in places}))
        raise WarehouseError(
            "Units of several layers could be meant.", f"Choose one with --layer: {listed}."
        )
    return places[0].layer
