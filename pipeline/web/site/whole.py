"""Pages of a site that are no layer's: where it begins, its runs, its words, what is known of its images."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from pipeline.web import glossary
from pipeline.web.links import name_dataset
from pipeline.web.pages.overview import overview_page, run_page
from pipeline.web.site import search_index
from pipeline.web.site.files import SiteFolder
from pipeline.web.site.links import SiteLinks, finish, name_file
from pipeline.web.site.sheets import Sheets
from pipeline.web.site.sources import sources_page
from pipeline.web.site.work import PAGE_ASSETS, Plan
from pipeline.web.view import View, read_asset

if TYPE_CHECKING:
    import duckdb


WHOLE = "the whole site"
"""The job that they are."""

IMAGES_PAGE = "images.html"
_NO_JEKYLL = ".nojekyll"
"""GitHub Pages then shows files as they are."""


def list_whole() -> frozenset[str]:
    """Pages that are no run's."""
    return frozenset(("words.html", IMAGES_PAGE))


def write_whole(
    connection: duckdb.DuckDBPyConnection, folder: SiteFolder, plan: Plan, made_from: str
) -> None:
    """Write them, and what all pages load.

    Args:
        connection: Of ``pipeline.connect``.
        folder: Of the site.
        plan: Of the site.
        made_from: What its record says.
    """
    files: dict[str, int] = {_NO_JEKYLL: folder.write(_NO_JEKYLL, b"")}
    for name in PAGE_ASSETS:
        files[f"static/{name}"] = folder.write(f"static/{name}", read_asset(name))

    def look(path: str) -> View:
        links = SiteLinks(
            plan.chosen, plan.linked, path, plan.pages, Sheets("", {}, is_shown=False)
        )
        return View(connection, links, is_site=True)

    index = search_index.write_index(look("index.html"), plan.chosen)
    files[f"static/{search_index.NAME}"] = folder.write(f"static/{search_index.NAME}", index)
    terms = sorted(glossary.TERMS.items())
    pages: dict[str, Callable[[View], str]] = {
        "index.html": overview_page,
        "words.html": lambda view: view.render("words.html.j2", terms=terms),
        IMAGES_PAGE: partial(sources_page, plan=plan),
    }
    for dataset, run_id in sorted(plan.chosen.runs):
        path = f"{name_file(name_dataset(dataset))}/{name_file(run_id)}/index.html"
        pages[path] = partial(run_page, dataset=dataset, run_id=run_id)
    for path, page in pages.items():
        files[path] = folder.write(path, finish(page(look(path))))
    folder.forget_files(WHOLE, files)
    folder.note_done(WHOLE, made_from, files)
