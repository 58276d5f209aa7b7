"""The sections of the page, in its order."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.paper import (
    conditional,
    emotions,
    families,
    geographic,
    interpretable,
    multimodal,
    named,
    regions,
    sparse_probes,
    stroop,
    sums,
    typographic,
    weights,
    words,
)
from pipeline.paper.section import Section, Subject

MAKERS: tuple[Callable[[Subject], Section], ...] = (
    multimodal.make_section,
    families.make_section,
    interpretable.make_section,
    named.make_section,
    geographic.make_section,
    regions.make_section,
    conditional.make_section,
    emotions.make_section,
    sums.make_section,
    sparse_probes.make_section,
    typographic.make_section,
    stroop.make_section,
    weights.make_section,
    words.make_section,
)
