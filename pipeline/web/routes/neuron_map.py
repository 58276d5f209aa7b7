"""Addresses of the map of a layer: the page, and the dots on it."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from pipeline.web.explorer import Explorer
from pipeline.web.kept_maps import KeptMaps
from pipeline.web.links import read_dataset, read_layer
from pipeline.web.pages.neuron_map import map_page, map_points
from pipeline.web.view import View


def add_routes(app: FastAPI, explorer: Explorer) -> None:
    """Add them, before the addresses that take any unit.

    Args:
        app: What answers.
        explorer: What it answers with.
    """
    maps = KeptMaps(explorer.images.folder.parent / "maps")

    @app.get("/{dataset}/{run_id}/{layer}/map")
    def of_layer(
        request: Request, dataset: str, run_id: str, layer: str,
        unit: int | None = None, part: str | None = None,
    ) -> Response:  # fmt: skip
        place = (read_dataset(dataset), run_id, read_layer(layer))
        if part == "points":
            with explorer.door.cursor() as cursor:
                text = map_points(View(cursor, explorer.links), maps, *place)
            return Response(text, media_type="application/json")
        return explorer.answer(request, lambda view: map_page(view, *place, unit))
