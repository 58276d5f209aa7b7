"""A picture is moved, scaled and turned anew at every step: so no trick of single pixels survives.

Pad, jitter, scale, rotate, jitter (Olah et al. 2017, doi:10.23915/distill.00007) are one affine map, so a
picture is sampled once. Lengths are of pictures of 224 pixels and are scaled with the picture's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import affine_grid, grid_sample, interpolate

FULL = 224
"""Side of the pictures, in pixels, that the lengths of schedules are of."""

GREY = 0.5
"""What lies around a picture."""


@dataclass(frozen=True)
class Schedule:
    """What may happen to a picture at each step, drawn evenly from what is listed."""

    jitters: tuple[int, ...]
    """Before scale and rotation: each moves it by up to half as many pixels either way, along both axes."""
    scales: tuple[float, ...]
    angles: tuple[float, ...]
    """In degrees."""
    last_jitter: int
    """After scale and rotation."""


SCHEDULES = {
    "olah2017": Schedule(
        (8,), tuple(1 + (n - 5) / 50 for n in range(11)), (*range(-10, 11), *[0] * 5), 4
    ),
    "goh2021": Schedule(
        (4,) * 10,
        (
            *(0.995**n for n in range(-5, 80)),
            *(0.998**n for n in range(20, 40)),
            *(0.998**n for n in range(20, 40)),
        ),
        (*range(-20, 20), *range(-10, 10), *range(-5, 5), *[0] * 5),
        2,
    ),
    "none": Schedule((), (1.0,), (0.0,), 0),
}
"""By name: Lucid's own; that of the faceted pictures of Goh et al. (2021), as published in
https://github.com/openai/CLIP-featurevis; and as it is."""


def draw_moves(schedule: Schedule, steps: int, generator: torch.Generator) -> torch.Tensor:
    """What happens to one picture at each step: float32 ``[steps, 2, 3]``, in shares of half a picture.

    Args:
        schedule: What may happen.
        steps: How many.
        generator: On the CPU; of this picture alone, so that it moves alike whatever is drawn beside it.
    """

    def pick(values: tuple[float, ...]) -> torch.Tensor:
        return torch.tensor(values)[torch.randint(len(values), (steps,), generator=generator)]

    def shift(pixels: int) -> torch.Tensor:
        drawn = torch.randint(-(pixels // 2), pixels // 2 + 1, (steps, 2), generator=generator)
        return 2 * drawn / FULL

    first = sum((shift(pixels) for pixels in schedule.jitters), torch.zeros(steps, 2))
    scale, angle = pick(schedule.scales), pick(schedule.angles) * (math.pi / 180)
    last = shift(schedule.last_jitter)
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    turn = torch.stack([cosine, sine, -sine, cosine], 1).view(steps, 2, 2)
    # where a pixel of the result comes from: back by the last jitter, turned and scaled, back by the first
    moved = -(turn @ last[:, :, None])[:, :, 0] - first
    return torch.cat([turn, moved[:, :, None]], 2)


def move(pixels: torch.Tensor, moves: torch.Tensor) -> torch.Tensor:
    """Pictures after one step's moves; what comes in from outside is grey.

    Args:
        pixels: Float32 ``[N, 3, H, W]``.
        moves: ``[N, 2, 3]``, one of `draw_moves` for each.
    """
    height, width = pixels.shape[2:]
    if height != width:  # a turn of shares would shear it
        shares = torch.tensor([[1, height / width, 1], [width / height, 1, 1]])
        moves = moves * shares.to(moves.device)
    grid = affine_grid(moves, list(pixels.shape), align_corners=False)
    around = pixels - GREY
    sampled = look_up(around, grid) if pixels.is_cuda else _sample(around, grid)
    return sampled + GREY


def _sample(pixels: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    return grid_sample(pixels, grid, mode="bilinear", align_corners=False)


def look_up(pixels: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """As torch's `grid_sample`, by look-ups: on a GPU its gradient adds in any order, and theirs does not.

    Args:
        pixels: Float32 ``[N, 3, H, W]``; outside it is 0.
        grid: Where each pixel comes from, x and y in -1..1: ``[N, H, W, 2]``.
    """
    count, _, height, width = pixels.shape
    x = ((grid[..., 0] + 1) * width - 1) / 2
    y = ((grid[..., 1] + 1) * height - 1) / 2
    left, top = x.floor(), y.floor()
    flat = pixels.permute(0, 2, 3, 1).reshape(-1, 3)
    first = torch.arange(count, device=pixels.device)[:, None, None] * (height * width)
    total = torch.zeros_like(grid[..., :1])
    for right in (0, 1):
        for below in (0, 1):
            column, row = left + right, top + below
            weight = (1 - (x - column).abs()) * (1 - (y - row).abs())
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            place = first + row.clamp(0, height - 1).long() * width
            place = place + column.clamp(0, width - 1).long()
            total = total + flat[place] * (weight * inside)[..., None]
    return total.permute(0, 3, 1, 2)


def resize(pixels: torch.Tensor, size: tuple[int, int], is_bicubic: bool) -> torch.Tensor:
    """Pictures in another size, resampled as the run resizes images.

    By two products of matrices: their gradient is the same every time, also on a GPU.

    Args:
        pixels: Float32 ``[N, 3, H, W]``.
        size: Height and width.
        is_bicubic: Or else bilinear; both antialiased.
    """
    if pixels.shape[2:] == size:
        return pixels
    rows, columns = (
        _resampling(old, new, is_bicubic).to(pixels.device)
        for old, new in zip(pixels.shape[2:], size, strict=True)
    )
    return rows @ pixels @ columns.T


def _resampling(old: int, new: int, is_bicubic: bool) -> torch.Tensor:
    """``[new, old]``: what each new pixel takes of the old ones."""
    each = torch.eye(old)[None, None]
    mode = "bicubic" if is_bicubic else "bilinear"
    return interpolate(each, (new, old), mode=mode, antialias=True, align_corners=False)[0, 0]
