"""Addresses of what a run has beside layers: its images, what they show, its attacks and Stroop cards."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from pipeline.base.display import show
from pipeline.base.errors import WarehouseError
from pipeline.web.attack_filter import AttackFilter
from pipeline.web.explorer import Explorer
from pipeline.web.links import read_dataset, read_parts
from pipeline.web.pages.attacks import attacks_page
from pipeline.web.pages.concept import category_page, concept_page
from pipeline.web.pages.example import example_page
from pipeline.web.pages.stroop import stroop_page


def add_routes(app: FastAPI, explorer: Explorer) -> None:
    """Add them, before the addresses that take any layer.

    Args:
        app: What answers.
        explorer: What it answers with.
    """

    @app.get("/{dataset}/{run_id}/example/{example_id}")
    def example(request: Request, dataset: str, run_id: str, example_id: int) -> Response:
        place = (read_dataset(dataset), run_id, example_id)
        return explorer.answer(request, lambda view: example_page(view, *place))

    @app.get("/{dataset}/{run_id}/concept/{rest:path}")
    def concept(request: Request, dataset: str, run_id: str) -> Response:
        place = (read_dataset(dataset), run_id)
        category, name = _read_names(request, 2)
        return explorer.answer(request, lambda view: concept_page(view, *place, category, name))

    @app.get("/{dataset}/{run_id}/category/{rest:path}")
    def category(request: Request, dataset: str, run_id: str) -> Response:
        place = (read_dataset(dataset), run_id)
        (name,) = _read_names(request, 1)
        return explorer.answer(request, lambda view: category_page(view, *place, name))

    @app.get("/{dataset}/{run_id}/attacks")
    def attacks(
        request: Request, dataset: str, run_id: str, part: str = "", whole: bool = False
    ) -> Response:
        place = (read_dataset(dataset), run_id)
        wanted = AttackFilter.read(request.query_params)
        is_whole = whole or "embed" in request.query_params
        return explorer.answer(
            request, lambda view: attacks_page(view, *place, wanted, part, is_whole)
        )

    @app.get("/{dataset}/{run_id}/stroop")
    def stroop(
        request: Request, dataset: str, run_id: str, class_set: str = "",
        ink: str | None = None, word: str | None = None,
    ) -> Response:  # fmt: skip
        place = (read_dataset(dataset), run_id, class_set, ink, word)
        return explorer.answer(request, lambda view: stroop_page(view, *place))


def _read_names(request: Request, count: int) -> list[str]:
    """The names behind ``concept`` or ``category`` in an address: a name may have slashes, as ``%2F``.

    Raises:
        WarehouseError: There are more or fewer.
    """
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    names = read_parts(path.decode("ascii", "replace"))[3:]
    if len(names) != count or not all(names):
        raise WarehouseError(
            f"There is no page {show(request.url.path)!r}.", "Follow a link of a page."
        )
    return names
