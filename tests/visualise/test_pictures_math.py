"""How a picture is written and moved: each piece against what it is defined as."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import affine_grid, grid_sample, interpolate

from pipeline.visualise.parametrise import (
    measure_spectrum,
    start_fourier,
    start_maco,
    to_pixels,
    to_planes,
)
from pipeline.visualise.transform import SCHEDULES, draw_moves, look_up, move, resize

CPU = torch.device("cpu")


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def smooth(count: int, height: int = 24, width: int = 32) -> torch.Tensor:
    small = torch.rand(count, 3, 6, 8, generator=torch.Generator().manual_seed(count))
    return interpolate(small, (height, width), mode="bilinear") * 0.9 + 0.05


def test_planes_and_pixels_are_each_others_inverse():
    pixels = smooth(3)
    assert torch.allclose(to_pixels(to_planes(pixels)), pixels, atol=1e-5)


def test_a_fourier_picture_starts_nearly_grey_and_alike_whatever_is_beside_it():
    both = start_fourier((24, 32), generators(1, 2), CPU).read()
    alone = start_fourier((24, 32), generators(2), CPU).read()
    assert both.shape == (2, 3, 24, 32)
    assert (both - 0.5).abs().max() < 0.1 and both.std() > 0
    assert torch.equal(both[1], alone[0]) and not torch.equal(both[0], both[1])


def test_maco_keeps_the_strength_of_every_frequency_while_phases_move():
    """Of the planes, before the sigmoid; Fel et al. 2023, eq. 3."""
    spectrum = measure_spectrum(list(smooth(5)))
    canvas = start_maco((24, 32), generators(1), CPU, spectrum)
    with torch.no_grad():
        canvas.values.add_(torch.randn(canvas.values.shape, generator=generators(9)[0]))
        # pixels so near 0 or 1 that their logits are cut would not tell
        planes = to_planes(canvas.read()).double()
    strength = torch.fft.rfft2(planes, norm="ortho")[0].abs()
    # where a frequency is its own mirror its phase is 0 or half a turn, and its strength follows the cosine
    inner = (slice(None), slice(1, 12), slice(1, 16))
    assert torch.allclose(strength[inner].float(), spectrum[inner], rtol=0.02, atol=0.02)


def test_a_spectrum_of_one_image_is_that_images():
    (image,) = smooth(1)
    spectrum = measure_spectrum([image])
    planes = to_planes(image[None])[0]
    assert torch.allclose(spectrum[:, 0, 0] / (24 * 32) ** 0.5, planes.mean((1, 2)), atol=1e-4)
    assert spectrum[:, 1:, 1:].min() >= 0


@pytest.mark.parametrize("size", [(24, 32), (12, 16), (31, 20)])
@pytest.mark.parametrize("is_bicubic", [True, False])
def test_resizing_by_products_is_torchs_own(size, is_bicubic):
    pixels = smooth(2)
    mode = "bicubic" if is_bicubic else "bilinear"
    expected = interpolate(pixels, size, mode=mode, antialias=True, align_corners=False)
    assert torch.allclose(resize(pixels, size, is_bicubic), expected, atol=1e-5)


def test_look_ups_sample_as_grid_sample_does_with_its_gradient():
    pixels = smooth(3).requires_grad_()
    moves = [draw_moves(SCHEDULES["goh2021"], 1, one)[0] for one in generators(1, 2, 3)]
    grid = affine_grid(torch.stack(moves), list(pixels.shape), align_corners=False)
    one, other = look_up(pixels, grid), grid_sample(pixels, grid, align_corners=False)
    assert torch.allclose(one, other, atol=1e-4)
    found, expected = (torch.autograd.grad(each.square().sum(), pixels)[0] for each in (one, other))
    assert torch.allclose(found, expected, atol=1e-3)


def test_nothing_moves_without_a_schedule_and_grey_comes_in_with_one():
    pixels = smooth(1)
    still = draw_moves(SCHEDULES["none"], 1, generators(0)[0])
    assert torch.allclose(move(pixels, still), pixels, atol=1e-5)
    away = torch.tensor([[[1.0, 0.0, 4.0], [0.0, 1.0, 0.0]]])
    assert torch.allclose(move(pixels, away), torch.full_like(pixels, 0.5), atol=1e-6)


def test_a_turn_of_a_long_picture_shears_nothing():
    """A quarter turn takes the square in its middle to itself."""
    pixels = torch.full((1, 3, 24, 32), 0.5)
    square = smooth(1, 24, 24)
    pixels[..., 4:28] = square
    quarter = torch.tensor([[[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]])
    turned = move(pixels, quarter)[..., 4:28]
    assert torch.allclose(turned, torch.rot90(square, 1, (2, 3)), atol=1e-4) or torch.allclose(
        turned, torch.rot90(square, -1, (2, 3)), atol=1e-4
    )


def test_moves_are_of_the_schedule():
    moves = draw_moves(SCHEDULES["olah2017"], 500, generators(4)[0])
    scale = moves[:, 0, :2].norm(dim=1)
    assert scale.min() > 1 / 1.11 and scale.max() < 1 / 0.89
    angle = torch.rad2deg(torch.atan2(moves[:, 0, 1], moves[:, 0, 0]))
    assert angle.min() == pytest.approx(-10, abs=1e-3) and angle.max() == pytest.approx(
        10, abs=1e-3
    )
    assert moves[:, :, 2].abs().max() < 0.06
