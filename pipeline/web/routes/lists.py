"""Addresses of lists: chosen neurons, any list as CSV, and a neuron at random."""

from __future__ import annotations

import random

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from pipeline.base.errors import WarehouseError
from pipeline.web.chosen import Chosen
from pipeline.web.explorer import Explorer
from pipeline.web.neuron_filter import Filter
from pipeline.web.neuron_lists import of_list, write_csv
from pipeline.web.neurons import Among
from pipeline.web.pages.chosen import chosen_page
from pipeline.web.site_command import CSV_NAME
from pipeline.web.view import View


def add_routes(app: FastAPI, explorer: Explorer) -> None:
    """Add them.

    Args:
        app: What answers.
        explorer: What it answers with.
    """

    @app.get("/list")
    def chosen(request: Request) -> Response:
        query = request.query_params
        chosen = Chosen.read(query.get("list", ""), query.get("name", ""))
        wanted = Filter.read(query)
        if query.get("format") == "csv" and chosen.neurons:
            return answer_csv(explorer, of_list(chosen), wanted)
        is_part = "hx-request" in request.headers
        found: HTMLResponse = explorer.answer(
            request, lambda view: chosen_page(view, chosen, wanted, is_part)
        )
        found.headers["Vary"] = "HX-Request"
        return found

    @app.get("/random")
    def draw_random(
        dataset: str | None = None, run: str | None = None, layer: str | None = None
    ) -> Response:
        """One labelled neuron, or if there is none any; of a layer if it is named."""
        with explorer.door.cursor() as cursor:
            rows = cursor.execute(
                """
                select dataset, run_id, layer, unit
                from neuron_labels
                where
                    coalesce(dataset = $dataset, true) and coalesce(run_id = $run, true)
                    and coalesce(layer = $layer, true)
                qualify is_labelled or not bool_or(is_labelled) over ()
                """,
                {"dataset": dataset, "run": run, "layer": layer},
            ).fetchall()
        if not rows:
            raise WarehouseError("There is no neuron.", "Make a run with: neurons extract")
        return RedirectResponse(explorer.links.unit(*random.choice(rows)), 303)


def answer_csv(explorer: Explorer, among: Among, wanted: Filter) -> Response:
    """A list as a file.

    Args:
        explorer: What answers.
        among: The neurons that it is of.
        wanted: Which of them, in which order.
    """
    with explorer.door.cursor() as cursor:
        text = write_csv(View(cursor, explorer.links), among, wanted)
    headers = {"Content-Disposition": f'attachment; filename="{CSV_NAME}"'}
    return Response(text, media_type="text/csv", headers=headers)
