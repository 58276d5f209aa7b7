"""What all routes share: the warehouse, addresses, images, and how a page becomes an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import HTMLResponse

from pipeline.web.door import Door
from pipeline.web.links import ServerLinks
from pipeline.web.thumbs import Thumbnails
from pipeline.web.view import View


@dataclass(frozen=True)
class Explorer:
    """A warehouse that is being shown."""

    door: Door
    links: ServerLinks
    images: Thumbnails

    def answer(self, request: Request, page: Callable[[View], str]) -> HTMLResponse:
        """A page, made with a cursor of its own.

        Args:
            request: Says in its query whether the page stands in a frame.
            page: Makes it.
        """
        is_embedded = "embed" in request.query_params
        with self.door.cursor() as cursor:
            view = View(cursor, self.links, notice=self.door.notice, is_embedded=is_embedded)
            return HTMLResponse(page(view))
