"""The sections of the page, in its order."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.paper import geographic, stroop, typographic
from pipeline.paper.section import Section, Subject

MAKERS: tuple[Callable[[Subject], Section], ...] = (
    typographic.make_section,
    stroop.make_section,
    geographic.make_section,
)
