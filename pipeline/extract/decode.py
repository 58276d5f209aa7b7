"""From an image file to what a CLIP image tower takes in.

Two ways, one decision about every file (the reasons to reject one stand in ``image_file``; a third,
on the device, is in ``decode_device``):

- :func:`decode_fast`: torchvision's JPEG decoder and uint8 antialiased resize; uint8 out, so that
  a quarter of the bytes travel to the device, where :func:`normalise` does the rest.
- :func:`decode_exact`: Pillow and open_clip's own transform; float32 out.

Both show an image as a person would see it: EXIF rotation applied, transparent pixels on white,
16-bit values scaled (not clipped) to 8 bits, the first frame of an animation, always RGB. open_clip
alone does none of the first three.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import interpolate

from pipeline.base.errors import ExampleError
from pipeline.base.pixels import UPRIGHT, load_rgb, read_orientation
from pipeline.clip.image_spec import ImageSpec
from pipeline.extract.image_file import load_tensor, open_header

MAX_ELONGATION = 200
"""How many times the area of the input a resized image may have before its centre is cut out.

For a square input this is the aspect ratio. A line of 1 x 5000 would become 224 x 1,120,000.
"""

# EXIF orientation -> (swap height and width, then flip these axes of [3, H, W])
_TENSOR_STEPS: dict[int, tuple[bool, tuple[int, ...]]] = {
    2: (False, (2,)),
    3: (False, (1, 2)),
    4: (False, (1,)),
    5: (True, ()),
    6: (True, (2,)),
    7: (True, (1, 2)),
    8: (True, (1,)),
}


@dataclass(frozen=True)
class HostDecoder:
    """Every image by itself, on the CPU, with one of the two ways below."""

    decode: Callable[[bytes], torch.Tensor]
    """An image file -> ``[3, H, W]``; raises :class:`ExampleError` for a bad one."""

    def assemble(
        self, items: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, list[ExampleError | None]]:
        """A batch ``[N, 3, H, W]``; nothing can fail any more."""
        return stack(items), [None] * len(items)


def decode_fast(data: bytes, spec: ImageSpec, max_pixels: int) -> torch.Tensor:
    """Decode, resize and crop, staying in uint8.

    Safe to call from many threads; the heavy parts release the GIL.

    Args:
        data: A whole image file.
        spec: What the image tower expects.
        max_pixels: Larger images are rejected from their header.

    Returns:
        uint8 [3, H, W] in 0..255, stored pixel by pixel; mostly equal to :func:`decode_exact` and
        within two grey levels of it, except at edges so hard that a cubic overshoots 0 or 255: both
        cut there between their two passes, and which axis comes first differs (30 levels were seen in
        noise of black and white). ``levels_apart`` in its test is the proof.

    Raises:
        ExampleError: The image cannot be used; its reason is one of those in ``image_file``.
    """
    image = open_header(data, max_pixels)
    pixels = load_tensor(image, data)
    swap, flips = _TENSOR_STEPS.get(read_orientation(image), (False, ()))
    height, width = pixels.shape[1:]
    if swap:
        height, width = width, height
    size = bounded_size(spec, height, width)
    # Resizing the image as stored and turning the small result is several times cheaper.
    pixels = _resize(pixels, size[::-1] if swap else size, spec)
    if swap:
        pixels = pixels.transpose(1, 2)
    if flips:
        pixels = pixels.flip(flips)
    return _crop_or_pad(pixels, spec)


def decode_exact(data: bytes, spec: ImageSpec, max_pixels: int) -> torch.Tensor:
    """Decode with Pillow and apply open_clip's own transform: the reference, several times slower.

    Args and errors are those of :func:`decode_fast`.

    Returns:
        float32 [3, H, W], normalised.
    """
    image = open_header(data, max_pixels)
    rgb = load_rgb(image, data)
    step = UPRIGHT.get(read_orientation(image))
    if step is not None:
        rgb = rgb.transpose(step)
    bounded_size(spec, rgb.height, rgb.width)
    return spec.transform(rgb)


def stack(images: Sequence[torch.Tensor]) -> torch.Tensor:
    """Make a channels_last batch [N, 3, H, W] (``torch.stack`` would make a slower NCHW one)."""
    return torch.stack([image.permute(1, 2, 0) for image in images]).permute(0, 3, 1, 2)


def normalise(
    batch: torch.Tensor, spec: ImageSpec, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Turn pixels into the input of the tower, on the device where they are.

    Args:
        batch: [N, 3, H, W]: uint8 of :func:`decode_fast`, or floats of :func:`decode_exact`.
        spec: Mean and standard deviation.
        out: Written to if given: an earlier result of the same shape that is no longer needed. On
            a CPU, fresh memory costs three times as much as the arithmetic.

    Returns:
        float32 [N, 3, H, W], channels_last; floats are as they were.
    """
    if batch.is_floating_point():
        return batch if out is None else out.copy_(batch)
    if out is None:
        out = torch.empty(
            batch.shape, device=batch.device, memory_format=torch.channels_last, dtype=torch.float32
        )
    scale, shift = _scale_and_shift(spec, batch.device)
    # As rows of W * 3 values the innermost loop is long; over 3 channels it is 2.5 times slower.
    rows = out.permute(0, 2, 3, 1).flatten(2)
    rows.copy_(batch.permute(0, 2, 3, 1).flatten(2)).mul_(scale).add_(shift)
    return out


def start_decode_thread() -> None:
    """Give the calling thread one core: for ``ThreadPoolExecutor(initializer=...)``.

    torch's setting is per thread, but a thread that has not used torch yet takes the last value
    set anywhere. So threads that should use all cores call ``torch.get_num_threads()`` (or set
    their own number) *before* the pool starts; the main thread's number then stays as it is.
    """
    torch.set_num_threads(1)


def bounded_size(spec: ImageSpec, height: int, width: int) -> tuple[int, int]:
    """Height and width after the resize.

    Raises:
        ExampleError: ``too_elongated``.
    """
    size = spec.resized(height, width)
    if not 0 < size[0] * size[1] <= MAX_ELONGATION * spec.size_px[0] * spec.size_px[1]:
        detail = f"{width} x {height} pixels would be resized to {size[1]} x {size[0]}."
        raise ExampleError("too_elongated", detail)
    return size


def _crop_or_pad(pixels: torch.Tensor, spec: ImageSpec) -> torch.Tensor:
    """Take the centre, pad what the image does not reach; rounds as open_clip does."""
    (height, width), (old_height, old_width) = spec.size_px, pixels.shape[1:]
    if (old_height, old_width) == (height, width):
        return pixels
    if old_height < height or old_width < width:
        canvas = pixels.new_full((height, width, 3), spec.fill_color).permute(2, 0, 1)
        top, left = (height - old_height) // 2, (width - old_width) // 2
        canvas[:, top : top + old_height, left : left + old_width] = pixels
        return canvas
    top, left = round((old_height - height) / 2), round((old_width - width) / 2)
    return pixels[:, top : top + height, left : left + width]


def _resize(pixels: torch.Tensor, size: tuple[int, int], spec: ImageSpec) -> torch.Tensor:
    """torchvision's ``resize`` of uint8 [3, H, W], without its Python: threads wait for each other there."""
    if pixels.shape[1:] == size:
        return pixels
    mode = "bicubic" if spec.resizes_bicubic else "bilinear"
    return interpolate(pixels[None], size, mode=mode, antialias=True, align_corners=False)[0]


@functools.lru_cache(maxsize=16)
def _scale_and_shift(spec: ImageSpec, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows [W * 3] with ``(pixel / 255 - mean) / std == pixel * scale + shift``."""
    with torch.inference_mode(False):  # usable in and out of inference mode
        mean, std = torch.tensor([spec.mean, spec.std], dtype=torch.float64)
        scale, shift = 1 / (255 * std), -mean / std
        width = spec.size_px[1]
        return scale.repeat(width).float().to(device), shift.repeat(width).float().to(device)
