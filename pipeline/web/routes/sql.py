"""The addresses of the SQL console."""

from __future__ import annotations

import csv
import io
import json

from fastapi import FastAPI, Request, Response

from pipeline.base.csv_cells import guard_row
from pipeline.base.errors import ConfigError
from pipeline.web.console import CSV_ROWS, Console, SqlAnswer
from pipeline.web.explorer import Explorer
from pipeline.web.pages.sql import Asked, sql_page


def add_routes(app: FastAPI, explorer: Explorer, console: Console) -> None:
    """Answer ``/sql`` and ``/sql.csv``."""

    @app.get("/sql")
    def sql(request: Request) -> Response:
        asked = Asked.read(request.query_params)
        answer, problem = None, None
        is_held = bool(asked.query) and is_from_elsewhere(request)
        if asked.query and not is_held:
            try:
                answer = console.ask(asked.query)
            except ConfigError as error:
                problem = error
        page = explorer.answer(
            request, lambda view: sql_page(view, asked, answer, problem, is_held)
        )
        page.status_code = 400 if problem else 200
        page.headers["Vary"] = "Sec-Fetch-Site"
        return page

    @app.get("/sql.csv")
    def sql_csv(request: Request) -> Response:
        refuse_elsewhere(request)
        asked = Asked.read(request.query_params)
        answer = console.ask(asked.query, CSV_ROWS)
        headers = {"Content-Disposition": 'attachment; filename="answer.csv"'}
        if answer.is_cut:
            headers["X-Cut-After"] = str(len(answer.rows))
        return Response(write_csv(answer), media_type="text/csv; charset=utf-8", headers=headers)


def is_from_elsewhere(request: Request) -> bool:
    """Whether another site's page asks: by a link, a form, a frame or a script.

    It cannot read what is answered, but it could have us work. Browsers say who asks; what says nothing is no
    browser, or an old one.
    """
    return request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none")


def refuse_elsewhere(request: Request) -> None:
    """Do not work for another site's page.

    Raises:
        ConfigError: It asks.
    """
    if is_from_elsewhere(request):
        raise ConfigError(
            "A page of another site asked for a query.", "Open the console itself and run it there."
        )


def write_csv(answer: SqlAnswer) -> str:
    """An answer as CSV; lists and objects as JSON."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(guard_row(answer.names))
    for row in answer.rows:
        values = (
            json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
            for value in row
        )
        writer.writerow(guard_row(values))
    return file.getvalue()
