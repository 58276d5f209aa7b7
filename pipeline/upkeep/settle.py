"""What a build does to runs first, where it pays: statistics of shards merged, activations sorted."""

from __future__ import annotations

from pipeline.base.progress import ProgressCallback
from pipeline.tables.datasets import run_folder
from pipeline.upkeep.compact import compact, list_unsorted
from pipeline.upkeep.merge import merge_run
from pipeline.warehouse.contents import Inventory

UNSORTED_ROWS = 2_000_000
"""Activations that are in no sorted level from which on sorting them costs less than ranking them in every
question that asks for ranks."""


def settle(inventory: Inventory, progress: ProgressCallback | None = None) -> list[str]:
    """Merge the statistics of whole groups of shards, and sort what many activations lie unsorted of.

    Neither changes an answer; both go on where they were interrupted.

    Returns:
        What was done, in words.
    """
    told: list[str] = []
    for run in inventory.runs:
        done = merge_run(inventory.store, run_folder(run.dataset, run.run_id), None, progress)
        if done.merge_count:
            told.append(
                f"merged the statistics of {done.shard_count} shards of run {run.run_id} of {run.dataset}"
            )
    for run in inventory.runs:
        rows = sum(file["row_count"] for file in list_unsorted(inventory, run))
        if rows >= UNSORTED_ROWS:
            compact(inventory.store.url, run.run_id, progress)
            told.append(f"sorted {rows} activations of run {run.run_id} of {run.dataset}")
    return told
