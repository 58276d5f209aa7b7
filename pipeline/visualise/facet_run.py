"""Facet probes of a run: ``neurons facet-probes``. Each is named by a record of its own, written last; one that
was trained on the same images in the same way is not trained again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import duckdb
import numpy as np
import pyarrow as pa

from pipeline.base.errors import WarehouseError
from pipeline.base.facet_settings import FacetProbeConfig
from pipeline.base.leftovers import clear_half_written, clear_unnamed
from pipeline.base.locks import hold_lock
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import digest
from pipeline.base.storage import Store, partition
from pipeline.clip.hooks import Layer
from pipeline.clip.model import Clip
from pipeline.evidence.classify import load_run_model
from pipeline.extract.images import Images
from pipeline.tables.datasets import read_dataset, run_folder
from pipeline.tables.manifests import FileEntry, adopt_file, make_entry
from pipeline.tables.measured import FacetProbeIdentity, FacetProbeRecord, named_paths
from pipeline.tables.records import read_record
from pipeline.tables.runs import read_run
from pipeline.tables.schema import TABLES
from pipeline.visualise.facet_examples import FacetExample, FacetExamples, choose_examples
from pipeline.visualise.facet_probes import Floats, fit_facet_probe
from pipeline.visualise.lower_layer import choose_probe_layer, read_channel_means
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_image_layers

KIND = "facet_probes"
"""The table, and the folder of its records."""


@dataclass(frozen=True)
class FacetProbeSummary:
    """What was made of a facet for a layer."""

    dataset: str
    run_id: str
    layer: str
    facet: str
    is_new: bool
    """Trained just now."""

    def __str__(self) -> str:
        return (
            f"{self.dataset}, run {self.run_id}, {self.layer}: {self.facet}, "
            f"{'trained now' if self.is_new else 'there already'}"
        )


def train_facet_probes(
    config: FacetProbeConfig, progress: ProgressCallback | None = None
) -> list[FacetProbeSummary]:
    """Train the probes of all facets that are meant, for each layer that is meant.

    Raises:
        ConfigError: What is asked for does not go together.
        ConfigMismatchError: The model is not the run's.
        HookError: No lower layer can be read.
        WarehouseError: No such run or layer; no facet is known, or has enough images.
        NeuronsError: The model cannot be loaded, or an image is gone.
    """
    store = Store(config.warehouse)
    read_dataset(store, config.dataset)  # says which there are
    with connect(config.warehouse) as connection:
        layers = find_image_layers(connection, config.dataset, config.run, config.layer or None)
        work = _Work(store, connection, config, progress or NoProgress())
        return [work.train(layer.layer, one) for layer in layers for one in work.sets]


class _Work:
    """What the layers and facets of one training share."""

    def __init__(
        self,
        store: Store,
        connection: duckdb.DuckDBPyConnection,
        config: FacetProbeConfig,
        progress: ProgressCallback,
    ) -> None:
        self.store, self.connection = store, connection
        self.config, self.progress = config, progress
        self.folder = run_folder(config.dataset, config.run)
        self.run = read_run(store, self.folder)
        self.sets = choose_examples(connection, config)
        self._means: dict[tuple[str, str, int], Floats] = {}
        """By probe layer, dataset and example: the mean of each channel, float32 ``[channels]``."""

    @cached_property
    def clip(self) -> Clip:
        return load_run_model(self.run, self.config.model, self.config.device)

    def train(self, layer: str, examples: FacetExamples) -> FacetProbeSummary:
        """Train one probe if it is new, and write the record that names it."""
        store, config, facet = self.store, self.config, examples.facet
        lower = choose_probe_layer(self.clip, layer, config.probe_layer)
        record = f"{self.folder}/{KIND}/{digest([layer, facet])}.json"
        place = f"{self.folder}/{KIND}/{partition(layer=layer, facet=facet)}"
        identity: FacetProbeIdentity = {
            "weights_sha256": self.run["identity"]["weights_sha256"],
            "layer": layer,
            "facet": facet,
            "probe_layer": lower.name,
            "shown": config.shown,
            "others": config.others,
            "images": config.images,
            "seed": config.seed,
        }
        with hold_lock(store, f"{record}.lock") as lock:
            clear_half_written(store, lock, place)
            name = record.rsplit("/", 1)[-1]
            clear_half_written(store, lock, f"{self.folder}/{KIND}", prefix=name)
            made_from = digest([identity, [list(one) for one in examples.examples]])
            rel = f"{place}/probe-{made_from}.parquet"
            known = read_record(store, record, FacetProbeRecord) if store.exists(record) else None
            old = known["files"] if known else []
            files = [file for file in old if file["path"] == rel]
            is_new = False
            if not files:
                file = adopt_file(store, KIND, rel)
                is_new = file is None
                file = file or self._write(rel, lower, examples)
                files = [{**file, "layer": layer, "ordinal": 0, "made_from": made_from}]
                value: FacetProbeRecord = {
                    "layer": layer,
                    "facet": facet,
                    "identity": identity,
                    "files": files,
                    "previous": [file["path"] for file in old],
                    "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
                }
                store.write_record(record, value, with_copy=True)
            named = named_paths(read_record(store, record, FacetProbeRecord))
            clear_unnamed(store, lock, place, named)
        return FacetProbeSummary(config.dataset, config.run, layer, facet, is_new)

    def _write(self, rel: str, lower: Layer, examples: FacetExamples) -> FileEntry:
        means = np.stack(self._read(lower, examples.examples))
        shown = np.array([one.is_shown for one in examples.examples])
        held_out = np.array([one.is_held_out for one in examples.examples])
        probe = fit_facet_probe(examples.facet, lower.name, means, shown, held_out)
        counts = [examples.count(shown, held) for held in (False, True) for shown in (True, False)]
        values = [probe.probe_layer, probe.weight, probe.bias, probe.accuracy, *counts]
        schema = TABLES[KIND].arrow_schema()
        arrays = [pa.array([v], f.type) for v, f in zip(values, schema, strict=True)]
        table = pa.table(arrays, schema=schema)
        return make_entry(KIND, rel, 1, self.store.write_parquet(rel, table))

    def _read(self, lower: Layer, examples: Sequence[FacetExample]) -> list[Floats]:
        """The means of each example's channels; what was read for another facet is not read again."""
        new: dict[str, list[int]] = {}
        for one in examples:
            if (lower.name, one.dataset, one.example_id) not in self._means:
                new.setdefault(one.dataset, []).append(one.example_id)
        if new:
            self._read_new(lower, new)
        return [self._means[lower.name, one.dataset, one.example_id] for one in examples]

    def _read_new(self, lower: Layer, new: dict[str, list[int]]) -> None:
        size, total = self.config.batch_size, sum(map(len, new.values()))
        self.progress.start(f"images through {lower.spec.path}", total)
        try:
            for dataset, ids in new.items():
                for batch in (ids[first : first + size] for first in range(0, len(ids), size)):
                    self._read_batch(lower, dataset, batch)
                    self.progress.advance(len(batch), dataset)
        finally:
            self.progress.finish()

    def _read_batch(self, lower: Layer, dataset: str, ids: Sequence[int]) -> None:
        run, clip = self.run["identity"], self.clip
        images = Images(self.connection, self.store, dataset, run, clip, ids)
        if gone := [one for one in ids if one not in images]:
            raise WarehouseError(
                f"There is no example {gone[0]} of {dataset!r}.",
                "A query for examples must name some that are there: see the view examples.",
            )
        means = read_channel_means(clip, lower, [images[one] for one in ids])
        keys = ((lower.name, dataset, one) for one in ids)
        self._means |= zip(keys, means, strict=True)
