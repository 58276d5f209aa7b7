"""What the runs' own models make of a text: loaded when it is asked for, one question at a time."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.base.errors import ModelError, NeuronsError, WarehouseError
from pipeline.base.question_settings import FindWay, Search
from pipeline.base.storage import Store
from pipeline.search.find import Found, ask_models
from pipeline.tables.datasets import run_folder
from pipeline.tables.runs import named_model, read_run
from pipeline.warehouse.find import FoundRun, Neuron, find_layers

if TYPE_CHECKING:
    import duckdb

    from pipeline.clip.model import Clip

SHOWN = 12
"""Neurons of each table."""

PATIENCE_S = 120
"""How long a question waits for the one before it."""

WAYS: tuple[FindWay, ...] = ("similarity", "weights")


@dataclass(frozen=True)
class ModelAnswer:
    """What a model makes of a text in one way."""

    title: str
    figure: str
    """What the figures are: ``correlation`` or ``cosine``."""
    neurons: tuple[tuple[Neuron, float, str | None], ...]
    """Each with its figure and label, best first."""
    notes: tuple[str, ...]


class AskedModels:
    """The models of a warehouse's runs; the one that was asked last stays loaded."""

    def __init__(self, store: Store) -> None:
        """Args:
        store: The warehouse.
        """
        self._store = store
        self._lock = threading.Lock()
        self._loaded: tuple[tuple[str, str | None], Clip] | None = None

    def ask(
        self, connection: duckdb.DuckDBPyConnection, text: str, run: FoundRun
    ) -> list[ModelAnswer]:
        """Neurons for a text, by each way that the run allows.

        Args:
            connection: A cursor.
            text: What they should stand for.
            run: Whose model is asked, and whose neurons are.

        Raises:
            ConfigError: The text is empty or too long.
            ConfigMismatchError: The model is not the run's.
            ModelError: It cannot be loaded; or another question takes too long.
        """
        if not self._lock.acquire(timeout=PATIENCE_S):
            raise ModelError(
                "The model is answering another question.", "Ask again when it is done."
            )
        try:
            self._load(run)
            return [answer for way in WAYS for answer in self._ask(connection, text, run, way)]
        finally:
            self._lock.release()

    def _ask(
        self, connection: duckdb.DuckDBPyConnection, text: str, run: FoundRun, way: FindWay
    ) -> list[ModelAnswer]:
        search = Search(text=text, by=(way,), k=SHOWN, dataset=run.dataset, run=run.run_id)
        try:
            found = list(ask_models(connection, search, [run], self._load))
        except (ModelError, WarehouseError) as error:  # the other way may work
            return [ModelAnswer(f"By {way}", "", (), (str(error),))]
        return [_name_neurons(connection, run, table) for table in found]

    def _load(self, run: FoundRun) -> Clip:
        from pipeline.evidence.texts import load_run_model

        if self._loaded is None or self._loaded[0] != run.model:
            self._loaded = None  # two at once may be more than there is memory
            record = read_run(self._store, run_folder(run.dataset, run.run_id))
            clip = load_run_model(named_model(record), record["identity"], "cpu")
            self._loaded = (run.model, clip)
        return self._loaded[1]


def _name_neurons(
    connection: duckdb.DuckDBPyConnection, run: FoundRun, table: Found
) -> ModelAnswer:
    """A table whose rows are neurons that have a page: layers are found by path or name."""
    layers: dict[str, str | None] = {}
    neurons = []
    for layer, unit, value, label in table.rows:
        if layer not in layers:
            try:
                layers[layer] = find_layers(connection, run.dataset, run.run_id, layer)[0].layer
            except NeuronsError:
                layers[layer] = None
        name = layers[layer]
        if name is not None:
            neurons.append((Neuron(run.dataset, run.run_id, name, unit), value, label))
    notes = list(table.notes)
    if len(neurons) < len(table.rows):
        notes.append(f"The run did not read {', '.join(n for n in layers if layers[n] is None)}.")
    return ModelAnswer(table.title, table.columns[2], tuple(neurons), tuple(notes))
