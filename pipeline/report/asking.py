"""Questions to the views whose answers are records of ours: a record's fields are the query's columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import duckdb

Row = TypeVar("Row")


@dataclass(frozen=True)
class Asker:
    """Asks a connection, always of the same neuron or run."""

    connection: duckdb.DuckDBPyConnection
    where: Mapping[str, str | int]
    """The parameters that every query has."""

    def __call__(self, query: str, kind: Callable[..., Row], **more: object) -> list[Row]:
        """The rows of an answer, in its order.

        Args:
            query: Its columns are the fields of the record.
            kind: What makes a record of them.
            more: Further parameters of the query.
        """
        found = self.connection.execute(query, {**self.where, **more})
        names = [column[0] for column in found.description]
        return [kind(**dict(zip(names, row, strict=True))) for row in found.fetchall()]
