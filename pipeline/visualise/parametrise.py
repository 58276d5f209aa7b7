"""How a picture is written while it is climbed: as frequencies, in colours that vary apart from each other.

Steps in the space of pixels make noise. In that of frequencies, each scaled by how strong it is in photographs,
and of colours without the correlation that photographs have, the same steps make pictures (Olah et al. 2017,
doi:10.23915/distill.00007; the constants are those of their library, Lucid). With MACO the strength of each
frequency is that of the run's own images and stays, and only its phase is climbed (Fel et al. 2023,
arXiv:2306.06805, eq. 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

COLOURS = torch.tensor(
    [[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], dtype=torch.float32
)
"""Root of the correlation of red, green and blue in ImageNet, row by row: brightness, blue to yellow, green to
magenta make each (Olah et al. 2017)."""

_MIXED = COLOURS / COLOURS.norm(dim=0).max()

START_SD = 0.01
"""Of the frequencies before the first step, before they are scaled."""

DARKEST = 0.02
"""What a pixel is taken to have at least, and 1 minus it at most, where its logit is asked for."""


def to_pixels(planes: torch.Tensor) -> torch.Tensor:
    """Red, green and blue in 0..1 of three decorrelated planes: both ``[N, 3, H, W]``."""
    mixed = torch.einsum("rc,nchw->nrhw", _MIXED.to(planes.device), planes)
    return torch.sigmoid(mixed)


def to_planes(pixels: torch.Tensor) -> torch.Tensor:
    """What `to_pixels` makes them of; pixels, ``[N, 3, H, W]`` in 0..1, that are black or white: nearly so."""
    mixed = torch.logit(pixels, eps=DARKEST)
    return torch.einsum("cr,nrhw->nchw", torch.linalg.inv(_MIXED).to(pixels.device), mixed)


Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class Canvas:
    """Pictures while they are climbed."""

    values: torch.Tensor
    """What is climbed: float32, by picture first."""
    read: Callable[[], torch.Tensor]
    """The pictures as they are now: float32 ``[N, 3, H, W]`` in 0..1, where the values are."""


def start_fourier(
    size: Size, generators: Iterable[torch.Generator], device: torch.device
) -> Canvas:
    """Frequencies that are all climbed, real and imaginary; at first weak noise, nearly grey.

    Args:
        size: Of each picture.
        generators: One for each picture, on the CPU: it starts alike whatever is drawn beside it.
        device: Where to climb.
    """
    shape = (3, size[0], size[1] // 2 + 1, 2)
    noise = torch.stack([START_SD * torch.randn(shape, generator=one) for one in generators])
    values, pink = noise.to(device).requires_grad_(), _pink(size).to(device)

    def read() -> torch.Tensor:
        planes = torch.fft.irfft2(torch.view_as_complex(values) * pink, s=size, norm="ortho")
        return to_pixels(planes / 4)

    return Canvas(values, read)


def start_maco(
    size: Size,
    generators: Iterable[torch.Generator],
    device: torch.device,
    spectrum: torch.Tensor,
) -> Canvas:
    """Phases that are climbed under strengths that stay; at first anyhow.

    Args:
        size: Of each picture.
        generators: As of `start_fourier`.
        device: Where to climb.
        spectrum: Of `measure_spectrum`, for this size.
    """
    phases = [2 * torch.pi * torch.rand(spectrum.shape, generator=one) for one in generators]
    values, strength = torch.stack(phases).to(device).requires_grad_(), spectrum.to(device)
    turns = torch.ones_like(strength)
    turns[:, 0, 0] = 0  # the mean of a plane has no phase

    def read() -> torch.Tensor:
        angle = values * turns
        found = torch.complex(strength * angle.cos(), strength * angle.sin())
        return to_pixels(torch.fft.irfft2(found, s=size, norm="ortho"))

    return Canvas(values, read)


def measure_spectrum(images: Sequence[torch.Tensor]) -> torch.Tensor:
    """How strong each frequency is in images, on average, plane by plane.

    Fel et al. measure it in pixels; here it is measured before the sigmoid, so that pictures keep to 0..1.

    Args:
        images: Each float32 ``[3, H, W]`` in 0..1, all of one size.

    Returns:
        Float32 ``[3, H, W // 2 + 1]``; at (0, 0) of each plane its mean, with its sign.
    """
    total = torch.zeros(())
    for image in images:
        found = torch.fft.rfft2(to_planes(image[None])[0], norm="ortho")
        strength = found.abs()
        strength[:, 0, 0] = found[:, 0, 0].real
        total = total + strength
    return total / len(images)


def _pink(size: Size) -> torch.Tensor:
    """``[H, W // 2 + 1]``: as strong as frequencies are in photographs, 1 / f; that of 0 as the lowest."""
    height, width = size
    rows, columns = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    frequencies: torch.Tensor = (rows**2 + columns**2).sqrt()
    return 1 / frequencies.clamp(min=1 / max(size))
