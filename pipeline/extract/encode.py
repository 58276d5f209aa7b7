"""One batch through the model: pixels in, pooled activations and embeddings out, asynchronously."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pipeline.base.settings import ExtractConfig
from pipeline.clip.hooks import Capture, capture_layers, end_positions
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.model import Clip
from pipeline.extract.decode import normalise
from pipeline.extract.device import mark, start_copies
from pipeline.extract.results import LayerOutput, Results
from pipeline.extract.stream import Batch
from pipeline.extract.tower import Tower


class Pending:
    """Results that the device may still be computing.

    On CUDA the activations stay there; embeddings and flags are copied behind the next batch's kernels.
    :meth:`wait` is called by the writer's thread, so that the main thread never waits for the device.

    Args:
        batch: Of which batch.
        embeddings: ``[N, D]``.
        is_finite: bool ``[N]``.
        pooled: Activations by layer, ``[N, U]``.
        peaks: Where they are the largest, likewise.
    """

    def __init__(
        self,
        batch: Batch,
        embeddings: torch.Tensor,
        is_finite: torch.Tensor,
        pooled: dict[str, torch.Tensor],
        peaks: dict[str, torch.Tensor],
    ) -> None:
        self._ids = torch.tensor([e.example_id for e in batch.examples], dtype=torch.int64)
        self._copies = start_copies([embeddings, is_finite])
        stays = embeddings.device.type == "cuda"
        self._pooled, self._peaks = (
            found if stays else {name: t.cpu() for name, t in found.items()}
            for found in (pooled, peaks)
        )
        self._event = mark(embeddings.device)

    def wait(self) -> Results:
        """The results; blocks until they are there."""
        embeddings, is_finite = self._copies
        if self._event is not None:
            self._event.synchronize()
            # Pinned memory is scarce: what waits to be written is kept in ordinary memory.
            embeddings, is_finite = embeddings.clone(), is_finite.clone()
        return Results(self._ids, self._pooled, embeddings, is_finite, self._peaks)


class Encoder:
    """Runs batches through a model with its layers hooked.

    Args:
        clip: The model.
        outputs: What to keep of each layer.
        spec: How pixels are normalised.
        config: Precision, size of a batch, and whether the image tower is compiled.
    """

    def __init__(
        self,
        clip: Clip,
        outputs: tuple[LayerOutput, ...],
        spec: ImageSpec,
        config: ExtractConfig,
    ) -> None:
        self.outputs, self.spec = outputs, spec
        self.tower = Tower(clip, config)
        self.clip = self.tower.clip
        self.with_texts = any(output.layer.tower == "text" for output in outputs)
        self._capture: Capture | None = None
        self._buffer: torch.Tensor | None = None

    @contextmanager
    def hooked(self) -> Iterator[Encoder]:
        """Keep the hooks in place for as long as batches come."""
        with capture_layers(self.clip, tuple(o.layer for o in self.outputs)) as capture:
            self._capture = capture
            yield self
            self._capture = None

    def _normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Normalise into one buffer that is used again: on a CPU fresh memory costs more.

        For a compiled tower all of it is given, with what was there before behind the images.
        """
        buffer = self._make_buffer(len(images))
        normalise(images, self.spec, out=buffer[: len(images)])
        return buffer

    def _make_buffer(self, count: int) -> torch.Tensor:
        size = self.tower.batch_size or count
        if self._buffer is None or len(self._buffer) < size:
            shape = (size, 3, *self.spec.size_px)
            zeros = torch.zeros(shape, device=self.clip.device)
            self._buffer = zeros.contiguous(memory_format=torch.channels_last)
        return self._buffer[:size]

    @torch.inference_mode()
    def prepare(self) -> None:
        """Compile now, inside :meth:`hooked`; else the first batch does."""
        if self.tower.batch_size:
            with self.tower.arithmetic():
                self.tower.encode(self._make_buffer(0))

    @torch.inference_mode()
    def encode(self, batch: Batch) -> Pending:
        """Start one batch. Batches without examples pass through."""
        began = time.perf_counter()
        capture = self._capture
        assert capture is not None, "encode() is called inside hooked()"
        model, device = self.clip.model, self.clip.device
        capture.pooled.clear()  # as when it was compiled: a graph is of what it starts from
        capture.peaks.clear()
        images = batch.images
        if device.type == "cuda" and images.device.type == "cpu":
            images = images.pin_memory()
        images = images.to(device, non_blocking=True)
        with self.tower.arithmetic():
            embeddings = self.tower.encode(self._normalise(images))[: len(images)]
            if self.with_texts:
                tokens = self.clip.tokenizer([e.text or "" for e in batch.examples]).to(device)
                capture.ends = end_positions(self.clip, tokens)
                model.encode_text(tokens)
        finite = torch.isfinite(embeddings).all(1)
        pooled = {}
        for output in self.outputs:
            values = capture.pooled[output.layer.name][: len(images)]
            finite &= torch.isfinite(values).all(1)
            pooled[output.layer.name] = values.to(output.dtype)
        peaks = {name: places[: len(images)] for name, places in capture.peaks.items()}
        pending = Pending(batch, embeddings.half(), finite, pooled, peaks)
        batch.plan.seconds["forward"] += time.perf_counter() - began
        return pending
