"""One process that makes pages: a warehouse of its own, and a job after the other."""

from __future__ import annotations

import signal
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.base.settings import digest
from pipeline.base.site_settings import ImagesShown
from pipeline.base.storage import Store
from pipeline.warehouse.connect import connect
from pipeline.warehouse.duck import bound_threads, open_cursor
from pipeline.warehouse.find import Neuron
from pipeline.warehouse.images import find_places
from pipeline.web.pages.layer import STRIP_IMAGES
from pipeline.web.site.blocks import Holder
from pipeline.web.site.choose import Chosen
from pipeline.web.site.files import SiteFolder
from pipeline.web.site.jobs import Job, Made
from pipeline.web.site.linked import Linked
from pipeline.web.site.links import SiteLinks, finish
from pipeline.web.site.pages import SitePage, list_pages
from pipeline.web.site.pixels import Square, Squares, read_square, write_squares
from pipeline.web.site.sheets import Sheets
from pipeline.web.view import View, read_asset

MAX_PAGE_BYTES = 300_000
"""A page, its style sheets and scripts, and its sheets of images."""

PAGE_ASSETS = ("app.css", "app.js", "icon.svg", "site.css", "site.js")
"""What every page loads."""


@dataclass(frozen=True)
class Plan:
    """What all processes are given."""

    warehouse: str
    out: Path
    chosen: Chosen
    linked: Linked
    images: ImagesShown
    example_count: int
    """How many images of a run have pages, at most."""
    pages: frozenset[str]
    """Pages that are no run's."""
    making: Mapping[str, Path]
    """Folders of what `pixels.write_squares` writes, by dataset."""


class Worker:
    """Does jobs."""

    def __init__(self, plan: Plan) -> None:
        """Args:
        plan: Of the site.
        """
        self.plan, self.store = plan, Store(plan.warehouse)
        self.folder = SiteFolder(plan.out)
        self.connection = connect(plan.warehouse)
        self._cursor = open_cursor(self.connection)  # for it nothing is hidden
        self.holder = Holder(self.connection)

    def do(self, job: Job) -> Made:
        """Write the pages of a job."""
        files: dict[str, int] = {}
        for page in list_pages(job, self.plan.chosen, self.holder):
            for path, data in self._make(page):
                files[path] = self.folder.write(path, data)
        return Made(job.name, files)

    def decode(self, dataset: str, ids: Sequence[int]) -> None:
        """Keep the pixels of some images in a file."""
        path = self.plan.making[dataset] / f"{digest(ids)}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            places = find_places(self._cursor, dataset, ids)
            write_squares(self.store, places, self.plan.images, path)

    @cached_property
    def squares(self) -> Squares:
        """The images, when all are decoded."""
        files = {
            dataset: sorted(folder.glob("*.npy")) for dataset, folder in self.plan.making.items()
        }
        return Squares(files, self._read)

    def _make(self, page: SitePage) -> Iterator[tuple[str, bytes]]:
        """A page and its sheets; the page last, so that what it shows is there."""
        folder, _, name = page.path.rpartition("/")
        path = f"{page.path}.html"
        plan, sheets = self.plan, Sheets(name, self._strips, self.plan.images != "none")
        links = SiteLinks(plan.chosen, plan.linked, path, plan.pages, sheets)
        html = finish(page.draw(View(self.connection, links, is_site=True))).encode()
        left = MAX_PAGE_BYTES - len(html) - _asset_bytes()
        self.squares.foresee(sheets.images())
        for file, data in sheets.files(self.squares.draw, left).items():
            yield f"{folder}/{file}", data
        yield path, html

    @cached_property
    def _strips(self) -> Mapping[Neuron, Sequence[int]]:
        """The strongest images of every neuron of the datasets."""
        rows = self._cursor.execute(
            """
            select dataset, run_id, layer, unit, list(example_id order by example_rank)
            from top_examples
            where
                polarity = 'positive' and example_rank <= $count
                and list_contains($datasets, dataset)
            group by all
            """,
            {"count": STRIP_IMAGES, "datasets": self.plan.chosen.datasets},
        ).fetchall()
        return {Neuron(*row[:4]): row[4] for row in rows}

    def _read(self, dataset: str, ids: Collection[int], side_px: int) -> dict[int, Square]:
        """Images that nobody foresaw, or large ones."""
        places = find_places(self._cursor, dataset, ids)
        return {
            example_id: read_square(self.store, place, self.plan.images, side_px)
            for example_id, place in places.items()
        }


def _asset_bytes() -> int:
    return sum(len(read_asset(name)) for name in PAGE_ASSETS)


_worker: Worker | None = None


def begin(plan: Plan, is_alone: bool = False) -> None:
    """What a process does first.

    Args:
        plan: Of the site.
        is_alone: It is the only one: nobody else heeds Ctrl-C, or wants the other cores.
    """
    global _worker
    if not is_alone:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        bound_threads(1)
    _worker = Worker(plan)


def do_job(job: Job) -> Made:
    """What it does then, again and again."""
    assert _worker is not None
    return _worker.do(job)


def decode(dataset: str, ids: Sequence[int]) -> int:
    """Or this, before; returns how many images."""
    assert _worker is not None
    _worker.decode(dataset, ids)
    return len(ids)
