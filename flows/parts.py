"""A build, and compaction, spread over the workers of a cluster: each run, each dataset is a task of its own,
and each block of units of what takes longest.

The parts of a build rest on each other in stages: datasets; of each run, for each mart that comes in blocks of
units, what is before it and these blocks; the rest of a run; pairs of runs; the whole. The last, and what says
which marts there are, is left to the build itself, which takes up what the tasks have made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from prefect import flow, task
from prefect.futures import PrefectFuture

from flows.artifacts import ArtifactProgress
from flows.retries import TASK_OPTIONS
from flows.runners import cores_each, make_task_runner
from flows.slices import Lost, do_slices
from pipeline.base.errors import StorageError
from pipeline.base.job_settings import RunnerConfig
from pipeline.base.steps import BuildAim
from pipeline.base.storage import Store
from pipeline.tables.computed import BY_UNITS
from pipeline.upkeep.blocks import Block
from pipeline.upkeep.build import build_block, build_part, find_stale, list_stale_blocks
from pipeline.upkeep.compact import compact, compact_block, list_blocks
from pipeline.upkeep.compact_plan import Block as SortedBlock
from pipeline.upkeep.settle import list_to_sort
from pipeline.warehouse.connect import take_whole_inventory
from pipeline.warehouse.duck import bound_threads
from pipeline.warehouse.parts import Part


@dataclass(frozen=True)
class Piece:
    """What one task does: compacts a run or a block of it, or builds a part, what comes before its blocks, or
    a block."""

    aim: BuildAim
    run_id: str | None = None
    part: Part | None = None
    before: str | None = None
    """The mart that comes in blocks, of which this is what comes before it."""
    block: Block | None = None
    sorts: SortedBlock | None = None
    """The block of a compaction."""

    @property
    def told(self) -> str:
        """What it is called."""
        if self.sorts is not None:
            return f"compact {self.sorts.layer} {self.sorts.told} of {self.sorts.run_id}"
        if self.part is None:
            return f"compact {self.run_id}"
        if self.block is not None:
            return f"build {self.block.told} of {self.part.told}"
        return f"build {self.part.told}" + (f" before {self.before}" if self.before else "")


@task(name="piece", task_run_name="{piece.told}", **TASK_OPTIONS)
def do_piece(piece: Piece, cores: int | None) -> None:
    """Do a piece; what is done is left as it is.

    Args:
        piece: Which.
        cores: How many of them it may use; all if None.
    """
    if cores is not None:
        bound_threads(cores)
    progress = ArtifactProgress(piece.told)
    aim = piece.aim
    if piece.sorts is not None:
        compact_block(aim.warehouse, piece.sorts)
    elif piece.part is None:
        compact(aim.warehouse, piece.run_id, progress)
    elif piece.block is not None:
        build_block(aim.warehouse, piece.part, piece.block, aim.labels)
    else:
        build_part(aim.warehouse, piece.part, aim.labels, progress, piece.before)


def compact_runs(aim: BuildAim, runner: RunnerConfig) -> None:
    """Compact all runs, each block of units in a task, then each run in one.

    Raises:
        NeuronsError: One could not be compacted.
    """
    runs = take_whole_inventory(Store(aim.warehouse)).runs
    _spread(_list_compactions(aim, [run.run_id for run in runs]), runner)


def _list_compactions(aim: BuildAim, run_ids: Iterable[str]) -> list[list[Piece]]:
    """Blocks of runs, and the runs themselves, which take these up."""
    known = sorted(set(run_ids))
    blocks = [
        Piece(aim, sorts=block) for run_id in known for block in list_blocks(aim.warehouse, run_id)
    ]
    return [blocks, [Piece(aim, run_id=run_id) for run_id in known]]


def build_parts(aim: BuildAim, runner: RunnerConfig) -> None:
    """Build all parts that are stale but the whole, each in a task; sort first, where a build would.

    Raises:
        NeuronsError: One could not be built.
    """
    stale = [part for part in find_stale(aim.warehouse, aim.labels) if part.dataset]
    datasets = [Piece(aim, part=part) for part in stale if not part.runs]
    blocks = [
        (part, block)
        for part in stale
        for block in list_stale_blocks(aim.warehouse, part, aim.labels)
    ]
    by_units: list[list[Piece]] = []
    for mart in BY_UNITS:  # each rests on the ones before it
        of_mart = [(part, block) for part, block in blocks if block.mart == mart]
        first = dict.fromkeys(part for part, _ in of_mart)
        by_units.append([Piece(aim, part=part, before=mart) for part in first])
        by_units.append([Piece(aim, part=part, block=block) for part, block in of_mart])
    runs = [Piece(aim, part=part) for part in stale if len(part.runs) == 1]
    pairs = [Piece(aim, part=part) for part in stale if len(part.runs) == 2]
    unsorted = [run.run_id for run in list_to_sort(take_whole_inventory(Store(aim.warehouse)))]
    compactions = _list_compactions(aim, unsorted) if stale else []
    _spread([*compactions, datasets, *by_units, runs, pairs], runner)


def _spread(stages: Sequence[Sequence[Piece]], runner: RunnerConfig) -> None:
    """Do pieces as tasks of a cluster, one stage after the other: those that rest on others after them."""
    stages = [stage for stage in stages if stage]
    if not stages:
        return
    # A flow within the flow: a flow has one task runner, and it must be there before it begins.
    make_flow = flow(
        name=f"build with {runner.kind}",
        task_runner=make_task_runner(runner),
        validate_parameters=False,
    )
    make_flow(_do_stages)(stages, runner)


def _do_stages(stages: Sequence[Sequence[Piece]], runner: RunnerConfig) -> None:
    cores = None if runner.address else cores_each(runner)

    def submit(some: Sequence[Piece]) -> PrefectFuture[Any]:
        return do_piece.submit(some[0], cores)

    for stage in stages:
        # No lease: a part is done or not, and nothing of it shows how far it is.
        for (piece,), result in do_slices(
            [[piece] for piece in stage], submit, runner.workers, lambda _: 0, lease_s=None
        ):
            if isinstance(result, Lost):
                raise StorageError(
                    f"The worker that was to {piece.told} died, and so did those that tried again: "
                    f"{result.error}.",
                    "Look into the worker's log. What was finished stays: run the flow again.",
                )
            if isinstance(result, BaseException):
                raise result
