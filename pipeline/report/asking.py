"""Questions to the views whose answers are records of ours: a record's fields are the query's columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import duckdb

Row = TypeVar("Row")


@dataclass(frozen=True)
class Asker:
    """Asks a connection, always of the same neurons or run."""

    connection: duckdb.DuckDBPyConnection
    where: Mapping[str, str | int | list[int]]
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

    def by_unit(
        self, query: str, kind: Callable[..., Row], **more: object
    ) -> Mapping[int, list[Row]]:
        """The rows of each unit, in their order; none of a unit that has none.

        Args:
            query: Its first column is ``unit``, the others are the fields of the record.
            kind: What makes a record of them.
            more: Further parameters of the query.
        """
        found = self.connection.execute(query, {**self.where, **more})
        names = [column[0] for column in found.description[1:]]
        units: defaultdict[int, list[Row]] = defaultdict(list)
        for unit, *row in found.fetchall():
            units[unit].append(kind(**dict(zip(names, row, strict=True))))
        return units
