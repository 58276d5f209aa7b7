"""The lexicon of a warehouse: ours, and what somebody gave it beside ours or in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from pipeline.base.settings import digest
from pipeline.tables.own_concepts import OwnConceptsRecord

if TYPE_CHECKING:
    import pyarrow as pa

SHIPPED = "shipped"
"""The database of a connection in which the lexicon is that we ship; beside it stands the warehouse's."""

_COLUMNS = ("concept", "category", "language", "phrase")


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
        select += " where concept is null"  # rules stay
    if not own["terms"]:
        return select
    columns = [list(column) for column in zip(*own["terms"], strict=True)]
    values = (f"unnest(${n}::varchar[]) as {name}" for n, name in enumerate(_COLUMNS, 1))
    connection.execute(f"create table own_terms as select {', '.join(values)}", columns)
    return f"{select}\nunion all by name\nfrom own_terms"


def with_own_terms(lexicon: pa.Table, own: OwnConceptsRecord | None) -> pa.Table:
    """The same of the lexicon that we ship, as a table of its own."""
    if own is None:
        return lexicon
    with duckdb.connect() as connection:
        connection.register("lexicon", lexicon)
        return connection.sql(select_lexicon(connection, own, "main")).to_arrow_table()
