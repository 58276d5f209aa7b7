"""What a run will need: the first examples through the real path, into a folder that is thrown away."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass

from pipeline.base.errors import ActivationError, WarehouseError
from pipeline.base.settings import ExtractConfig
from pipeline.base.storage import Store
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.model import describe_model, load_clip
from pipeline.extract.encode import Encoder
from pipeline.extract.open import identify_run
from pipeline.extract.plan import plan_shard, read_duplicates
from pipeline.extract.run import choose_decoder
from pipeline.extract.seat import worker_count
from pipeline.extract.stream import stream_batches
from pipeline.extract.write import ShardWriter
from pipeline.tables.datasets import dataset_folder, read_dataset, read_manifest
from pipeline.tables.manifests import ShardManifest

SAMPLE_EXAMPLES = 512
"""Examples of the first shard that the estimate runs; at least two batches."""


@dataclass(frozen=True)
class Estimate:
    """Time and disk that a whole run will take, from its first examples."""

    run_id: str
    model: str
    """How the model is set up, in some lines."""
    shard_count: int
    """Shards that are not done."""
    example_count: int
    """Examples in them."""
    sampled_count: int
    images_per_s: float
    bytes_per_image: float
    """Activations and embeddings."""
    bytes_per_shard: float
    """Partials, whatever the size of the shard."""
    free_bytes: int | None

    @property
    def seconds(self) -> float:
        """Time for all that is left."""
        return self.example_count / self.images_per_s

    @property
    def total_bytes(self) -> float:
        """Disk for all that is left."""
        return self.example_count * self.bytes_per_image + self.shard_count * self.bytes_per_shard

    def __str__(self) -> str:
        free = "" if self.free_bytes is None else f" ({self.free_bytes / 1e9:.1f} GB are free)"
        short = self.free_bytes is not None and self.total_bytes > self.free_bytes
        warning = "\nThat is MORE than is free." if short else ""
        return (
            f"{self.model}\n"
            f"run {self.run_id}: {self.shard_count} shards, {self.example_count} images to do\n"
            f"measured on {self.sampled_count}: {self.images_per_s:.0f} images/s, "
            f"{self.bytes_per_image:.0f} bytes an image and {self.bytes_per_shard / 1e6:.1f} MB a shard\n"
            f"estimate: {self.seconds / 60:.1f} min, {self.total_bytes / 1e9:.3f} GB of disk"
            f"{free}{warning}"
        )


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
        encoder = Encoder(clip, run.outputs, spec, config.precision)
        plan = plan_shard(store, dataset.name, left[0], encoder.with_texts)
        plan.examples = plan.examples[: max(SAMPLE_EXAMPLES, 2 * config.batch_size)]
        duplicates = read_duplicates(store, dataset_folder(dataset.name), left[0])
        writer = ShardWriter(
            scratch, run.folder, left[0], run.outputs, duplicates, config.top_k, 1 << 30
        )
        decoder = choose_decoder(config, spec, clip.device)
        began = time.perf_counter()
        batches = stream_batches(iter([plan]), decoder, config.batch_size, worker_count(config))
        with encoder.hooked():
            for batch in batches:
                if batch.examples:
                    results = encoder.encode(batch).wait()
                    if not bool(results.is_finite.all()):
                        raise ActivationError(
                            f"{config.model} gives NaN or infinity for images of the first shard.",
                            "A run would reject each of them. Check the weights, and --precision.",
                        )
                    writer.add(results)
        if plan.error is not None:
            raise plan.error
        files = writer.finish()
        seconds = time.perf_counter() - began
    sampled = len(plan.examples)
    by_image = [f["bytes"] for f in files if f["table"] in ("activations", "embeddings")]
    by_shard = [f["bytes"] for f in files if f["table"] not in ("activations", "embeddings")]
    return Estimate(
        run_id=run.run_id,
        model=describe_model(clip),
        shard_count=len(left),
        example_count=sum(m["written_count"] for shard in left if (m := index[shard])),
        sampled_count=sampled,
        images_per_s=sampled / seconds,
        bytes_per_image=sum(by_image) / max(1, sampled),
        bytes_per_shard=sum(by_shard),
        free_bytes=store.free_bytes(),
    )


def _is_done(manifest: ShardManifest | None) -> bool:
    return manifest is not None and manifest["status"] == "done"
