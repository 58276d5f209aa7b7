"""The loop: pictures are climbed step by step, many neurons at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from pipeline.base.visualise_settings import VisualiseChoice
from pipeline.clip.hooks import Layer
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.model import Clip
from pipeline.visualise.objective import (
    Eye,
    Passed,
    attribute,
    facet_term,
    likeness_term,
    odds_term,
)
from pipeline.visualise.parametrise import Canvas, Size, start_fourier, start_maco
from pipeline.visualise.transform import SCHEDULES, draw_moves, move, resize

ODDS = 0.3
"""How much what the probe says of the whole picture counts beside what it says of the neuron's reasons: those
alone move single channels, and a probe reads all of them; more of it drowns the neuron."""

BRIGHT = 0.98
"""Share of a MACO picture's pixels that are less than fully opaque."""


@dataclass(frozen=True)
class Subject:
    """What draws: a neuron, or a direction in its layer."""

    name: str
    """Of a neuron its unit, ``29``; of a direction what it was called by."""
    unit: int | None
    """None: a direction."""
    weight: torch.Tensor
    """Its activation is the product of the layer's with this: float32 ``[unit_count]``."""
    scale: float = 1.0
    """What is climbed is the activation divided by this, about its SD over the run."""


@dataclass(frozen=True)
class Lower:
    """A lower layer, and a facet that it tells."""

    layer: Layer
    weight: torch.Tensor | None = None
    """Of the facet's probe, float32 ``[channels]``; None: no facet is asked for."""
    bias: float = 0.0
    """Of the facet's probe."""


@dataclass(frozen=True)
class Drawn:
    """A picture."""

    pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    """``[H, W, 3]``."""
    opacity: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None
    """``[H, W]``: where it was climbed much; None but of MACO."""
    has_gradient: bool
    """Whether any step moved it; if not, it is noise."""


class Painter:
    """Draws on one model.

    Args:
        clip: The model.
        layer: Whose neurons draw, probed.
        choice: How.
        lower: The lower layer that diversity and the facet need; None if neither is asked for.
        spectrum: For MACO, of `measure_spectrum`, for `canvas_size`.
    """

    def __init__(
        self,
        clip: Clip,
        layer: Layer,
        choice: VisualiseChoice,
        lower: Lower | None = None,
        spectrum: torch.Tensor | None = None,
    ) -> None:
        self.clip, self.layer, self.choice, self.lower = clip, layer, choice, lower
        self.spectrum, self.spec = spectrum, ImageSpec.from_model(clip.model)
        self.size = canvas_size(self.spec, choice.size_px)
        self._eye = Eye(clip, layer, [lower.layer] if lower else [], choice.spread)
        mean, std = torch.tensor([self.spec.mean, self.spec.std]).to(clip.device)
        self._mean, self._std = mean[:, None, None], std[:, None, None]

    def draw(
        self, subjects: Sequence[Subject], tell: Callable[[int], None] = lambda _: None
    ) -> list[list[Drawn]]:
        """The pictures of some neurons, all at once. If as many draw, each is the same whoever draws beside it.

        Args:
            subjects: Which.
            tell: Is given each step's number.

        Returns:
            `VisualiseChoice.images` of each.
        """
        choice, device = self.choice, self.clip.device
        keys = [f"{choice.seed}/{self.layer.name}/{one.name}/{choice.facet}" for one in subjects]
        generators = [_generator(f"{key}/{n}") for key in keys for n in range(choice.images)]
        canvas = self._start(generators)
        schedule = SCHEDULES[choice.transformations]
        moves = [draw_moves(schedule, choice.steps, one) for one in generators]
        each_step = torch.stack(moves, 1).to(device)
        weights = torch.stack([one.weight / one.scale for one in subjects]).to(device)
        weights = weights.repeat_interleave(choice.images, 0)
        optimiser = torch.optim.Adam([canvas.values], lr=choice.rate)
        height, width = self.size
        climbed = torch.zeros(len(generators), height, width, device=device)
        with _same_every_time(device):
            for number, step in enumerate(each_step):
                optimiser.zero_grad()
                pixels = canvas.read()
                pixels.retain_grad()
                passed = self._eye.look(self._as_input(move(pixels, step)))
                loss = -self._value(passed, weights).sum()
                torch.autograd.backward([loss])
                optimiser.step()
                assert pixels.grad is not None  # retained
                climbed += pixels.grad.abs().sum(1)
                tell(number)
            found = canvas.read().detach()
        return self._finish(found, climbed)

    def _start(self, generators: list[torch.Generator]) -> Canvas:
        if self.choice.parametrisation == "fourier":
            return start_fourier(self.size, generators, self.clip.device)
        assert self.spectrum is not None  # MACO needs one
        return start_maco(self.size, generators, self.clip.device, self.spectrum)

    def _as_input(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels as the tower takes them in."""
        fitted = resize(pixels, self.spec.size_px, self.spec.resizes_bicubic)
        normalised: torch.Tensor = (fitted - self._mean) / self._std
        return normalised.contiguous(memory_format=torch.channels_last)

    def _value(self, passed: Passed, weights: torch.Tensor) -> torch.Tensor:
        """What is climbed of each picture, ``[N]``, in SD of the run."""
        values = (passed.activations * weights).sum(1)
        total, choice = values, self.choice
        if self.lower is None:
            return total
        parts = attribute(values, passed.lower[0])
        if self.lower.weight is not None:
            one, weight = self.lower, self.lower.weight.to(parts.device)
            steered = facet_term(parts, one.layer, weight / weight.square().mean().sqrt())
            steered = steered + ODDS * odds_term(passed.lower[0], one.layer, weight, one.bias)
            total = total + choice.facet_strength * steered
        if choice.images > 1:
            alike = likeness_term(parts, self.lower.layer, choice.images)
            total = total - choice.diversity * alike
        return total

    def _finish(self, pixels: torch.Tensor, climbed: torch.Tensor) -> list[list[Drawn]]:
        images = self.choice.images
        whole = (pixels * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        top = climbed.flatten(1).quantile(BRIGHT, 1)[:, None, None]
        shares = (climbed / top.clamp(min=torch.finfo(top.dtype).tiny)).clamp(max=1)
        opacity = (shares * 255).round().byte().cpu().numpy()
        is_maco = self.choice.parametrisation == "maco"
        moved = (climbed.flatten(1).amax(1) > 0).tolist()
        drawn = [
            Drawn(whole[n], opacity[n] if is_maco else None, has) for n, has in enumerate(moved)
        ]
        return [drawn[first : first + images] for first in range(0, len(drawn), images)]


def canvas_size(spec: ImageSpec, longer_px: int) -> Size:
    """Height and width of a picture, of the shape of the model's input.

    Args:
        spec: Of the model.
        longer_px: Its longer side; 0: the input's own.
    """
    height, width = spec.size_px
    share = (longer_px or max(height, width)) / max(height, width)
    return max(round(height * share), 1), max(round(width * share), 1)


def _generator(key: str) -> torch.Generator:
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:7])
    return torch.Generator().manual_seed(seed)


@contextmanager
def _same_every_time(device: torch.device) -> Iterator[None]:
    """Within the context, a GPU adds in the same order every time."""
    if device.type != "cuda":
        yield
        return
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    with flags, sdpa_kernel(SDPBackend.MATH):
        yield
