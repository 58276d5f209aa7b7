"""What the figures of one run share: its model, its phrases and words, and how each figure is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import duckdb
import numpy as np
import pyarrow as pa

from pipeline.base.errors import ModelError
from pipeline.base.figure_settings import Figure, FigureConfig
from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import digest
from pipeline.base.stimulus_settings import WordOptions
from pipeline.base.storage import Store
from pipeline.clip.model import Clip
from pipeline.clip.writes import iter_written, list_writing
from pipeline.evidence.classify import load_run_model
from pipeline.evidence.phrases import Phrases, embed_phrases, tabulate_phrases
from pipeline.evidence.second_order import (
    RunImages,
    Tops,
    find_effects,
    read_tops,
    tabulate_effects,
)
from pipeline.evidence.texts import TEMPLATES
from pipeline.extract.again import decoder_of_run
from pipeline.extract.show import Seen, show_images
from pipeline.figures.choose import PAPER_WORDS, choose_phrases
from pipeline.figures.words import (
    FONT,
    Floats,
    draw_words,
    tabulate_answers,
    tabulate_crops,
    tabulate_words,
)
from pipeline.stimuli.words import read_words
from pipeline.stimuli.world_pictures import draw_crops
from pipeline.tables.datasets import run_folder
from pipeline.tables.measured import FigureIdentity
from pipeline.tables.runs import RunRecord, read_run
from pipeline.tables.schema import TABLES

TABLE_OF: dict[Figure, str] = {
    "weights": "weight_texts",
    "second-order": "second_order_texts",
    "words": "word_embeddings",
    "countries": "region_answers",
    "maps": "map_answers",
}
"""The table that holds each figure."""
OF_PHRASES: frozenset[Figure] = frozenset({"weights", "second-order"})
"""Figures that hold neurons against phrases."""
OF_MODEL: frozenset[Figure] = frozenset({"words"})
"""Figures that are of the model and not of a layer."""
BATCH = 64
"""Images that go through the model at once."""


class Work:
    """What the layers of one run share.

    Args:
        store: The warehouse.
        connection: Of ``pipeline.connect``.
        config: What is asked.
        progress: Told of every layer, and of every batch of words.
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
        self.images = RunImages(connection, store, config.dataset, self.run["identity"])

    @cached_property
    def clip(self) -> Clip:
        """The run's model; loaded if anything is to be asked."""
        return load_run_model(self.run, self.config.model, self.config.device)

    @cached_property
    def phrases(self) -> Phrases:
        """The phrases in the model's space."""
        return embed_phrases(self.clip, list(self.categories))

    @cached_property
    def words(self) -> list[str]:
        """What is drawn, each once: of the list that is given, else the names of concepts; and the paper's."""
        given: tuple[str, ...] = self.config.words
        if not given and self.config.list:
            given = tuple(word.text for word in read_words(self.config.list))
        return list(dict.fromkeys([*(given or self.categories), *PAPER_WORDS]))

    @cached_property
    def regions(self) -> list[str]:
        """The names of countries, cities and continents that are drawn."""
        return [
            *self.config.words,
            *(
                name
                for name, families in self.categories.items()
                if not self.config.words and "region" in families.split(", ")
            ),
        ]

    @property
    def size_px(self) -> int:
        """Of the images of words: as stimuli are, or as large as the model takes them."""
        return max([WordOptions.size_px, *self.run["identity"].get("image_size_px", [])])

    def identity(self, figure: Figure, layer: str) -> FigureIdentity:
        """What decides the figure of a layer, or of the model."""
        if figure in OF_PHRASES:
            identity: FigureIdentity = {
                "figure": figure,
                "weights_sha256": self.run["identity"]["weights_sha256"],
                "layer": layer,
                "texts": list(self.categories),
                "templates": list(TEMPLATES),
            }
            if figure == "second-order":
                identity["images"] = digest(
                    [[unit, *ids] for unit, ids in self.tops(layer).items()]
                )
            return identity
        drawn: FigureIdentity = {
            "figure": figure,
            "weights_sha256": self.run["identity"]["weights_sha256"],
            "layer": layer,
            "texts": self.words if figure == "words" else self.regions,
            "templates": [],
            "size_px": self.size_px,
        }
        return drawn if figure == "maps" else {**drawn, "font": FONT}

    def tops(self, layer: str) -> Tops:
        """The images that excite each neuron of a layer most."""
        return read_tops(self.images.connection, self.config.dataset, self.config.run, layer)

    def make(self, figure: Figure, layer: str) -> tuple[pa.Table, str]:
        """The table of a figure, and in words what it is; without rows if it cannot be, and why."""
        if figure == "weights":
            return self._weigh(layer)
        if figure == "second-order":
            return self._follow(layer)
        if figure == "maps":
            return self._show_maps(layer)
        texts = self.words if figure == "words" else self.regions
        drawn = draw_words(texts, self.size_px)
        left = len(texts) - len(drawn)
        told = f"{len(drawn)} words drawn as images" + (
            f"; {left} more cannot be written in {FONT}" * bool(left)
        )
        if figure == "words":
            embeddings = np.concatenate(
                [seen.embeddings for seen in self._show(list(drawn.values()))]
            )
            return tabulate_words(list(drawn), self.categories, embeddings), told
        return tabulate_answers(list(drawn), self._answer(list(drawn.values()), layer)), told

    def _show_maps(self, layer: str) -> tuple[pa.Table, str]:
        """Crops of the map of the world, to the neurons of a layer."""
        drawn = list(draw_crops(self.regions, self.size_px))
        shown = [(name, crop) for name, crop, _ in drawn]
        if not shown:
            return _nothing("maps", "no country of the map is among the regions")
        answers = self._answer([image for *_, image in drawn], layer)
        return tabulate_crops(shown, answers), f"{len(shown)} crops of a map of the world"

    def _answer(self, images: Sequence[bytes], layer: str) -> Floats:
        """What the neurons of a layer answer to images: ``[N, U]``."""
        return np.concatenate([seen.pooled[0] for seen in self._show(images, (layer,))])

    def _show(self, images: Sequence[bytes], layers: tuple[str, ...] = ()) -> Iterator[Seen]:
        """Made images to the model, batch after batch."""
        decoder = decoder_of_run(self.store, self.config.dataset, self.run["identity"], self.clip)
        self.progress.start(f"made images to {self.config.run}", len(images))
        try:
            for seen in show_images(self.clip, decoder, images, BATCH, layers):
                yield seen
                self.progress.advance(len(seen.embeddings))
        finally:
            self.progress.finish()

    def _weigh(self, layer: str) -> tuple[pa.Table, str]:
        self.progress.start(f"phrases of {layer}", 1)
        try:
            return self._weigh_layer(layer)
        finally:
            self.progress.advance(1)
            self.progress.finish()

    def _weigh_layer(self, layer: str) -> tuple[pa.Table, str]:
        try:
            paths = list_writing(self.clip)
        except ModelError as error:
            return _nothing("weights", error.message)
        path = layer.split(":")[0]
        if path not in paths:
            return _nothing("weights", "its neurons do not lead straight to the embedding")
        (written,) = iter_written(self.clip, (path,))
        table = tabulate_phrases(written.directions, self.phrases, self.categories)
        return table, self._told(len(written.directions))

    def _follow(self, layer: str) -> tuple[pa.Table, str]:
        """What neurons do through later attention."""
        path = layer.split(":")[0]
        try:
            effects = find_effects(self.clip, path, self.images, self.tops(layer), self.progress)
        except ModelError as error:
            return _nothing("second-order", error.message)
        table = tabulate_effects(effects, self.phrases, self.categories)
        return table, self._told(len(effects.units))

    def _told(self, neurons: int) -> str:
        unread = len(self.phrases.unread)
        left = f"; {unread} more are too long for the model, or are the same tokens" * bool(unread)
        return f"{neurons} neurons against {len(self.phrases.names)} phrases{left}"


def _nothing(figure: Figure, why: str) -> tuple[pa.Table, str]:
    return TABLES[TABLE_OF[figure]].arrow_schema().empty_table(), f"nothing: {why}"
