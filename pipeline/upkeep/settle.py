"""What a build does to runs first, where it pays: statistics of shards merged, activations sorted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.base.progress import ProgressCallback
from pipeline.tables.datasets import run_folder
from pipeline.tables.manifests import FileEntry
from pipeline.upkeep.compact import compact
from pipeline.upkeep.compact_plan import list_unsorted, list_unsorted_shards
from pipeline.upkeep.merge import merge_run
from pipeline.warehouse.contents import Inventory, RunRow

UNSORTED_SHARDS = 1_000
"""Fewer shards in no sorted level are left as they are."""

ROWS_AT_ONCE = 3_000
"""Activations that a build finds in a shard when it reads a block of units, below which it sorts first. To read
as little costs it 0.8 ms, five times; sorting 1.25 us a row (100 shards of 1,000 images x 2,560 units: 8 CPU s
would be saved, and 80 spent). Who asks for ranks in SQL sorts sooner, with ``neurons compact``."""

UNITS_AT_ONCE = 128
"""Units that a build reads at once."""


def settle(inventory: Inventory, progress: ProgressCallback | None = None) -> list[str]:
    """Merge the statistics of whole groups of shards, and sort what many activations lie unsorted of.

    Neither changes an answer; both go on where they were interrupted.

    Returns:
        What was done, in words.
    """
    told: list[str] = []
    for run in inventory.runs:
        done = merge_run(inventory.store, run_folder(run.dataset, run.run_id), progress)
        if done.merge_count:
            told.append(
                f"merged the statistics of {done.shard_count} shards of run {run.run_id} of {run.dataset}"
            )
    for run in list_to_sort(inventory):
        rows = sum(file["row_count"] for file in list_unsorted(inventory, run))
        compact(inventory.store.url, run.run_id, progress)
        told.append(f"sorted {rows} activations of run {run.run_id} of {run.dataset}")
    return told


def list_to_sort(inventory: Inventory) -> list[RunRow]:
    """The runs of which so many activations lie unsorted that sorting pays."""
    return [
        run
        for run in inventory.runs
        if len(list_unsorted_shards(inventory, run_folder(run.dataset, run.run_id)))
        >= UNSORTED_SHARDS
        and pays_to_sort(list_unsorted(inventory, run), _units_of(inventory, run))
    ]


def pays_to_sort(files: Sequence[FileEntry], units: Mapping[str, int]) -> bool:
    """Whether shards hold so few activations that a build is quicker if they are sorted into one.

    Args:
        files: Of activations, one for each shard and layer.
        units: How many each layer has.
    """
    visits = sum(-(-units[str(file.get("layer"))] // UNITS_AT_ONCE) for file in files)
    return sum(file["row_count"] for file in files) < ROWS_AT_ONCE * visits


def _units_of(inventory: Inventory, run: RunRow) -> dict[str, int]:
    mine = (row for row in inventory.layers if (row.dataset, row.run_id) == run[:2])
    return {row.layer: row.unit_count for row in mine}
