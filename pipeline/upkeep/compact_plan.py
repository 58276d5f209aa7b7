"""Which level the new shards of a run become, and which blocks of units are sorted for it.

New shards become a *level* of their own beside those that are there, and levels are sorted into one once
the new ones are no longer small beside them, so that a run that grows is not sorted anew each time.
"""

from __future__ import annotations

from typing import NamedTuple

from pipeline.base.storage import partition
from pipeline.evidence.cuts import cut, units_at_once
from pipeline.tables.datasets import run_folder
from pipeline.tables.manifests import FileEntry
from pipeline.tables.runs import CompactLevel
from pipeline.warehouse.contents import Inventory, RunRow
from pipeline.warehouse.levels import compact_version

LEVEL_RATIO = 4
"""A level that holds less than so many times the rows of all newer ones is sorted into one with them."""

ROWS_PER_BLOCK = 20_000_000
"""Rows sorted in memory at once: about 0.5 GB; a block is as many units as fit, at least one."""


class Level(NamedTuple):
    """A level to be made."""

    run: RunRow
    version: str
    """What it is called: it changes with the shards that it is made from."""
    ordinals: list[int]
    files: list[FileEntry]
    """Activations of its shards, their own or of earlier levels."""
    kept: list[CompactLevel]
    """Levels that stay beside it; larger ones."""

    @property
    def folder(self) -> str:
        """Of the run, relative to the warehouse."""
        return run_folder(self.run.dataset, self.run.run_id)

    def files_of(self, layer: str) -> list[FileEntry]:
        """Those of a layer."""
        return [file for file in self.files if file.get("layer") == layer]


class Block(NamedTuple):
    """Units of a layer that are sorted together, into files of their own."""

    dataset: str
    run_id: str
    layer: str
    first_unit: int
    end_unit: int
    """One past the last."""
    version: str
    """Of the level."""
    number: int
    """From 0 in the layer."""

    @property
    def path(self) -> str:
        """Where its rows lie."""
        folder = f"{run_folder(self.dataset, self.run_id)}/compact/{self.version}"
        return f"{folder}/{partition(layer=self.layer)}/{self.number:05d}.parquet"

    @property
    def units(self) -> dict[str, str | int]:
        """Whose rows it has; by these names the queries ask for it."""
        return {
            "dataset": self.dataset,
            "run_id": self.run_id,
            "layer": self.layer,
            "first_unit": self.first_unit,
            "end_unit": self.end_unit,
        }

    @property
    def told(self) -> str:
        """What it is called."""
        return f"units {self.first_unit}..{self.end_unit - 1}"


def plan_level(inventory: Inventory, run: RunRow, whole: bool = False) -> Level | None:
    """The level that the new shards of a run become, with the levels that are sorted anew with them.

    Args:
        inventory: What there is.
        run: Of which run.
        whole: Make one level of all.

    Returns:
        None if there is nothing to sort.
    """
    folder = run_folder(run.dataset, run.run_id)
    levels = inventory.levels[folder]
    ordinals = list_unsorted_shards(inventory, folder)
    if run.is_compacted or (levels and not whole and not ordinals):
        return None
    parts = list_unsorted(inventory, run)
    row_count = sum(file["row_count"] for file in parts)
    kept: list[CompactLevel] = []
    for level in reversed(levels):  # the smallest first
        if kept or (not whole and level["row_count"] >= LEVEL_RATIO * max(1, row_count)):
            kept.insert(0, level)
            continue
        ordinals = ordinals + level["ordinals"]
        row_count += level["row_count"]
        place = f"{folder}/compact/{level['version']}/"
        parts += [f for f in inventory.files_of("compact") if f["path"].startswith(place)]
    marks = inventory.compact_marks[folder]()
    version = compact_version(marks[ordinal] for ordinal in ordinals)
    return Level(run, version, sorted(ordinals), parts, kept)


def list_unsorted(inventory: Inventory, run: RunRow) -> list[FileEntry]:
    """Files of the activations of a run that are in no level."""
    mine = f"{run_folder(run.dataset, run.run_id)}/"
    return [file for file in inventory.files_of("activations") if file["path"].startswith(mine)]


def list_unsorted_shards(inventory: Inventory, folder: str) -> list[int]:
    """Shards of a run that are done and in no level."""
    sorted_ones = {n for level in inventory.levels[folder] for n in level["ordinals"]}
    return sorted(inventory.compact_marks[folder]().keys() - sorted_ones)


def list_level_blocks(inventory: Inventory, level: Level) -> list[Block]:
    """The blocks of a level, whose rows fit in memory, layer by layer; none of a layer without rows."""
    run = level.run
    unit_counts = {
        row.layer: row.unit_count
        for row in inventory.layers
        if (row.dataset, row.run_id) == (run.dataset, run.run_id)
    }
    blocks: list[Block] = []
    for layer in run.layers:
        rows = sum(file["row_count"] for file in level.files_of(layer))
        count = unit_counts[layer] if rows else 0
        step = units_at_once(count * ROWS_PER_BLOCK // max(1, rows), count)
        blocks += [
            Block(run.dataset, run.run_id, layer, units.start, units.stop, level.version, number)
            for number, units in enumerate(cut(range(count), step))
        ]
    return blocks
