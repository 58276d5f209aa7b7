"""What is climbed: the activation of a neuron as the run reads it, a direction, and what is asked besides.

The activation is pooled inside the hook (`hooks.pool`), at the run's point; of a layer pooled by ``max`` the
mean of all positions counts too, which alone is the channel objective of Olah et al. (2017). Of what passes a
lower layer a copy is kept and another goes on: open_clip's ReLUs work in place, and what they have been given
holds afterwards what they return, with a gradient of zero wherever that is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import logsigmoid, normalize

from pipeline.base.errors import ConfigError
from pipeline.clip.hooks import Layer, LayerSpec, hook_points, pool, positions_of
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import Clip


class _Reached(Exception):  # noqa: N818  # nothing is wrong
    """All that is asked of a pass has passed."""


@dataclass(frozen=True)
class Passed:
    """What a pass showed."""

    activations: torch.Tensor
    """Pooled: ``[N, unit_count]``."""
    lower: tuple[torch.Tensor, ...]
    """Of each lower layer what passed it, in its layout."""


class Eye:
    """An image tower as far as a layer.

    Args:
        clip: The model.
        layer: What is climbed, probed.
        lower: What is read besides, probed: layers that come before it.
        spread: Share of the mean over all positions in what is read of a layer pooled by ``max``.

    A layer that is what a ReLU returns, as is every block of a ResNet, is read before that ReLU where its
    pooling picks one position: above zero that is the same activation, and below zero a ReLU has no gradient,
    so that a neuron that starts there would never be drawn.
    """

    def __init__(
        self, clip: Clip, layer: Layer, lower: Sequence[Layer] = (), spread: float = 0.0
    ) -> None:
        self.clip, self.layer, self.lower = clip, climbed_layer(clip, layer), tuple(lower)
        self.spread = spread if self.layer.spec.pooling == "max" else 0.0

    def look(self, pixels: torch.Tensor) -> Passed:
        """Pass pictures, with the gradient.

        Args:
            pixels: Normalised, ``[N, 3, H, W]``.

        Raises:
            ConfigError: A lower layer does not come before the other.
        """
        found: dict[LayerSpec, torch.Tensor] = {}

        def take(spec: LayerSpec, tensor: torch.Tensor | None) -> torch.Tensor | None:
            assert tensor is not None  # probed
            if spec == self.layer.spec:
                found[spec] = self._pool(tensor)
                raise _Reached
            found[spec] = tensor.clone()
            return found[spec].clone()

        specs = [layer.spec for layer in (*self.lower, self.layer)]
        with self.clip.lock, hook_points(self.clip.model, specs, take), suppress(_Reached):
            self.clip.model.encode_image(pixels)
        for layer in self.lower:
            if layer.spec not in found:
                raise ConfigError(
                    f"{layer.name} does not come before {self.layer.name}.",
                    "A facet is seen by a layer below the one that is drawn: train its probe on a lower one.",
                )
        return Passed(found[self.layer.spec], tuple(found[layer.spec] for layer in self.lower))

    def _pool(self, tensor: torch.Tensor) -> torch.Tensor:
        pooled = pool(tensor, self.layer)
        if not self.spread or self.layer.layout == "flat":
            return pooled
        return pooled.lerp(positions_of(tensor, self.layer).mean(1), self.spread)


def climbed_layer(clip: Clip, layer: Layer) -> Layer:
    """Where a layer is read while it is climbed: before its ReLU, if it is what one returns."""
    spec = layer.spec
    if spec.point == "output" and spec.pooling in ("max", "center", "cls") and layer.is_rectified:
        path = _last_relu(clip, spec.path)
        if path is not None:
            (before,) = resolve_layers(clip, (f"{path}:input:{spec.pooling}",))
            return before
    return layer


def _last_relu(clip: Clip, path: str) -> str | None:
    """The ReLU in a module, or the module, whose output is the module's own; None if there is none."""
    inside = {
        name
        for name, module in clip.model.named_modules()
        if isinstance(module, nn.ReLU) and (name == path or name.startswith(f"{path}."))
    }
    returned: dict[str, torch.Tensor] = {}

    def take(spec: LayerSpec, tensor: torch.Tensor | None) -> None:
        assert tensor is not None  # of a ReLU, and probed
        returned[spec.path] = tensor

    specs = [LayerSpec(name) for name in sorted(inside | {path})]
    height, width = clip.setup.image.size_px
    pixels = torch.zeros(1, 3, height, width, device=clip.device)
    with torch.inference_mode(), clip.lock, hook_points(clip.model, specs, take):
        clip.model.encode_image(pixels)
    return next((name for name in sorted(inside) if returned.get(name) is returned[path]), None)


def attribute(values: torch.Tensor, lower: torch.Tensor) -> torch.Tensor:
    """How much of each value a lower layer is, position by position: ``g(x) * grad f(g(x))``.

    As in what Goh et al. published (https://github.com/openai/CLIP-featurevis), the gradient is taken as it
    is, where it is above zero: what is climbed through is ``g``, and nothing is that lowers ``f``.

    Args:
        values: ``f(g(x))`` of each picture, ``[N]``.
        lower: ``g(x)``, kept by `Eye.look`.

    Returns:
        As ``lower``.
    """
    (gradient,) = torch.autograd.grad(values.sum(), lower, retain_graph=True)
    return lower * gradient.relu()


def facet_term(parts: torch.Tensor, layer: Layer, weight: torch.Tensor) -> torch.Tensor:
    """``w' (g(x) * grad f(g(x)))`` of each picture, ``[N]`` (Goh et al. 2021, appendix on faceted pictures).

    Args:
        parts: Of `attribute`.
        layer: The lower layer.
        weight: ``w``, of a linear probe that tells the facet by what each of its units is: ``[unit_count]``.
    """
    return _by_unit(parts, layer) @ weight


def odds_term(lower: torch.Tensor, layer: Layer, weight: torch.Tensor, bias: float) -> torch.Tensor:
    """Log of the probability that a facet's probe gives each picture, ``[N]``: at most 0, where it is sure.

    Args:
        lower: ``g(x)``, kept by `Eye.look`.
        layer: The lower layer.
        weight: Of the probe: log odds for one model unit of a channel's mean over all positions.
        bias: Of the probe.
    """
    means = lower if layer.layout == "flat" else positions_of(lower, layer).mean(1)
    return logsigmoid(means @ weight + bias)


def likeness_term(parts: torch.Tensor, layer: Layer, images: int) -> torch.Tensor:
    """How alike the pictures of one neuron are, ``[N]``: of each the mean cosine to the others.

    Compared are Gram matrices of ``g(x) * grad f(g(x))``, unit by unit over positions, of length one: which
    units of the lower layer make the neuron answer together, and not where (Olah et al. 2017 of activations;
    Goh et al. 2021 of attributions).

    Args:
        parts: Of `attribute`.
        layer: The lower layer.
        images: How many pictures each neuron has; they follow each other.
    """
    flat = positions_of(parts, layer) if layer.layout != "flat" else parts[:, None]
    grams = normalize((flat.transpose(1, 2) @ flat).flatten(1), dim=1)
    groups = grams.view(-1, images, grams.shape[1])
    alike = groups @ groups.transpose(1, 2)
    own = torch.eye(images, dtype=torch.bool, device=alike.device)
    others: torch.Tensor = alike.masked_fill(own, 0).sum(2) / max(images - 1, 1)
    return others.flatten()


def _by_unit(parts: torch.Tensor, layer: Layer) -> torch.Tensor:
    """Summed over positions: ``[N, unit_count]``."""
    return parts if layer.layout == "flat" else positions_of(parts, layer).sum(1)
