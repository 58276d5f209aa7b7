"""The model as a run asks for it: its arithmetic, and its image tower as it is or compiled."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch

from pipeline.base.errors import DeviceError
from pipeline.base.settings import ExtractConfig
from pipeline.clip.model import Clip

AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}
WEIGHTS = {"bfloat16-weights": torch.bfloat16}


class Tower:
    """An image tower: pixels in, embeddings of length one out.

    Args:
        clip: The model. If its weights are to be of fewer bits, a copy is taken: others use it too.
        config: Precision, and whether it is compiled, for batches of ``batch_size``.
        backend: What compiles it, as ``torch.compile`` names it.
    """

    def __init__(self, clip: Clip, config: ExtractConfig, backend: str = "inductor") -> None:
        self._weights = WEIGHTS.get(config.precision)
        self._autocast = AUTOCAST.get(config.precision)
        if config.precision == "float32" and clip.device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # it would keep 10 bits of the mantissa
            torch.backends.cuda.matmul.allow_tf32 = False
        if self._weights is not None:
            clip = replace(clip, model=copy.deepcopy(clip.model).to(self._weights))
        self.clip = clip
        self.batch_size = config.batch_size if config.compile else None
        """If compiled, the only size of a batch: a graph is of one size, and each takes a minute."""
        self._run = self._encode
        if config.compile:
            # whole or not at all: nothing that cannot be compiled runs in silence as it is
            self._run = torch.compile(self._encode, fullgraph=True, dynamic=False, backend=backend)

    def arithmetic(self) -> AbstractContextManager[object]:
        """What encoding stands in."""
        if self._autocast is None:
            return nullcontext()
        return torch.autocast(self.clip.device.type, self._autocast)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Float ``[N, D]`` of normalised pixels ``[N, 3, H, W]``; inside of :meth:`arithmetic`.

        Raises:
            DeviceError: There is no compiler, or the model cannot be compiled.
        """
        if self.batch_size is None:
            return self._run(pixels)
        from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

        try:
            return self._run(pixels)
        except (TorchDynamoException, FailOnRecompileLimitHit) as error:
            told = next((line for line in str(error).splitlines() if line.strip()), repr(error))
            raise DeviceError(
                f"The image tower of {self.clip.model_id} cannot be compiled on {self.clip.device}: {told}",
                "It takes a C++ compiler (g++, or what CXX names), and on a GPU Triton, which comes with "
                "torch. Or leave out --compile: that is another run.",
            ) from error

    def _encode(self, pixels: torch.Tensor) -> torch.Tensor:
        model = self.clip.model
        if self._weights is None:
            embeddings: torch.Tensor = model.encode_image(pixels, normalize=True)
            return embeddings
        # lengths are taken of more bits than the weights have
        return torch.nn.functional.normalize(
            model.encode_image(pixels.to(self._weights)).float(), dim=1
        )
