"""Datasets and runs that cannot be read: left out of what a connection answers from, and told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from pipeline.base.errors import ConfigError, NeuronsError, WarehouseError

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class LeftOut:
    """A dataset with all its runs, or one run."""

    folder: str
    """Relative to the warehouse; what it says of its own name may be wrong."""
    error: NeuronsError
    """What is wrong with it and what to do."""

    @property
    def dataset(self) -> str:
        """The dataset, as the folder says."""
        return _value(self.folder.split("/")[0])

    @property
    def run_id(self) -> str | None:
        """The run, as the folder says; None if the whole dataset is left out."""
        _, _, run = self.folder.partition("/")
        return _value(run) if run else None

    def covers(self, dataset: str, run_id: str) -> bool:
        """Whether a run is this one, or of this dataset."""
        return dataset == self.dataset and self.run_id in (None, run_id)

    @property
    def told(self) -> str:
        """For a person."""
        what = f"Dataset {self.dataset!r}"
        if self.run_id is not None:
            what = f"Run {self.run_id!r} of dataset {self.dataset!r}"
        return f"{what} is left out, all else answers: {self.error.message} {self.error.hint}"


def _value(part: str) -> str:
    return unquote(part.partition("=")[2])


def is_of_data(error: NeuronsError) -> bool:
    """Whether what was read is the trouble; not the machine or the connection, where all may be there
    again in a minute and nothing may be left out."""
    is_damage = isinstance(error, WarehouseError | ConfigError)
    return is_damage or isinstance(error.__cause__, ValueError | PermissionError)


_known: WeakKeyDictionary[duckdb.DuckDBPyConnection, tuple[LeftOut, ...]] = WeakKeyDictionary()


def note_left_out(connection: duckdb.DuckDBPyConnection, found: tuple[LeftOut, ...]) -> None:
    """Remember what a connection does not answer from."""
    _known[connection] = found


def list_left_out(connection: duckdb.DuckDBPyConnection) -> tuple[LeftOut, ...]:
    """What a connection does not answer from."""
    return _known.get(connection, ())


def refuse_left_out(
    found: Iterable[LeftOut], dataset: str | None, run: str | None = None, is_needed: bool = False
) -> None:
    """Raise the error of what is left out, if that is what was asked for.

    Args:
        found: What is left out.
        dataset: The dataset that was named.
        run: The run that was named.
        is_needed: Nothing else answers: what lies in the dataset, or anywhere, is meant too.

    Raises:
        NeuronsError: As it was when that was read.
    """
    for one in found:
        is_there = dataset in (None, one.dataset)
        is_dataset = one.run_id is None and dataset is not None
        is_run = run is not None and one.run_id == run
        is_any = is_needed and (run is None or one.run_id is None)
        if is_there and (is_dataset or is_run or is_any):
            raise one.error
