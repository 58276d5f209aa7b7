"""What the figures of one run share: its model, its phrases, and how the figure of a layer is made."""

from __future__ import annotations

from functools import cached_property

import duckdb
import pyarrow as pa

from pipeline.base.errors import ModelError
from pipeline.base.figure_settings import Figure, FigureConfig
from pipeline.base.progress import ProgressCallback
from pipeline.base.storage import Store
from pipeline.clip.model import Clip, load_clip
from pipeline.clip.writes import iter_written, list_writing
from pipeline.evidence.classify import refuse_another_model
from pipeline.evidence.phrases import Phrases, embed_phrases, tabulate_phrases
from pipeline.evidence.texts import TEMPLATES
from pipeline.figures.choose import choose_phrases
from pipeline.tables.datasets import run_folder
from pipeline.tables.runs import FigureIdentity, RunRecord, named_model, read_run

TABLE_OF: dict[Figure, str] = {"weights": "weight_texts"}
"""The table that holds each figure."""


class Work:
    """What the layers of one run share.

    Args:
        store: The warehouse.
        connection: Of ``pipeline.connect``.
        config: What is asked.
        progress: Told of every figure of a layer.
    """

    def __init__(
        self,
        store: Store,
        connection: duckdb.DuckDBPyConnection,
        config: FigureConfig,
        progress: ProgressCallback,
    ) -> None:
        self.store, self.config, self.progress = store, config, progress
        self.folder = run_folder(config.dataset, config.run)
        self.run: RunRecord = read_run(store, self.folder)
        self.categories = choose_phrases(connection, config.dataset, config.run)

    @cached_property
    def clip(self) -> Clip:
        """The run's model; loaded if anything is to be asked."""
        clip = load_clip(self.config.model or named_model(self.run), self.config.device)
        refuse_another_model(clip, self.run["identity"])
        return clip

    @cached_property
    def phrases(self) -> Phrases:
        """The phrases in the model's space."""
        return embed_phrases(self.clip, list(self.categories))

    def identity(self, figure: Figure, layer: str) -> FigureIdentity:
        """What decides the figure of a layer."""
        return {
            "figure": figure,
            "weights_sha256": self.run["identity"]["weights_sha256"],
            "layer": layer,
            "texts": list(self.categories),
            "templates": list(TEMPLATES),
        }

    def make(self, figure: Figure, layer: str) -> tuple[pa.Table, str]:
        """The table of a figure of a layer, and in words what it is; without rows if it cannot be, and why."""
        return self._weigh(layer)

    def _weigh(self, layer: str) -> tuple[pa.Table, str]:
        try:
            paths = list_writing(self.clip)
        except ModelError as error:
            return _nothing(error.message)
        path = layer.split(":")[0]
        if path not in paths:
            return _nothing("its neurons do not lead straight to the embedding")
        (written,) = iter_written(self.clip, (path,))
        table = tabulate_phrases(written.directions, self.phrases, self.categories)
        count = len(self.phrases.names)
        unread = len(self.phrases.unread)
        left = f"; {unread} more are too long for the model, or are the same tokens" * bool(unread)
        return table, f"{len(written.directions)} neurons against {count} phrases{left}"


def _nothing(why: str) -> tuple[pa.Table, str]:
    from pipeline.tables.schema import TABLES

    return TABLES["weight_texts"].arrow_schema().empty_table(), f"nothing: {why}"
