"""``concepts/own.json``: phrases that somebody gave a warehouse beside the lexicon, or in its place."""

from __future__ import annotations

from pipeline.base.storage import Store
from pipeline.tables.records import Sealed, read_record

FOLDER = "concepts"
RECORD = "concepts/own.json"

FACET = "facet"
"""The category of a term that is no concept but a facet: its concept is the facet's name, its phrase what a
model is asked for."""


class OwnConceptsRecord(Sealed):
    """What was given with ``neurons concepts add``, all of it."""

    replaces: bool
    """Whether the lexicon that we ship is left out."""
    terms: list[tuple[str, str, str, str]]
    """Concept, category, base language and phrase; sorted, each once. Facets are among them."""


def read_own_concepts(store: Store) -> OwnConceptsRecord | None:
    """The record of a warehouse; None where nobody gave any.

    Raises:
        NeuronsError: It is damaged.
    """
    return read_record(store, RECORD, OwnConceptsRecord) if store.exists(RECORD) else None
