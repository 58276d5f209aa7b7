"""A list of chosen neurons, as an address says it: ``demo/5b51cf8f9efb/visual.layer3.0:output:max:1,5-9;...``

Dataset, run, layer and units of each layer; what is the same as before the semicolon is left out. Sorted, each
neuron once: the same neurons have the same address.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Self
from urllib.parse import quote, unquote

from pipeline.base.errors import ConfigError
from pipeline.warehouse.find import Neuron

MAX_CHOSEN = 2000
"""Most neurons of a list: longer addresses are refused by browsers and servers."""

MAX_CARRIED = 4000
"""Letters of a list that links to its neurons still carry, so that keys go on within it."""

_SAFE = ":.@!$~="
"""Signs in names that part nothing here."""


@dataclass(frozen=True)
class Chosen:
    """Chosen neurons, and what they are called together."""

    neurons: tuple[Neuron, ...] = ()
    """Sorted, each once."""
    name: str = ""

    @classmethod
    def of(cls, neurons: Iterable[Neuron], name: str = "") -> Self:
        """A list of some neurons.

        Raises:
            ConfigError: They are too many.
        """
        found = sorted(set(neurons), key=lambda n: (n.dataset, n.run_id, n.layer, n.unit))
        if len(found) > MAX_CHOSEN:
            raise ConfigError(
                f"The list has {len(found):,} neurons.",
                f"An address holds {MAX_CHOSEN:,} at most: choose fewer, or filter the layer's own list.",
            )
        return cls(tuple(found), name.strip()[:200])

    @classmethod
    def read(cls, text: str, name: str = "") -> Self:
        """What an address says.

        Raises:
            ConfigError: It is no list, or too long a one.
        """
        neurons: list[Neuron] = []
        place: tuple[str, str] | None = None
        for group in filter(None, (part.strip() for part in text.split(";"))):
            *before, last = group.split("/")
            layer, colon, units = last.rpartition(":")
            if len(before) == 2:
                place = unquote(before[0]), unquote(before[1])
            elif before or place is None:
                colon = ""
            if not colon or not layer or place is None:
                raise _no_list(group)
            for unit in _read_units(units, group):
                neurons.append(Neuron(*place, unquote(layer), unit))
                if len(neurons) > 100 * MAX_CHOSEN:
                    break
        return cls.of(neurons, name)

    @property
    def text(self) -> str:
        """As an address says it."""
        groups = []
        before = None
        for (dataset, run_id, layer), some in groupby(
            self.neurons, lambda n: (n.dataset, n.run_id, n.layer)
        ):
            units = _write_units([neuron.unit for neuron in some])
            place = f"{quote(dataset, safe=_SAFE)}/{quote(run_id, safe=_SAFE)}/"
            groups.append(f"{'' if place == before else place}{quote(layer, safe=_SAFE)}:{units}")
            before = place
        return ";".join(groups)

    @property
    def query(self) -> dict[str, str]:
        """What stands in an address."""
        return {"list": self.text} | ({"name": self.name} if self.name else {})

    @property
    def carried(self) -> dict[str, str]:
        """What links to its neurons carry; nothing if it is too long."""
        query = self.query
        return query if self.neurons and len(query["list"]) <= MAX_CARRIED else {}

    def without(self, neuron: Neuron) -> Chosen:
        """The list without one."""
        return Chosen(tuple(one for one in self.neurons if one != neuron), self.name)

    def around(self, neuron: Neuron) -> tuple[int, Neuron, Neuron] | None:
        """Its place, from 0, and those before and after it, in a circle; None if it is not on the list."""
        if neuron not in self.neurons:
            return None
        place = self.neurons.index(neuron)
        count = len(self.neurons)
        return place, self.neurons[place - 1], self.neurons[(place + 1) % count]


def _read_units(text: str, group: str) -> Iterable[int]:
    for part in text.split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        if not (_is_unit(first) and _is_unit(last)):
            raise _no_list(group)
        yield from range(int(first), min(int(last), int(first) + MAX_CHOSEN) + 1)


def _is_unit(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 7


def _write_units(units: list[int]) -> str:
    """``1,5-9`` of 1, 5, 6, 7, 8, 9."""
    parts: list[str] = []
    for _, run in groupby(enumerate(units), lambda pair: pair[1] - pair[0]):
        some = [unit for _, unit in run]
        parts += [f"{some[0]}-{some[-1]}"] if len(some) > 2 else map(str, some)
    return ",".join(parts)


def _no_list(group: str) -> ConfigError:
    return ConfigError(
        f"The address says list={group!r}.",
        "Expected: DATASET/RUN/LAYER:UNITS, as in demo/5b51cf8f9efb/visual.layer3.0:output:max:1,5-9, "
        "and ; between layers.",
    )
