"""Fresh images through the run's model: block by block of concepts, each in a file of its own, then the scores.

A file is named by what it was made from, so what is there is not measured again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.faults import faults_told
from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import digest
from pipeline.base.storage import Store
from pipeline.base.support_settings import SupportConfig
from pipeline.clip.model import Clip
from pipeline.evidence.classify import load_run_model
from pipeline.extract.again import decoder_of_run
from pipeline.extract.show import show_images
from pipeline.support.choose import choose_concepts, read_used
from pipeline.support.fresh import FreshConcept, FreshImage, choose_means, find_emoji, iter_fresh
from pipeline.support.score import score_fresh
from pipeline.tables.datasets import run_folder
from pipeline.tables.manifests import FileEntry, adopt_file, make_entry
from pipeline.tables.measured import SupportIdentity
from pipeline.tables.runs import RunRecord, read_run
from pipeline.tables.schema import TABLES

BLOCK_CONCEPTS = 64
"""Concepts whose images are in one file."""

KINDS = ("fresh_images", "fresh_scores")
"""Tables."""


@dataclass
class Made:
    """What there is of a layer."""

    files: list[FileEntry] = field(default_factory=list)
    image_count: int = 0
    new_count: int = 0
    drawn_count: int = 0
    bare_count: int = 0


class Work:
    """What the layers of one measurement share.

    Args:
        store: The warehouse.
        connection: Of ``pipeline.connect``.
        config: What is asked.
        progress: Told of every block.

    Raises:
        ConfigError: No font and no set of drawings is fresh.
        WarehouseError: There are fewer than two concepts.
    """

    def __init__(
        self,
        store: Store,
        connection: duckdb.DuckDBPyConnection,
        config: SupportConfig,
        progress: ProgressCallback,
    ) -> None:
        self.store, self.config, self.progress = store, config, progress
        self.folder = run_folder(config.dataset, config.run)
        self.run: RunRecord = read_run(store, self.folder)
        self.used = read_used(connection, config.dataset)
        self.means = choose_means(config, self.used)
        self.concepts: list[FreshConcept] = find_emoji(choose_concepts(connection, config))
        self._clip: Clip | None = None

    @property
    def clip(self) -> Clip:
        """The run's model."""
        if self._clip is None:
            self._clip = load_run_model(self.run, self.config.model, self.config.device)
        return self._clip

    def identity(self, layer: str) -> SupportIdentity:
        """What decides what the layer answers."""
        config, means = self.config, self.means
        return {
            "weights_sha256": self.run["identity"]["weights_sha256"],
            "layer": layer,
            "concepts": [concept.concept for concept in self.concepts],
            "made_with": [*(f.name for f in means.fonts), *(s.name for s in means.sets)],
            "fonts": list(config.fonts),
            "sets": list(config.sets),
            "images": config.images,
            "controls": config.controls,
            "size_px": config.size_px,
            "seed": config.seed,
        }

    def measure(self, layer: str, places: Sequence[str]) -> Made:
        """The files of a layer: what was measured before is taken up.

        Args:
            layer: Its name.
            places: Folders of its files, one of each of `KINDS`.
        """
        made, identity = Made(), self.identity(layer)
        whole = {**identity, "concepts": [], "controls": 0}  # of these each block has its own
        blocks = list(_cut(self.concepts, BLOCK_CONCEPTS))
        self.progress.start(f"support of {layer}", len(blocks))
        try:
            for number, block in enumerate(blocks):
                made_from = digest([whole, [c.concept for c in block], sorted(self.used.hashes)])
                rel = f"{places[0]}/{number:05d}-{made_from}.parquet"
                file = adopt_file(self.store, KINDS[0], rel)
                if file is None:
                    table = self._measure_block(layer, block)
                    file = make_entry(
                        KINDS[0], rel, len(table), self.store.write_parquet(rel, table)
                    )
                    made.new_count += len(table)
                made.files.append(
                    {**file, "layer": layer, "ordinal": number, "made_from": made_from}
                )
                self.progress.advance(1, f"{block[0].concept} to {block[-1].concept}")
        finally:
            self.progress.finish()
        self._score(made, layer, places[1])
        return made

    def _score(self, made: Made, layer: str, place: str) -> None:
        """Add the scores to the files of the images."""
        images = [self._read(file) for file in made.files]
        whole = pa.concat_tables(images)
        made.image_count = len(whole)
        written = set(whole["concept"].to_pylist())
        made.bare_count = sum(c.concept not in written for c in self.concepts)
        pairs = zip(whole["concept"].to_pylist(), whole["form"].to_pylist(), strict=True)
        made.drawn_count = len({c for c, form in pairs if form != "rendered word"})
        made_from = digest([self.config.seed, [file["made_from"] for file in made.files]])
        rel = f"{place}/scores-{made_from}.parquet"
        file = adopt_file(self.store, KINDS[1], rel)
        if file is None:
            values = whole["activations"].combine_chunks()
            table = score_fresh(
                np.asarray(values.flatten()).reshape(len(whole), -1),
                whole["concept"].to_pylist(),
                whole["form"].to_pylist(),
                self.config.seed,
            )
            file = make_entry(KINDS[1], rel, len(table), self.store.write_parquet(rel, table))
        made.files.append({**file, "layer": layer, "ordinal": -1, "made_from": made_from})

    def _measure_block(self, layer: str, block: Sequence[FreshConcept]) -> pa.Table:
        """The images of some concepts, and what they excite."""
        images = list(iter_fresh(block, self.means, self.config, self.used))
        found = list(self._activations(layer, images))
        firsts: dict[str, int] = {}
        for place, image in enumerate(images):  # those of a concept follow each other
            firsts.setdefault(image.concept, place)
        columns = [
            [image.concept for image in images],
            [place - firsts[image.concept] for place, image in enumerate(images)],
            [image.form for image in images],
            [image.made_with for image in images],
            [image.text for image in images],
            [image.sha256 for image in images],
            found,
        ]
        schema = TABLES[KINDS[0]].arrow_schema()
        arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
        return pa.table(arrays, schema=schema)

    def _activations(self, layer: str, images: Sequence[FreshImage]) -> Iterator[Any]:
        """Pooled as the run pools them, float32 ``[U]`` of each image."""
        clip = self.clip
        decoder = decoder_of_run(self.store, self.config.dataset, self.run["identity"], clip)
        files = [image.data for image in images]
        for seen in show_images(clip, decoder, files, self.config.batch_size, (layer,)):
            yield from seen.pooled[0]

    def _read(self, file: FileEntry) -> pa.Table:
        with faults_told(self.store.url), self.store.open(file["path"]) as opened:
            return pq.read_table(opened, page_checksum_verification=True)


Item = TypeVar("Item")


def _cut(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """In pieces of so many; the last may have fewer."""
    for first in range(0, len(items), size):
        yield items[first : first + size]
