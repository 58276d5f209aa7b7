"""``neurons site``: the main path. Choose, decode each image once, write pages in several processes, tell.

The same warehouse gives the same bytes, by however many processes and however often it was interrupted.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.base.cores import core_count
from pipeline.base.errors import WarehouseError
from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import digest
from pipeline.base.site_settings import SiteOptions
from pipeline.base.storage import Store
from pipeline.warehouse.connect import connect
from pipeline.warehouse.stale import why_stale
from pipeline.web.site import work
from pipeline.web.site.choose import Chosen, choose_neurons
from pipeline.web.site.files import SiteFolder
from pipeline.web.site.jobs import Job, NeuronsJob, list_jobs
from pipeline.web.site.linked import find_linked
from pipeline.web.site.made_from import describe_datasets
from pipeline.web.site.processes import Processes
from pipeline.web.site.wanted import find_wanted
from pipeline.web.site.whole import WHOLE, list_whole, write_whole
from pipeline.web.site.work import Plan

if TYPE_CHECKING:
    import duckdb

_MAKING = ".making"
"""Beside the pages, while they are made."""

_CHUNK = 500
"""Images that are decoded at once."""


@dataclass(frozen=True)
class Site:
    """What was made."""

    neuron_count: int
    file_count: int
    total_bytes: int
    fresh_count: int
    """Jobs that were done already."""
    job_count: int


def make_site(warehouse: str, out: Path, options: SiteOptions, progress: ProgressCallback) -> Site:
    """Write the pages of a warehouse, or those that are not yet there, into a folder.

    Args:
        warehouse: Folder or URL.
        out: The folder.
        options: Which neurons, and how.
        progress: Told of images and pages.

    Raises:
        ConfigError: The folder is no site of ours.
        WarehouseError: What is named is not there; or marts are not fresh.
    """
    connection = connect(warehouse)
    if reason := why_stale(connection):
        raise WarehouseError(
            f"{reason}: a site would take hours, and panels of it would be empty.",
            "Build them first: neurons build",
        )
    chosen = choose_neurons(connection, options)
    folder = SiteFolder(out)
    linked = find_linked(connection, chosen, options.examples)
    jobs = list_jobs(chosen, linked)
    made_from = _fingerprint(warehouse, connection, options, chosen)
    todo = [job for job in jobs if not folder.is_done(job.name, made_from[job.dataset])]
    making = {dataset: out / _MAKING / mark for dataset, mark in made_from.items()}
    plan = Plan(
        warehouse, out, chosen, linked, options.images, options.examples, list_whole(), making
    )
    if todo:
        with Processes(plan, min(options.processes or core_count(), len(todo))) as processes:
            if options.images != "none":
                _decode(plan, connection, todo, processes, progress)
            _make_pages(folder, todo, made_from, processes, progress)
    everything = digest(sorted(made_from.items()))
    write_whole(connection, folder, plan, everything)
    shutil.rmtree(out / _MAKING, ignore_errors=True)
    names = [*(job.name for job in jobs), WHOLE]
    folder.clean(names)
    return Site(len(chosen), *folder.total_bytes(names), len(jobs) - len(todo), len(jobs))


def _fingerprint(
    warehouse: str, connection: duckdb.DuckDBPyConnection, options: SiteOptions, chosen: Chosen
) -> dict[str, str]:
    """What pages are made from, by dataset."""
    told = [
        options.images,
        options.examples,
        [(*place, list(units)) for place, units in chosen.units.items()],
    ]
    states = describe_datasets(Store(warehouse), chosen.datasets)
    return {dataset: digest([state, told]) for dataset, state in states.items()}


def _decode(
    plan: Plan,
    connection: duckdb.DuckDBPyConnection,
    jobs: Sequence[Job],
    processes: Processes,
    progress: ProgressCallback,
) -> None:
    """Keep the pixels of all images that pages will show, for all processes."""
    neurons = [job for job in jobs if isinstance(job, NeuronsJob)] or jobs
    wanted = find_wanted(connection, plan.chosen, neurons)
    calls = [
        (dataset, ids[at : at + _CHUNK])
        for dataset, ids in wanted.items()
        for at in range(0, len(ids), _CHUNK)
    ]
    progress.start("Images of the site", sum(len(ids) for ids in wanted.values()))
    try:
        for done in processes.run(work.decode, calls):
            progress.advance(done)
    finally:
        progress.finish()


def _make_pages(
    folder: SiteFolder,
    jobs: Sequence[Job],
    made_from: Mapping[str, str],
    processes: Processes,
    progress: ProgressCallback,
) -> None:
    by_name = {job.name: job for job in jobs}
    progress.start("Pages of the site", sum(job.size for job in jobs))
    try:
        for made in processes.run(work.do_job, [(job,) for job in jobs]):
            job = by_name[made.name]
            folder.forget_files(made.name, made.files)
            folder.note_done(made.name, made_from[job.dataset], made.files)
            progress.advance(job.size, made.name)
    finally:
        progress.finish()
