"""Which marts a connection can answer from: those that a build made of what there is now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.base.settings import LabelSettings
from pipeline.tables.computed import DERIVED
from pipeline.warehouse.contents import Inventory
from pipeline.warehouse.last_build import Build
from pipeline.warehouse.parts import Fingerprints, Part, list_parts


@dataclass(frozen=True)
class Marts:
    """The fresh marts of an inventory, with some settings."""

    files: Mapping[Part, dict[str, str]]
    """Every part, and paths of its fresh marts by name."""

    def paths(self, name: str, parts: list[Part] | None = None) -> list[str]:
        """Files of a mart; of some parts, or all."""
        wanted = self.files if parts is None else parts
        return [found[name] for part in wanted if name in (found := self.files[part])]

    def parts_of(self, name: str) -> list[Part]:
        """The parts that have such a mart, fresh or not; without pairs of runs."""
        return [part for part in self.files if name in part.marts and len(part.runs) < 2]

    @property
    def stale(self) -> list[Part]:
        """Parts of which a mart is not fresh."""
        return [part for part, found in self.files.items() if not found.keys() >= {*part.marts}]

    def derived(self) -> Marts:
        """The same without those that a view can answer as well."""
        return Marts(
            {
                part: {name: path for name, path in found.items() if name in DERIVED}
                for part, found in self.files.items()
            }
        )


def find_marts(
    inventory: Inventory, settings: LabelSettings, built: Build | None, look: bool = True
) -> Marts:
    """The marts that are fresh, and whole.

    Args:
        inventory: What there is; what cannot be read is left out of it.
        settings: Parameters of the labelling views.
        built: What the last build says.
        look: Look whether their files are there, of the size that they were; else the build is believed.
    """
    if built is None or not built.files:
        return Marts({part: {} for part in list_parts(inventory)})
    names, files = Fingerprints(inventory, settings), built.files
    sizes = dict(inventory.store.walk("marts")) if look else {}

    def is_whole(path: str) -> bool:
        return path in files and (not look or sizes.get(path) == files[path]["bytes"])

    return Marts(
        {
            part: {name: path for name in part.marts if is_whole(path := names.path(part, name))}
            for part in list_parts(inventory)
        }
    )
