"""The application: which address is answered by which page."""

from __future__ import annotations

import re
from collections.abc import Collection

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

from pipeline.base.display import show
from pipeline.base.errors import ConfigError, NeuronsError, WarehouseError
from pipeline.report.peaks import InImage
from pipeline.warehouse.find import find_neuron
from pipeline.warehouse.images import find_places
from pipeline.web import glossary
from pipeline.web.chosen import Chosen
from pipeline.web.console import Console
from pipeline.web.door import Door
from pipeline.web.explorer import Explorer
from pipeline.web.guard import Guard
from pipeline.web.links import ServerLinks, read_dataset, read_layer
from pipeline.web.neuron_filter import Filter
from pipeline.web.neurons import of_layer
from pipeline.web.pages.compare import compare_page
from pipeline.web.pages.layer import layer_page
from pipeline.web.pages.neuron import neuron_page, neuron_panel
from pipeline.web.pages.overview import overview_page, run_page
from pipeline.web.routes import api, labels, lists, neuron_map, of_run, search, sql
from pipeline.web.routes.lists import answer_csv
from pipeline.web.strips import draw_strip
from pipeline.web.thumbs import SIZES_PX, Thumbnails
from pipeline.web.view import ASSETS, View, assets_version, read_asset

FOR_EVER = "public, max-age=31536000, immutable"
A_DAY = "private, max-age=86400"


def make_app(
    door: Door,
    hosts: Collection[str],
    thumbnails: Thumbnails | None = None,
    console: Console | None = None,
    labeller: str | None = None,
) -> FastAPI:
    """The explorer of a warehouse.

    Args:
        door: The warehouse, held open.
        hosts: Names by which it may be called, see `guard.Guard`.
        thumbnails: Its images in small; kept in the user's cache by default.
        console: Answers queries; with the usual limits by default.
        labeller: Under whose name answers of people are saved; None writes nothing into the warehouse.
    """
    app = FastAPI(title="neurons", docs_url=None, redoc_url=None, openapi_url=None)
    links = ServerLinks(assets_version())
    images = thumbnails or Thumbnails(door.store)
    explorer = Explorer(door, links, images)
    queries = console or Console(door.warehouse)
    answer = explorer.answer
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    app.add_middleware(Guard, hosts=hosts)

    @app.exception_handler(NeuronsError)
    @app.exception_handler(RequestValidationError)
    @app.exception_handler(HTTPException)
    def explain(request: Request, error: Exception) -> HTMLResponse:
        """What is wrong with what was asked for."""
        status = 404 if isinstance(error, WarehouseError) else 400
        if isinstance(error, RequestValidationError):
            place, what = error.errors()[0]["loc"][-1], error.errors()[0]["msg"]
            error = ConfigError(
                f"The address does not say what {place} is: {what}.", "Follow a link of a page."
            )
        if isinstance(error, HTTPException):
            status = error.status_code
            error = WarehouseError(
                f"There is no page {show(request.url.path)!r}.", "Follow a link of a page."
            )
        assert isinstance(error, NeuronsError)
        with door.cursor() as cursor:
            page = View(cursor, links).render(
                "error.html.j2",
                title="Not here" if status == 404 else "Not understood",
                message=error.message,
                hint=error.hint,
            )
        return HTMLResponse(page, status)

    @app.get("/")
    def overview(request: Request) -> Response:
        return answer(request, overview_page)

    @app.get("/words")
    def words(request: Request) -> Response:
        terms = sorted(glossary.TERMS.items())
        return answer(request, lambda view: view.render("words.html.j2", terms=terms))

    @app.get("/static/{name}")
    def asset(name: str) -> Response:
        if name not in ASSETS:
            raise WarehouseError(f"There is no file {name!r}.", f"Files: {', '.join(ASSETS)}.")
        return Response(
            read_asset(name), media_type=ASSETS[name], headers={"Cache-Control": FOR_EVER}
        )

    @app.get("/image/{dataset}/{example_id}.webp")
    def image(dataset: str, example_id: int, size: int = 96, ring: str | None = None) -> Response:
        _check_size(size)
        with door.cursor() as cursor:
            places = find_places(cursor, dataset, [example_id])
        if example_id not in places:
            raise WarehouseError(
                f"Dataset {dataset!r} has no example {example_id}.", "Follow a link of a page."
            )
        data = images.read(places[example_id], size, _read_ring(ring))
        return Response(data, media_type="image/webp", headers={"Cache-Control": A_DAY})

    @app.get("/strip/{dataset}/{run_id}/{layer}/{unit}.webp")
    def strip(dataset: str, run_id: str, layer: str, unit: int, n: int = 5) -> Response:
        with door.cursor() as cursor:
            neuron = find_neuron(cursor, read_layer(layer), unit, run_id, dataset)
            data = draw_strip(cursor, images, neuron, min(max(n, 1), 12))
        return Response(data, media_type="image/webp", headers={"Cache-Control": A_DAY})

    @app.get("/compare")
    def compare(request: Request, a: str = "", b: str = "") -> Response:
        return answer(request, lambda view: compare_page(view, a, b))

    @app.post("/again")
    def open_again(back: str = "") -> Response:
        door.open_again()
        queries.close()
        is_ours = re.match(r"/(?![/\\])[!-~]*\Z", back)
        return RedirectResponse(back if is_ours else links.overview(), 303)

    search.add_routes(app, explorer)
    sql.add_routes(app, explorer, queries)
    api.add_routes(app, explorer, queries)
    lists.add_routes(app, explorer)
    neuron_map.add_routes(app, explorer)
    labels.add_routes(app, explorer, labeller)

    @app.get("/{dataset}")
    def of_dataset(dataset: str) -> Response:
        raise WarehouseError(
            f"There is no page {show(dataset)!r}.", "Pages of a dataset are those of its runs."
        )

    of_run.add_routes(app, explorer)

    @app.get("/{dataset}/{run_id}")
    def run(request: Request, dataset: str, run_id: str) -> Response:
        return answer(request, lambda view: run_page(view, read_dataset(dataset), run_id))

    @app.get("/{dataset}/{run_id}/{layer}")
    def layer(request: Request, dataset: str, run_id: str, layer: str) -> Response:
        wanted = Filter.read(request.query_params)
        is_part = "hx-request" in request.headers
        place = (read_dataset(dataset), run_id, read_layer(layer))
        if request.query_params.get("format") == "csv":
            return answer_csv(explorer, of_layer(*place), wanted)
        found = answer(request, lambda view: layer_page(view, *place, wanted, is_part))
        found.headers["Vary"] = "HX-Request"
        return found

    @app.get("/{dataset}/{run_id}/{layer}/{unit}")
    def neuron(
        request: Request, dataset: str, run_id: str, layer: str, unit: int,
        panel: str | None = None, whole: bool = False,
    ) -> Response:  # fmt: skip
        place = (read_dataset(dataset), run_id, read_layer(layer), unit)
        if panel is not None:
            return answer(request, lambda view: neuron_panel(view, *place, panel))
        is_whole = whole or "embed" in request.query_params
        query = request.query_params
        chosen = Chosen.read(query["list"], query.get("name", "")) if "list" in query else None
        return answer(request, lambda view: neuron_page(view, *place, is_whole, chosen))

    return app


def _check_size(size_px: int) -> None:
    if size_px not in SIZES_PX:
        raise ConfigError(
            f"An image of {size_px} px was asked for.",
            f"Sides are: {', '.join(map(str, SIZES_PX))}.",
        )


def _read_ring(text: str | None) -> InImage | None:
    if text is None:
        return None
    try:
        x, y = (min(1.0, max(0.0, float(part))) for part in text.split(","))
    except ValueError:
        raise ConfigError(
            f"The address says ring={text!r}.", "Two fractions are expected: ring=0.25,0.5"
        ) from None
    return InImage(x, y)
