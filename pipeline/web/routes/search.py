"""Addresses of the search: its page, what is offered while somebody types, and what a model says."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup

from pipeline.web.asked_models import AskedModels
from pipeline.web.explorer import Explorer
from pipeline.web.links import RESERVED, read_dataset
from pipeline.web.meanings import find_meanings
from pipeline.web.pages.search import model_part, search_page, suggestions, texts_part


def add_routes(app: FastAPI, explorer: Explorer) -> None:
    """Add them.

    Args:
        app: What answers.
        explorer: What it answers with.
    """
    models = AskedModels(explorer.door.store)

    @app.get("/search")
    def search(request: Request, q: str = "", part: str | None = None) -> Response:
        here = _read_place(request)
        if part == "texts":
            return explorer.answer(request, lambda view: texts_part(view, q, here))
        if part == "suggestions":
            return explorer.answer(request, lambda view: suggestions(view, q, here))
        with explorer.door.cursor() as cursor:
            neurons = find_meanings(cursor, q, 2).neurons
        if len(neurons) == 1:
            return RedirectResponse(explorer.links.neuron(neurons[0]), 303)
        return explorer.answer(request, lambda view: search_page(view, q, here))

    @app.post("/search")
    def ask(request: Request, q: str = "", run: str = "") -> Response:
        """The model's own word: a request of our pages alone, since it costs seconds."""
        if "hx-request" in request.headers:
            return explorer.answer(request, lambda view: model_part(view, models, q, run))
        return explorer.answer(
            request,
            lambda view: search_page(view, q, answers=Markup(model_part(view, models, q, run))),
        )


def _read_place(request: Request) -> tuple[str, str]:
    """Dataset and run of the page that asks, if it is of one."""
    parts = urlsplit(request.headers.get("hx-current-url", "")).path.split("/")
    if len(parts) < 3 or parts[1] in RESERVED:
        return "", ""
    return read_dataset(unquote(parts[1])), unquote(parts[2])
