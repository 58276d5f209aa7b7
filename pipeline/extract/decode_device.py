"""JPEGs decoded, resized and cropped on the device, a batch at a time.

The files travel as they are, a tenth of the bytes of their pixels, and the cores only read headers.
What the device's decoder would see differently from a person, or would let through where libjpeg
finds damage, goes the way of :func:`~pipeline.extract.decode.decode_fast`: turned by EXIF, CMYK, JPEGs
whose colours are not surely YCbCr or whose end is missing, and all other formats. So the same files are
rejected, with the same reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from PIL.ImageFile import ImageFile

from pipeline.base.errors import DeviceError, ExampleError
from pipeline.base.pixels import read_orientation
from pipeline.clip.image_spec import ImageSpec
from pipeline.extract.decode import bounded_size, decode_fast
from pipeline.extract.image_file import open_header

GROUP_BYTES = 1 << 30
"""Images are resized together as long as their pixels and weights fit into this."""

DecodeJpegs = Callable[[list[torch.Tensor]], list[torch.Tensor]]
"""Whole files, uint8 ``[B]`` on the CPU -> uint8 ``[3, H, W]`` on the device; RuntimeError for a bad one."""


@dataclass(frozen=True)
class Jpeg:
    """A file that the device decodes, and the size that its header states."""

    data: bytes
    height_px: int
    width_px: int


class DeviceDecoder:
    """Image files to batches of pixels on the device.

    Args:
        spec: What the image tower expects.
        max_pixels: Larger images are rejected from their header.
        device: Where batches are made.
        decode_jpegs: The decoder of that device; torchvision's (nvJPEG) if None.

    Raises:
        DeviceError: There is no such decoder.
    """

    def __init__(
        self,
        spec: ImageSpec,
        max_pixels: int,
        device: torch.device,
        decode_jpegs: DecodeJpegs | None = None,
    ) -> None:
        self.spec, self.max_pixels, self.device = spec, max_pixels, device
        self._decode_jpegs = decode_jpegs or _nvjpeg(device)
        self._stream = _new_stream(device)

    def decode(self, data: bytes) -> Jpeg | torch.Tensor:
        """The first step, safe to call from many threads: a header, or pixels of other files.

        Raises:
            ExampleError: As :func:`~pipeline.extract.decode.decode_fast`.
        """
        image = open_header(data, self.max_pixels)
        if not _is_plain_jpeg(image, data):
            return decode_fast(data, self.spec, self.max_pixels)
        bounded_size(self.spec, image.height, image.width)
        return Jpeg(data, image.height, image.width)

    def assemble(
        self, items: Sequence[Jpeg | torch.Tensor]
    ) -> tuple[torch.Tensor, list[ExampleError | None]]:
        """The second step: a batch of what :meth:`decode` gave.

        On a stream of its own, ahead of the batch that is in the model, and done when this returns.

        Returns:
            uint8 ``[N, 3, H, W]``, channels_last, on the device: the images without an error, in order;
            and for each item its error or None.
        """
        with torch.cuda.stream(self._stream):  # None: nothing changes
            images, errors = self._assemble(items)
        if self._stream is not None:
            self._stream.synchronize()  # this thread has nothing else to do; the model's goes on
            images.record_stream(torch.cuda.current_stream(self.device))
        return images, errors

    def _assemble(
        self, items: Sequence[Jpeg | torch.Tensor]
    ) -> tuple[torch.Tensor, list[ExampleError | None]]:
        errors: list[ExampleError | None] = [None] * len(items)
        images = torch.empty(
            (len(items), 3, *self.spec.size_px),
            dtype=torch.uint8,
            device=self.device,
            memory_format=torch.channels_last,
        )
        jpegs = {i: item for i, item in enumerate(items) if isinstance(item, Jpeg)}
        for group in _groups(jpegs, self.spec):
            try:
                data = [_as_tensor(jpegs[i].data) for i in group]
                sizes = [(jpegs[i].height_px, jpegs[i].width_px) for i in group]
                pixels = self._decode_jpegs(data)
                if [tuple(p.shape) for p in pixels] != [(3, *size) for size in sizes]:
                    raise RuntimeError("not the size of the header")
                where = _send(torch.tensor(group), self.device)
                images[where] = resize_together(pixels, self.spec)
            except RuntimeError:  # one of them is bad, or they need too much memory
                for i in group:
                    try:
                        images[i] = decode_fast(jpegs[i].data, self.spec, self.max_pixels).to(
                            self.device
                        )
                    except ExampleError as error:
                        errors[i] = error
        others = [i for i, item in enumerate(items) if isinstance(item, torch.Tensor)]
        if others:
            decoded = torch.stack([item for item in items if isinstance(item, torch.Tensor)])
            images[torch.tensor(others, device=self.device)] = decoded.to(self.device)
        if any(errors):
            good = [i for i, error in enumerate(errors) if error is None]
            images = images[torch.tensor(good, dtype=torch.int64, device=self.device)]
        return images, errors


def resize_together(pixels: Sequence[torch.Tensor], spec: ImageSpec) -> torch.Tensor:
    """Resize and crop (or pad) images of different sizes, as two matrix products for all of them.

    The arithmetic of torch's antialiased resize of uint8: rows first, then columns, rounded and cut to
    0..255 after each; its weights are rounded to 16 bits and ours are not, which is seldom one grey level.

    Args:
        pixels: uint8 ``[3, H, W]`` each, on one device.
        spec: Size, interpolation and resize mode.

    Returns:
        uint8 ``[N, 3, height, width]``.
    """
    device = pixels[0].device
    down, across = _axes(pixels, spec)
    dtype = torch.float16 if _has_wide_products(device) else torch.float32
    shape = (len(pixels), 3, down.longest, across.longest)
    padded = torch.zeros(shape, dtype=dtype, device=device)
    for image, place in zip(pixels, padded, strict=True):
        place[:, : image.shape[1], : image.shape[2]].copy_(image)
    down_weights, is_row = _weights(down, spec)
    across_weights, is_column = _weights(across, spec)
    rows = _whole(_product(padded.flatten(1, 2), across_weights), dtype)  # [N, 3 * H, width]
    columns = rows.view(*shape[:3], -1).transpose(2, 3).flatten(1, 2)  # [N, 3 * width, H]
    result = _whole(_product(columns, down_weights), torch.uint8)
    result = result.view(len(pixels), 3, spec.size_px[1], -1).transpose(2, 3)
    inside = is_row[:, None, :, None] & is_column[:, None, None, :]
    return result.masked_fill_(~inside, spec.fill_color)


def _has_wide_products(device: torch.device) -> bool:
    """Whether products of half-precision matrices come in float32: tensor cores, and half of the bytes."""
    return device.type == "cuda" and hasattr(torch.ops.aten.baddbmm, "dtype")


def _product(pixels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """``pixels @ weights.mT`` in float32; pixels are whole numbers, exact in half precision too.

    There the weights, float32, are the sum of two halves: 22 of their 24 bits.
    """
    if pixels.dtype == torch.float32:
        return pixels @ weights.mT
    coarse = weights.half()
    fine = (weights - coarse).half()
    product = torch.bmm(pixels, coarse.mT, out_dtype=torch.float32)
    return torch.baddbmm(product, pixels, fine.mT, out_dtype=torch.float32)


def _whole(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Rounded, halves up, and cut to 0..255; the values given are overwritten."""
    return values.add_(0.5).floor_().clamp_(0, 255).to(dtype)


@dataclass(frozen=True)
class _Axis:
    """Heights or widths of images before and after, on the device: int64 ``[N]`` each."""

    sizes: torch.Tensor
    resized: torch.Tensor
    starts: torch.Tensor
    """Where the cut-out begins in the resized image; below zero where it is padded."""
    longest: int
    """Of the sizes."""
    target: int
    """Pixels of the result."""


def _axes(pixels: Sequence[torch.Tensor], spec: ImageSpec) -> tuple[_Axis, _Axis]:
    """Down and across; all of it travels to the device at once, and nobody waits for that."""
    sizes = [tuple(p.shape[1:]) for p in pixels]
    resized = [spec.resized(*size) for size in sizes]
    starts = [
        # the middle is cut out as open_clip does: half to even where it is cropped, down where padded
        tuple(
            round((n - target) / 2) if n >= target else -((target - n) // 2)
            for n, target in zip(new, spec.size_px, strict=True)
        )
        for new in resized
    ]
    table = _send(torch.tensor([sizes, resized, starts]), pixels[0].device)  # [3, N, 2]
    down, across = (
        _Axis(
            before,
            after,
            start,
            longest=max(size[axis] for size in sizes),
            target=spec.size_px[axis],
        )
        for axis, (before, after, start) in enumerate(table.permute(2, 0, 1))
    )
    return down, across


def _send(numbers: torch.Tensor, device: torch.device) -> torch.Tensor:
    """To the device, in the order of the current stream; from memory that a GPU reads by itself."""
    if device.type == "cuda":
        numbers = numbers.pin_memory()
    return numbers.to(device, non_blocking=True)


def _weights(axis: _Axis, spec: ImageSpec) -> tuple[torch.Tensor, torch.Tensor]:
    """What each place of the result takes from each pixel of one axis: ``[N, target, longest]``.

    Antialiased: the filter is widened by the scale (Keys 1981, doi:10.1109/TASSP.1981.1163711, with
    a = -1/2, or a triangle). Also ``[N, target]``: whether the place is in the image or in its padding.
    """
    device = axis.sizes.device
    place = torch.arange(axis.target, device=device) + axis.starts[:, None]
    scale = (axis.sizes.float() / axis.resized.float())[:, None]
    wide = scale.clamp(min=1)[..., None]
    pixel = torch.arange(axis.longest, device=device)
    away = (pixel + 0.5 - ((place + 0.5) * scale)[..., None]).abs_() / wide
    if spec.resizes_bicubic:
        near = (1.5 * away - 2.5) * away * away + 1
        far = ((-0.5 * away + 2.5) * away - 4) * away + 2
        weights = torch.where(away < 1, near, torch.where(away < 2, far, 0.0))
    else:
        weights = (1 - away).clamp_(min=0)
    weights.masked_fill_(pixel >= axis.sizes[:, None, None], 0.0)
    weights /= weights.sum(2, keepdim=True).clamp(min=1e-6)
    return weights, (place >= 0) & (place < axis.resized[:, None])


def _groups(jpegs: dict[int, Jpeg], spec: ImageSpec) -> Iterator[list[int]]:
    """Which are resized together: alike in size, and within `GROUP_BYTES` when padded to the largest."""
    order = sorted(jpegs, key=lambda i: (jpegs[i].height_px, jpegs[i].width_px))
    group: list[int] = []
    widest = 0
    for i in order:
        height, width = jpegs[i].height_px, max(widest, jpegs[i].width_px)
        pixels = 12 * height * width
        weights = 24 * (spec.size_px[0] * height + spec.size_px[1] * width)
        if group and (len(group) + 1) * (pixels + weights) > GROUP_BYTES:
            yield group
            group, width = [], jpegs[i].width_px
        group.append(i)
        widest = width
    if group:
        yield group


def _is_plain_jpeg(image: ImageFile, data: bytes) -> bool:
    """Upright, grey or surely YCbCr, and whole as far as its end tells."""
    if image.format != "JPEG" or image.mode not in ("RGB", "L") or not data.endswith(b"\xff\xd9"):
        return False
    is_ycbcr = (  # as libjpeg decides
        image.mode == "L"
        or "jfif" in image.info
        or image.info.get("adobe_transform") == 1
        or [layer[0] for layer in getattr(image, "layer", ())] == [1, 2, 3]
    )
    return is_ycbcr and read_orientation(image) == 1


def _as_tensor(data: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _new_stream(device: torch.device) -> torch.cuda.Stream | None:
    if device.type != "cuda":
        return None
    return torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call]  # torch has no types there


def _nvjpeg(device: torch.device) -> DecodeJpegs:
    operator = getattr(torch.ops.image, "decode_jpegs_cuda", None)
    if device.type != "cuda" or operator is None:
        raise DeviceError(
            f"JPEGs can be decoded on CUDA devices only, and the model runs on {device}.",
            "Leave --preprocess at fast, or name the device: --device cuda.",
        )
    as_rgb = 3  # torchvision.io.ImageReadMode.RGB
    return lambda files: operator(files, as_rgb, device)
