"""Which concepts a text names: the views of `sql/concepts/`, asked of texts that lie in no warehouse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.warehouse.catalog import define, load_catalog
from pipeline.warehouse.contents import Inventory
from pipeline.warehouse.own_concepts import SHIPPED
from pipeline.warehouse.small_tables import fill_small_tables
from pipeline.warehouse.views import find_view

VIEWS = (
    *("lexicon_phrases", "lexicon_rules", "lexicon_senses"),
    *("text_tokens", "text_spans", "text_matches"),
)


class Text(NamedTuple):
    """A text as it comes with an image."""

    text: str
    language: str = "en"
    text_kind: str = "caption"
    page_title: str = ""


class Found(NamedTuple):
    """A concept that a text names."""

    concept: str
    category: str
    phrase: str


class Explained(NamedTuple):
    """A phrase of a text, and what became of it."""

    words: str
    """Its tokens in the text, lower-case."""
    concept: str | None
    """None of a phrase that is listed as naming none."""
    category: str | None
    phrase: str | None
    """As the lexicon has it."""
    is_form: bool | None
    """Whether the text has an inflected form of it."""
    refused_by: str | None
    """The rule of ``text_matches`` that refuses it; None if the concept is found."""


def connect_lexicon() -> duckdb.DuckDBPyConnection:
    """A database in memory with the macros, the lexicon and the default settings."""
    connection = duckdb.connect(":memory:", config={"threads": 1})
    load_catalog(connection)
    define(connection, ("lexicon", f"from {SHIPPED}.lexicon"))
    fill_small_tables(connection, Inventory(Store(".")), LabelSettings())
    return connection


def ask_of_texts(
    connection: duckdb.DuckDBPyConnection, texts: Sequence[Text], views: Sequence[str], query: str
) -> list[tuple[Any, ...]]:
    """Ask views of given texts, whose numbers from 0 are ``example_id``.

    Args:
        connection: With the tables ``lexicon`` and ``settings``; its own texts are not looked at.
        texts: What is asked about.
        views: Those to ask, each after what it reads.
        query: Of them.
    """
    rows = [
        {
            "dataset": "",
            "example_id": number,
            "language": one.language,
            "text_kind": one.text_kind,
            "text_rank": 1,
            "text": one.text,
            "page_title": one.page_title or None,
        }
        for number, one in enumerate(texts)
    ]
    kinds = ("string", "int64", "string", "string", "int32", "string", "string")
    names = ("dataset", "example_id", "language", "text_kind", "text_rank", "text", "page_title")
    schema = pa.schema(list(zip(names, map(pa.type_for_alias, kinds), strict=True)))
    connection.register("given_texts", pa.Table.from_pylist(rows, schema))
    parts = ",\n".join(f"{name} as (\n{find_view(name).body.rstrip(';')}\n)" for name in views)
    try:
        return connection.execute(
            f"with stg_texts as (from given_texts),\n{parts}\n{query}"
        ).fetchall()
    finally:
        connection.unregister("given_texts")


def find_concepts(
    texts: Sequence[Text], connection: duckdb.DuckDBPyConnection | None = None
) -> list[list[Found]]:
    """The concepts of each text, people of page texts included; by the shipped lexicon or a connection's."""
    views = (*VIEWS, "text_concepts", "title_people")
    rows = ask_of_texts(
        connection or connect_lexicon(),
        texts,
        views,
        "select example_id, concept, category, phrase from text_concepts union all "
        "select example_id, concept, 'person', evidence from title_people order by all",
    )
    found: list[list[Found]] = [[] for _ in texts]
    for number, *what in rows:
        found[number].append(Found(*what))
    return found


def explain(
    text: str, language: str = "en", connection: duckdb.DuckDBPyConnection | None = None
) -> list[Explained]:
    """What is found in a text and what is refused, by which rule, in the order of the text.

    Args:
        text: A caption.
        language: Its language, as a BCP 47 tag.
        connection: Of a warehouse whose lexicon and settings are used; the shipped ones otherwise.
    """
    rows = ask_of_texts(
        connection or connect_lexicon(),
        [Text(text, language)],
        VIEWS,
        "select phrase_key, concept, category, phrase, is_form, refused_by from text_matches "
        "order by first_position, token_count, concept, category",
    )
    return [Explained(*row) for row in rows]
