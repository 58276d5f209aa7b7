"""The lexicon and the facets of a warehouse: ours, and what somebody gave it beside ours or in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from pipeline.base.settings import digest
from pipeline.concepts.facets import FACET_CLASS_SET, FACET_PROMPTS
from pipeline.concepts.phrases import COLUMNS, load_phrases
from pipeline.tables.own_concepts import FACET, OwnConceptsRecord
from pipeline.warehouse.views import load_statements

if TYPE_CHECKING:
    import pyarrow as pa

SHIPPED = "shipped"
"""The database of a connection in which the lexicon is that we ship; beside it stands the warehouse's."""

LEXICON_COLUMNS = (*COLUMNS, "phrase_key")
"""Of the table ``lexicon``, all strings: those of ``concepts.phrases``, and the tokens of each phrase with one
space between them, which take longer to find than all else that a short text is searched with."""

_KEY = "array_to_string(tokenise(phrase), ' ') as phrase_key"
_OWN = ("concept", "category", "language", "phrase")


def digest_lexicon(ours: str, own: OwnConceptsRecord | None) -> str:
    """Changes whenever the lexicon of a warehouse does; ``ours`` is that of the lexicon we ship."""
    return ours if own is None else digest([ours, own["replaces"], own["terms"]])


def select_lexicon(
    connection: duckdb.DuckDBPyConnection, own: OwnConceptsRecord | None, shipped: str = SHIPPED
) -> str:
    """SQL of the lexicon of a warehouse; what phrases it has of its own become the table ``own_terms``.

    Args:
        connection: Where the SQL will be asked.
        own: The warehouse's own phrases.
        shipped: The database in which the lexicon is that we ship.
    """
    select = f"from {shipped}.lexicon"
    if own is None:
        return select
    if own["replaces"]:
        select += " where rule is not null"
    terms = [term for term in own["terms"] if term[1] != FACET]
    if not terms:
        return select
    columns = [list(column) for column in zip(*terms, strict=True)]
    values = (f"unnest(${n}::varchar[]) as {name}" for n, name in enumerate(_OWN, 1))
    connection.execute(
        f"create table own_terms as select *, {_KEY} from (select {', '.join(values)})", columns
    )
    return f"{select}\nunion all by name\nfrom own_terms"


def facet_prompts(own: OwnConceptsRecord | None) -> list[tuple[str, str, str]]:
    """The class set of a warehouse's facets, and each facet with what a model is asked for; ours first.

    Own facets have a class set of their own: scores of one list of facets are never taken for another's.
    """
    prompts = {prompt: facet for facet, prompt in FACET_PROMPTS.items()}
    given = (
        [(facet, prompt) for facet, kind, _, prompt in own["terms"] if kind == FACET] if own else []
    )
    if not own or not given:
        return [(FACET_CLASS_SET, facet, prompt) for prompt, facet in prompts.items()]
    if own["replaces"]:
        prompts = {}
    prompts |= {prompt: facet for facet, prompt in given}
    name = f"{FACET_CLASS_SET}-{digest(sorted(prompts.items()))}"
    return [(name, facet, prompt) for prompt, facet in prompts.items()]


def create_lexicon(connection: duckdb.DuckDBPyConnection, database: str) -> None:
    """Make the lexicon that we ship, in a database of a connection that has the macros: `LEXICON_COLUMNS`."""
    connection.register("phrases", load_phrases())
    connection.execute(f"create table {database}.lexicon as select *, {_KEY} from phrases")
    connection.unregister("phrases")


def load_lexicon_table(own: OwnConceptsRecord | None) -> pa.Table:
    """The lexicon that we ship, or that of a warehouse with phrases of its own."""
    with duckdb.connect() as connection:
        for statements in load_statements():
            connection.execute(statements)
        create_lexicon(connection, "memory")
        return connection.sql(select_lexicon(connection, own, "memory")).to_arrow_table()
