"""What comes after a layer, run again with its units set to other values.

One image goes in, and where it passes the layer it becomes a batch: each row is a variant of what passed,
and all that follows runs on the batch. So what lies before the layer is paid for once for hundreds of
variants; after the last block of a ResNet only the attention pool follows. Where modules beside the layer
add to it in place (a shortcut of a block), the batch is made before the tower instead: dearer, and the same.

How a unit is set: at every position that the pooling of its layer reads (the whole map or all tokens for
``max`` and ``mean``, the middle for ``center``, the class token for ``cls``), so that its pooled activation
is then exactly the value. What does not pass the layer, a shortcut for example, is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from pipeline.base.errors import HookError
from pipeline.clip.hooks import Layer, LayerSpec, hook_points
from pipeline.clip.model import Clip

Change = Callable[[torch.Tensor], torch.Tensor]
"""What passed the layer for one image -> a batch of variants of it, in the same layout, fresh memory."""

NEAR = 1e-3
"""Two embeddings of length one whose elements differ by less are of one computation."""


class Replay:
    """Runs an image tower again from a layer on, in float32.

    Args:
        clip: The model.
        layer: A probed layer of its image tower.

    Raises:
        HookError: It is of a text tower; or what follows it cannot be run for a batch of one image.
    """

    def __init__(self, clip: Clip, layer: Layer) -> None:
        if layer.tower != "visual":
            raise HookError(
                f"layer {layer.name!r} of {clip.model_id} is of the text tower.",
                "What a neuron does to what an image is taken for is asked of image towers: name a layer of "
                "it with --layer.",
            )
        self.clip, self.layer = clip, layer
        if clip.device.type == "cuda":  # it would keep 10 bits of the mantissa
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cuda.matmul.allow_tf32 = False
        self.is_whole = False
        """The batch is made before the tower: what follows the layer needs all that went before as a batch."""
        if not self._agrees():
            self.is_whole = True
            if not self._agrees():
                raise HookError(
                    f"layer {layer.name!r} of {clip.model_id}: what follows it does not follow from it alone.",
                    f"Name another layer. List all with: neurons layers {clip.asked_for}",
                )

    @torch.inference_mode()
    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        """The embedding of an image as it is: ``[D]``, L2 norm 1, of normalised pixels ``[1, 3, H, W]``."""
        with self.clip.lock:
            embeddings: torch.Tensor = self.clip.model.encode_image(pixels, normalize=True)
        return embeddings[0]

    @torch.inference_mode()
    def embed_variants(self, pixels: torch.Tensor, count: int, change: Change) -> torch.Tensor:
        """Embeddings ``[count, D]``, L2 norm 1, of variants of one image.

        Args:
            pixels: Normalised, ``[1, 3, H, W]``.
            count: How many variants there are.
            change: Makes them of what passes the layer.
        """
        axis = 1 if self.layer.layout == "tokens_first" else 0

        def take(_: LayerSpec, tensor: torch.Tensor | None) -> torch.Tensor:
            assert tensor is not None  # probed
            return change(tensor.narrow(axis, 0, 1))

        images = pixels.expand(count, -1, -1, -1) if self.is_whole else pixels
        with self.clip.lock, hook_points(self.clip.model, [self.layer.spec], take):
            embeddings: torch.Tensor = self.clip.model.encode_image(images, normalize=True)
        return embeddings

    def _agrees(self) -> bool:
        """Whether two rows of what passed an image anyhow have the embedding of that image."""
        noise = torch.Generator().manual_seed(0)
        size = self.clip.setup.image.size_px
        pixels = torch.randn(1, 3, *size, generator=noise).to(self.clip.device)
        try:
            found = self.embed_variants(pixels, 2, lambda base: _repeat(base, self.layer, 2))
        except RuntimeError:
            return False
        known = self.embed(pixels)
        return found.shape == (2, len(known)) and bool(((found - known).abs() < NEAR).all())


def set_units(
    base: torch.Tensor,
    layer: Layer,
    units: torch.Tensor,
    values: torch.Tensor,
    directions: torch.Tensor | None = None,
) -> torch.Tensor:
    """Variants of what passed a layer, each with one unit, or several, set to a value.

    Args:
        base: What passed, of one image, in the layer's layout.
        layer: The layer.
        units: int64 ``[B]``, the unit of each variant; or ``[B, N]``, its units. A unit may stand there twice:
            so variants of fewer units are filled up.
        values: Float ``[B]``, what it is set to, or all of them, in model units.
        directions: ``[B, unit_count]`` of length one. If given, the unit, one of each variant, is left alone:
            what setting it would have changed, position by position, is added along the direction instead. The
            change has the same norm at every position, and another direction among the units.
    """
    variants = _repeat(base, layer, len(units))
    seen = _pooled_positions(variants, layer)
    rows = torch.arange(len(units), device=base.device)[:, None]
    ones = (1,) * (seen.dim() - 2)
    targets = values.to(base.dtype).view(-1, 1, *ones)
    by_unit, places = seen.movedim(-1, 1), units.view(len(units), -1)
    if directions is None:
        by_unit[rows, places] = targets
    else:
        change = (targets - by_unit[rows, places])[:, 0]
        seen += change[..., None] * directions.to(base.dtype).view(len(units), *ones, -1)
    return variants


def _repeat(base: torch.Tensor, layer: Layer, count: int) -> torch.Tensor:
    """Copies in fresh memory: what follows may work in place."""
    axis = 1 if layer.layout == "tokens_first" else 0
    return torch.cat([base] * count, axis)


def _pooled_positions(tensor: torch.Tensor, layer: Layer) -> torch.Tensor:
    """A view ``[N, positions..., U]`` of the positions that the layer's pooling reads; see ``hooks.pool``."""
    if layer.layout == "flat":
        return tensor
    moved = tensor
    if layer.layout == "channels_first":
        moved = tensor.movedim(1, -1)
    elif layer.layout == "tokens_first":
        moved = tensor.movedim(1, 0)
    pooling = layer.spec.pooling
    if pooling in ("max", "mean"):
        return moved
    if pooling == "cls":
        return moved[:, 0]
    if moved.dim() == 4:
        return moved[:, moved.shape[1] // 2, moved.shape[2] // 2]
    assert layer.grid is not None  # probed
    rows, columns = layer.grid
    return moved[:, layer.prefix_tokens + (rows // 2) * columns + columns // 2]
