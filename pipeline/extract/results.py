"""What a forward pass gives for a batch, and how a layer is stored."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from pipeline.clip.hooks import Layer
from pipeline.extract.kept import is_one_sided

DTYPES = {"float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True)
class LayerOutput:
    """What a run keeps of one layer."""

    layer: Layer
    store: str
    """``positive``, ``all``, ``none`` or ``top:FRAC``; see `kept`."""
    dtype: torch.dtype

    @property
    def is_one_sided(self) -> bool:
        """See `kept.is_one_sided`."""
        return is_one_sided(self.store, self.layer.is_rectified)


@dataclass
class Results:
    """What one batch leaves behind.

    ``pooled`` maps a layer's name to ``[N, U]`` in the stored type, on the GPU if it was computed on one;
    likewise ``peaks`` to the whole numbers of `hooks.find_peaks`, of layers that have peaks. All else is on
    the CPU: ``embeddings`` is float16 ``[N, D]``, ``is_finite`` is bool ``[N]``, all values of the example were
    finite before rounding.
    """

    example_ids: torch.Tensor
    pooled: dict[str, torch.Tensor]
    embeddings: torch.Tensor
    is_finite: torch.Tensor
    peaks: dict[str, torch.Tensor] = field(default_factory=dict)

    def first(self, count: int) -> Results:
        """The first ``count`` examples, or all if there are fewer."""
        return Results(
            example_ids=self.example_ids[:count],
            pooled={name: values[:count] for name, values in self.pooled.items()},
            embeddings=self.embeddings[:count],
            is_finite=self.is_finite[:count],
            peaks={name: places[:count] for name, places in self.peaks.items()},
        )

    def only_finite(self) -> Results:
        """Without the examples that are not finite."""
        keep = self.is_finite
        return Results(
            example_ids=self.example_ids[keep],
            pooled={name: values[keep.to(values.device)] for name, values in self.pooled.items()},
            embeddings=self.embeddings[keep],
            is_finite=keep[keep],
            peaks={name: places[keep.to(places.device)] for name, places in self.peaks.items()},
        )
