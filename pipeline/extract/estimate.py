"""What a run will need: the first examples through the real path, into a folder that is thrown away."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.base.display import show_bytes
from pipeline.base.errors import ActivationError, WarehouseError
from pipeline.base.settings import ExtractConfig
from pipeline.base.storage import Store
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.model import describe_model, load_clip
from pipeline.extract.encode import Encoder
from pipeline.extract.kept import NONE
from pipeline.extract.open import identify_run
from pipeline.extract.plan import plan_shard, read_duplicates
from pipeline.extract.results import Results
from pipeline.extract.run import choose_decoder
from pipeline.extract.seat import worker_count
from pipeline.extract.sizes import BY_EXAMPLE, CHOICES, Sizes, measure_sizes
from pipeline.extract.stream import stream_batches
from pipeline.extract.write import ShardWriter
from pipeline.tables.datasets import (
    dataset_folder,
    read_dataset,
)
from pipeline.tables.manifest_files import read_manifest
from pipeline.tables.manifests import ShardManifest

SAMPLE_EXAMPLES = 512
"""Examples of the first shard that the estimate runs; at least two batches."""


GOOD_SHARD_SIZE = 5000
"""Images in a shard from which its partials are a small part of all that it takes."""


@dataclass(frozen=True)
class Estimate:
    """Time and disk that a whole run will take, from its first examples."""

    run_id: str
    model: str
    """How the model is set up, in some lines."""
    shard_sizes: tuple[int, ...]
    """Examples in each shard that is not done."""
    sampled_count: int
    images_per_s: float
    store: str
    """As it was asked for."""
    sizes: Sizes
    free_bytes: int | None

    @property
    def shard_count(self) -> int:
        """Shards that are not done."""
        return len(self.shard_sizes)

    @property
    def example_count(self) -> int:
        """Examples in them."""
        return sum(self.shard_sizes)

    @property
    def seconds(self) -> float:
        """Time for all that is left."""
        return self.example_count / self.images_per_s

    @property
    def total_bytes(self) -> float:
        """Disk for all that is left."""
        return sum(self.bytes_of(self.store).values())

    def bytes_of(self, store: str, shard_sizes: Sequence[int] | None = None) -> dict[str, float]:
        """By table, for all that is left, if it were stored in this way, or in other shards."""
        return self.sizes.of_shards(store, shard_sizes or self.shard_sizes)

    def __str__(self) -> str:
        free = "" if self.free_bytes is None else f" ({show_bytes(self.free_bytes)} are free)"
        return "\n".join(
            [
                self.model,
                f"run {self.run_id}: {self.shard_count} shards, {self.example_count} images to do",
                f"measured on {self.sampled_count}: {self.images_per_s:.0f} images/s",
                *lay_out_sizes({store: self.bytes_of(store) for store in self.sizes.by_store}),
                f"estimate for --store {self.store}: {self.seconds / 60:.1f} min, "
                f"{show_bytes(round(self.total_bytes))} of disk{free}",
                *self.advice(),
            ]
        )

    def advice(self) -> list[str]:
        """What to do about it, in sentences; nothing if all is well."""
        found = []
        totals = {store: sum(self.bytes_of(store).values()) for store in self.sizes.by_store}
        if self.free_bytes is not None and totals[self.store] > self.free_bytes:
            fitting = [store for store, size in totals.items() if size <= self.free_bytes]
            most = max(fitting, key=lambda store: totals[store], default=None)
            then = f"--store {most} would fit." if most else "Nothing of the above would fit."
            found.append(f"That is MORE than is free. {then}")
        by_table = self.bytes_of(self.store)
        share = by_table.get("activations", 0.0) / max(1.0, totals[self.store])
        if self.store not in (NONE, "top:0.01") and share > 0.5:
            found.append(
                f"{share:.0%} of it are activations. For a first look at wide layers: --store top:0.01 or "
                "none; labels then rest on enrichment among top images alone."
            )
        partials = sum(size for table, size in by_table.items() if table not in BY_EXAMPLE)
        typical = self.example_count / max(1, self.shard_count)
        if typical < GOOD_SHARD_SIZE < self.example_count and partials > totals[self.store] / 2:
            whole, rest = divmod(self.example_count, GOOD_SHARD_SIZE)
            larger = self.bytes_of(self.store, [GOOD_SHARD_SIZE] * whole + [rest] * bool(rest))
            fewer = sum(size for table, size in larger.items() if table not in BY_EXAMPLE)
            found.append(
                f"{show_bytes(round(partials))} of it are partials, which every shard has, of whatever size: "
                f"in shards of {GOOD_SHARD_SIZE} images they would take {show_bytes(round(fewer))} "
                "(neurons ingest --shard-size)."
            )
        return found


def lay_out_sizes(bytes_by_store: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A table in lines: what each table takes for each choice of ``--store``."""
    tables = dict.fromkeys(table for sizes in bytes_by_store.values() for table in sizes)
    rows = [["--store", *bytes_by_store]]
    for table in sorted(tables):
        cells = (sizes.get(table) for sizes in bytes_by_store.values())
        rows.append([table, *("-" if cell is None else show_bytes(round(cell)) for cell in cells)])
    totals = (show_bytes(round(sum(sizes.values()))) for sizes in bytes_by_store.values())
    rows.append(["all", *totals])
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]


def estimate(config: ExtractConfig) -> Estimate:
    """Measure the first shard's first examples; nothing is written to the warehouse.

    Raises:
        WarehouseError: There is nothing left to do.
        NeuronsError: What would stop the run as well.
    """
    store = Store(config.warehouse)
    dataset = read_dataset(store, config.dataset)
    clip = load_clip(config.model, config.device)
    run, _ = identify_run(store, config, clip)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Store(folder)
        index = {
            s: read_manifest(store, dataset_folder(dataset.name), s.ordinal) for s in dataset.shards
        }
        done = {s: read_manifest(store, run.folder, s.ordinal) for s in dataset.shards}
        left = [
            shard
            for shard in dataset.shards
            if not _is_done(done[shard]) and _is_done(index[shard])
        ]
        if not left:
            raise WarehouseError(
                f"Run {run.run_id} of {dataset.name!r} has nothing left to do.",
                "All shards that are indexed are done.",
            )
        spec = ImageSpec.from_model(clip.model)
        encoder = Encoder(clip, run.outputs, spec, config)
        plan = plan_shard(store, dataset.name, left[0], encoder.with_texts)
        plan.examples = plan.examples[: max(SAMPLE_EXAMPLES, 2 * config.batch_size)]
        duplicates = read_duplicates(store, dataset_folder(dataset.name), left[0])
        writer = ShardWriter(
            scratch, run.folder, left[0], run.outputs, duplicates, config.top_k, 1 << 30
        )
        decoder = choose_decoder(config, spec, clip.device)
        held: list[Results] = []
        batches = stream_batches(iter([plan]), decoder, config.batch_size, worker_count(config))
        with encoder.hooked():
            encoder.prepare()
            began = time.perf_counter()
            for batch in batches:
                if batch.examples:
                    results = encoder.encode(batch).wait()
                    if not bool(results.is_finite.all()):
                        raise ActivationError(
                            f"{config.model} gives NaN or infinity for images of the first shard.",
                            "A run would reject each of them. Check the weights, and --precision.",
                        )
                    writer.add(results)
                    held.append(results)
        if plan.error is not None:
            raise plan.error
        writer.finish()
        seconds = time.perf_counter() - began
    sampled = len(plan.examples)
    stores = dict.fromkeys((config.store, *CHOICES))
    return Estimate(
        run_id=run.run_id,
        model=describe_model(clip),
        shard_sizes=tuple(m["written_count"] for shard in left if (m := index[shard])),
        sampled_count=sampled,
        images_per_s=sampled / seconds,
        store=config.store,
        sizes=measure_sizes(held, run.outputs, stores, duplicates, config.top_k),
        free_bytes=store.free_bytes(),
    )


def _is_done(manifest: ShardManifest | None) -> bool:
    return manifest is not None and manifest["status"] == "done"
