"""The lexicon of a warehouse: ours, and what somebody gave it beside ours or in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from pipeline.base.settings import digest
from pipeline.tables.own_concepts import OwnConceptsRecord

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ("concept", "category", "language", "phrase")


def digest_lexicon(ours: str, own: OwnConceptsRecord | None) -> str:
    """Changes whenever the lexicon of a warehouse does; ``ours`` is that of the lexicon we ship."""
    return ours if own is None else digest([ours, own["replaces"], own["terms"]])


def put_own_terms(connection: duckdb.DuckDBPyConnection, own: OwnConceptsRecord | None) -> None:
    """Make the table ``lexicon`` of a connection that of its warehouse."""
    if own is None:
        return
    if own["replaces"]:
        connection.execute("delete from lexicon where concept is not null")
    if own["terms"]:
        columns = [list(column) for column in zip(*own["terms"], strict=True)]
        names = ", ".join(_COLUMNS)
        values = ", ".join(f"unnest(${n}::varchar[])" for n in range(1, len(_COLUMNS) + 1))
        connection.execute(f"insert into lexicon ({names}) select {values}", columns)


def with_own_terms(lexicon: pa.Table, own: OwnConceptsRecord | None) -> pa.Table:
    """The same of the lexicon that we ship, as a table of its own."""
    if own is None:
        return lexicon
    with duckdb.connect() as connection:
        connection.register("shipped", lexicon)
        connection.execute("create table lexicon as from shipped")
        put_own_terms(connection, own)
        return connection.sql("from lexicon").to_arrow_table()
