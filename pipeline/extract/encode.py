"""One batch through the model: pixels in, pooled activations and embeddings out, asynchronously."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from pipeline.clip.hooks import Capture, capture_layers, end_positions
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.model import Clip
from pipeline.extract.decode import normalise
from pipeline.extract.results import LayerOutput, Results
from pipeline.extract.stream import Batch

AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Pending:
    """Results that are still on their way from the device.

    On CUDA the copies run behind the next batch's kernels; :meth:`wait` is called by the writer's
    thread, so that the main thread never waits for the device.
    """

    def __init__(self, batch: Batch, tensors: dict[str, torch.Tensor]) -> None:
        self.batch = batch
        self._event: torch.cuda.Event | None = None
        device = next(iter(tensors.values())).device if tensors else torch.device("cpu")
        if device.type == "cuda":
            self._host = {}
            for name, tensor in tensors.items():
                host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
                self._host[name] = host.copy_(tensor, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch has no types there
            self._event.record(torch.cuda.current_stream(device))
        else:
            self._host = {name: tensor.cpu() for name, tensor in tensors.items()}

    def wait(self) -> Results:
        """The results on the CPU; blocks until they are there."""
        if self._event is not None:
            self._event.synchronize()
        # Pinned memory is scarce: what waits to be written is kept in ordinary memory.
        pinned = self._event is not None
        host = {name: t.clone() if pinned else t for name, t in self._host.items()}
        ids = torch.tensor([e.example_id for e in self.batch.examples], dtype=torch.int64)
        return Results(ids, embeddings=host.pop(""), is_finite=host.pop("finite"), pooled=host)


class Encoder:
    """Runs batches through a model with its layers hooked.

    Args:
        clip: The model.
        outputs: What to keep of each layer.
        spec: How pixels are normalised.
        precision: ``float32``, or autocast to ``bfloat16`` or ``float16`` (GPU only: on a CPU it is
            many times slower and would be a mistake).
    """

    def __init__(
        self, clip: Clip, outputs: tuple[LayerOutput, ...], spec: ImageSpec, precision: str
    ) -> None:
        self.clip, self.outputs, self.spec = clip, outputs, spec
        self._autocast = AUTOCAST[precision]
        if precision == "float32" and clip.device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # it would keep 10 bits of the mantissa
            torch.backends.cuda.matmul.allow_tf32 = False
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
        """Normalise into one buffer that is used again: on a CPU fresh memory costs more."""
        if self._buffer is None or len(self._buffer) < len(images):
            self._buffer = normalise(images, self.spec)
            return self._buffer
        return normalise(images, self.spec, out=self._buffer[: len(images)])

    @torch.inference_mode()
    def encode(self, batch: Batch) -> Pending:
        """Start one batch. Batches without examples pass through."""
        began = time.perf_counter()
        capture = self._capture
        assert capture is not None, "encode() is called inside hooked()"
        model, device = self.clip.model, self.clip.device
        context: Any = (
            torch.autocast(device.type, self._autocast) if self._autocast else nullcontext()
        )
        images = batch.images
        if device.type == "cuda" and images.device.type == "cpu":
            images = images.pin_memory()
        images = images.to(device, non_blocking=True)
        with context:
            pixels = self._normalise(images)
            embeddings = model.encode_image(pixels, normalize=True)
            if self.with_texts:
                tokens = self.clip.tokenizer([e.text or "" for e in batch.examples]).to(device)
                capture.ends = end_positions(self.clip, tokens)
                model.encode_text(tokens)
        finite = torch.isfinite(embeddings).all(1)
        tensors = {"": embeddings.half()}
        for output in self.outputs:
            values = capture.pooled[output.layer.name]
            finite &= torch.isfinite(values).all(1)
            tensors[output.layer.name] = values.to(output.dtype)
        tensors["finite"] = finite
        pending = Pending(batch, tensors)
        batch.plan.seconds["forward"] += time.perf_counter() - began
        return pending
