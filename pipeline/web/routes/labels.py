"""Addresses of labels by people; the one that writes is there only if that was asked for."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.question_settings import SheetOptions
from pipeline.labelling.said import count_since
from pipeline.warehouse.find import Neuron, find_neuron
from pipeline.web.answering import Answer, Answering
from pipeline.web.chosen import Chosen
from pipeline.web.explorer import Explorer
from pipeline.web.links import read_dataset, read_layer
from pipeline.web.pages.labels import labelled_page, labelling_page, labels_page, off_page

MAX_FORM_BYTES = 32_768
"""Of an answer, as a browser sends it."""


def add_routes(app: FastAPI, explorer: Explorer, labeller: str | None = None) -> None:
    """Add them.

    Args:
        app: What answers.
        explorer: What it answers with.
        labeller: Under whose name answers are saved; None saves none.
    """
    answering = None if labeller is None else Answering(explorer.door, labeller)

    @app.get("/labels")
    def labels(request: Request) -> Response:
        query = request.query_params
        chosen = Chosen.read(query.get("list", ""), query.get("name", ""))
        if answering is None or not chosen.neurons:
            return explorer.answer(request, lambda view: labels_page(view, labeller))
        options = _read_options(request)
        neuron = _find_open(explorer, answering, chosen, options)
        if neuron is None:
            first = chosen.neurons[0]
            return RedirectResponse(explorer.links.labels(first.dataset, first.run_id), 303)
        carried = chosen.carried | _carry(request)
        return RedirectResponse(explorer.links.label(neuron, **carried), 303)

    @app.get("/labels/{dataset}/{run_id}")
    def of_run(request: Request, dataset: str, run_id: str) -> Response:
        return _answer_labelled(explorer, request, read_dataset(dataset), run_id, None)

    @app.get("/labels/{dataset}/{run_id}/{layer}")
    def of_layer(request: Request, dataset: str, run_id: str, layer: str) -> Response:
        place = (read_dataset(dataset), run_id, read_layer(layer))
        return _answer_labelled(explorer, request, *place)

    @app.get("/labels/{dataset}/{run_id}/{layer}/{unit}")
    def label(
        request: Request, dataset: str, run_id: str, layer: str, unit: int, item: int | None = None
    ) -> Response:
        options, chosen = _read_options(request), _read_list(request)
        with explorer.door.cursor() as cursor:
            neuron = find_neuron(cursor, read_layer(layer), unit, run_id, read_dataset(dataset))
            if answering is None:
                return explorer.answer(request, lambda view: off_page(view, neuron))
            progress = answering.look(cursor, neuron, options)
            words = answering.offer_words(cursor, neuron.dataset)
        page = explorer.answer(
            request,
            lambda view: labelling_page(view, progress, item, words, answering.labeller, chosen),
        )
        page.headers["Cache-Control"] = "no-store"  # going back shows what was said
        return page

    if answering is None:
        return

    @app.post("/labels/{dataset}/{run_id}/{layer}/{unit}")
    async def save(
        request: Request, dataset: str, run_id: str, layer: str, unit: int
    ) -> RedirectResponse:
        """Save an answer; then the next image that has none."""
        answer = Answer.read(await _read_form(request))
        options = _read_options(request)

        def act() -> str:
            with explorer.door.cursor() as cursor:
                named = (read_layer(layer), unit, run_id, read_dataset(dataset))
                neuron = find_neuron(cursor, *named)
                progress = answering.save(cursor, neuron, options, answer)
            item = progress.next_open(answer.item)
            return explorer.links.label(neuron, **_carry(request), item=item)

        return RedirectResponse(await run_in_threadpool(act), 303)


def _answer_labelled(
    explorer: Explorer, request: Request, dataset: str, run_id: str, layer: str | None
) -> Response:
    here = explorer.links.labels(dataset, run_id, layer)
    newer = count_since(explorer.door.store, dataset, run_id, explorer.door.opened_at)
    return explorer.answer(
        request, lambda view: labelled_page(view, dataset, run_id, layer, newer, here)
    )


def _find_open(
    explorer: Explorer, answering: Answering, chosen: Chosen, options: SheetOptions
) -> Neuron | None:
    """The first neuron of a list with an image that nothing was said of; those without samples are passed."""
    problem: WarehouseError | None = None
    found_any = False
    with explorer.door.cursor() as cursor:
        for neuron in chosen.neurons:
            try:
                progress = answering.look(cursor, neuron, options)
            except WarehouseError as error:
                problem = error
                continue
            found_any = True
            if progress.next_open() is not None:
                return neuron
    if problem is not None and not found_any:
        raise problem
    return None


def _read_options(request: Request) -> SheetOptions:
    given = {}
    for name in ("per_bin", "seed"):
        text = request.query_params.get(name, "")
        if text:
            try:
                given[name] = int(text)
            except ValueError:
                raise ConfigError(
                    f"The address says {name}={text!r}.", "A whole number is expected."
                ) from None
    return SheetOptions(**given)


def _read_list(request: Request) -> Chosen | None:
    query = request.query_params
    return Chosen.read(query["list"], query.get("name", "")) if "list" in query else None


def _carry(request: Request) -> dict[str, str]:
    """What the next address says as this one does."""
    query = request.query_params
    return {name: query[name] for name in ("list", "name", "per_bin", "seed") if name in query}


async def _read_form(request: Request) -> dict[str, str]:
    """The fields of a form as browsers send it: of several of one name the last."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_FORM_BYTES:
            raise ConfigError(
                f"The form has more than {MAX_FORM_BYTES:,} bytes.", "Send it from the page itself."
            )
    text = data.decode("utf-8", errors="replace")
    return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=20))
