"""What each job is made of: what it holds in memory, and its pages with how each is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pipeline.warehouse.find import Neuron
from pipeline.web.pages.concept import category_page, concept_page
from pipeline.web.pages.example import example_page
from pipeline.web.pages.layer import layer_page
from pipeline.web.pages.neuron import PANELS, draw_page, know_neurons, parts_of
from pipeline.web.site.blocks import Holder
from pipeline.web.site.choose import Chosen
from pipeline.web.site.jobs import LISTS, ConceptsJob, ImagesJob, Job, ListsJob, NeuronsJob
from pipeline.web.site.links import name_list, name_page, name_place
from pipeline.web.view import View

if TYPE_CHECKING:
    import duckdb


class SitePage(NamedTuple):
    """A page."""

    path: str
    """Its file in the site, without its ending."""
    draw: Callable[[View], str]


def list_pages(job: Job, chosen: Chosen, holder: Holder) -> Iterator[SitePage]:
    """Pages of a job; what they ask is held until the next.

    Args:
        job: Which.
        chosen: The neurons that have pages.
        holder: Holds what they ask.
    """
    match job:
        case NeuronsJob():
            holder.release()
            return _list_neurons(job, holder.connection)
        case ListsJob():
            holder.hold_lists(job.place, chosen.units[job.place])
            return _list_lists(job)
        case ConceptsJob():
            holder.hold_concepts(job.dataset, job.run_id, job.names)
            return _list_concepts(job)
        case ImagesJob():
            holder.hold_images(job.dataset, job.run_id, job.ids)
            return _list_images(job)


def _list_neurons(job: NeuronsJob, connection: duckdb.DuckDBPyConnection) -> Iterator[SitePage]:
    neurons = [Neuron(*job.place, unit) for unit in job.units]
    known = know_neurons(connection, neurons, parts_of(PANELS), with_sources=True)
    for unit in job.units:
        yield SitePage(f"{name_place(job.place)}/{unit}", partial(draw_page, known=known[unit]))


def _list_lists(job: ListsJob) -> Iterator[SitePage]:
    dataset, run_id, layer = job.place
    draw = partial(layer_page, dataset=dataset, run_id=run_id, layer=layer)
    for page in range(1, job.size + 1):
        wanted = replace(LISTS[job.number], page=page)
        name = name_list(wanted.query(page=page)).removesuffix(".html")
        yield SitePage(f"{name_place(job.place)}/{name}", partial(draw, wanted=wanted))


def _list_concepts(job: ConceptsJob) -> Iterator[SitePage]:
    run = job.dataset, job.run_id
    for category, concept in job.names:
        if concept is None:
            path = name_page(*run, "category", category)
            draw = partial(category_page, dataset=run[0], run_id=run[1])
            yield SitePage(path, partial(draw, category=category))
        else:
            path = name_page(*run, "concept", category, concept)
            draw = partial(concept_page, dataset=run[0], run_id=run[1])
            yield SitePage(path, partial(draw, category=category, concept=concept))


def _list_images(job: ImagesJob) -> Iterator[SitePage]:
    draw = partial(example_page, dataset=job.dataset, run_id=job.run_id)
    for example_id in job.ids:
        path = name_page(job.dataset, job.run_id, "example", str(example_id))
        yield SitePage(path, partial(draw, example_id=example_id))
