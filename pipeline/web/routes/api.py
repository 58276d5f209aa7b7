"""Addresses of the JSON API under ``/api``."""

from __future__ import annotations

import threading
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from pipeline.web.console import Console
from pipeline.web.explorer import Explorer


class _Api:
    """The API, made when it is first asked: its records take longer to describe than the first page takes."""

    def __init__(self, explorer: Explorer, console: Console) -> None:
        self._explorer, self._console = explorer, console
        self._lock = threading.Lock()
        self._app: FastAPI | None = None

    def make(self) -> FastAPI:
        """The application; once."""
        with self._lock:
            if self._app is None:
                from pipeline.web.api.application import make_api

                self._app = make_api(self._explorer, self._console)
            return self._app

    @property
    def routes(self) -> list[BaseRoute]:
        """All its addresses, for who lists those of the explorer."""
        return self.make().routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = await run_in_threadpool(self.make)
        await app(scope, receive, send)


def add_routes(app: FastAPI, explorer: Explorer, console: Console) -> None:
    """Answer ``/api`` with a page that lists it, and all below with JSON.

    Args:
        app: What answers.
        explorer: What it answers with.
        console: Answers queries.
    """
    api = _Api(explorer, console)

    @app.get("/api")
    def about(request: Request) -> Response:
        document = api.make().openapi()
        return explorer.answer(
            request, lambda view: view.render("api.html.j2", document=document, refer=_refer)
        )

    app.mount("/api", api)


def _refer(schema: dict[str, Any]) -> str:
    """What a schema is, in few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_refer(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_refer(schema.get('items', {}))}"
    return str(schema.get("type", "any"))
