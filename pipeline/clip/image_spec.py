"""What the image tower of a model takes in: size, resize, mean and standard deviation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from open_clip import get_model_preprocess_cfg
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image


@dataclass(frozen=True)
class ImageSpec:
    """What an image tower expects; the fields of open_clip's ``PreprocessCfg``, hashable."""

    size_px: tuple[int, int]
    """Height and width of the input."""
    mean: tuple[float, float, float]
    """Mean of each channel, for pixels in 0..1."""
    std: tuple[float, float, float]
    """Standard deviation of each channel, for pixels in 0..1."""
    interpolation: str = "bicubic"
    """``bicubic`` or ``bilinear``; open_clip treats any other word as ``bicubic``."""
    resize_mode: str = "shortest"
    """``shortest`` fills and crops; ``longest`` fits and pads; ``squash`` distorts."""
    fill_color: int = 0
    """Grey level 0..255 of the padding, for ``longest``."""

    @classmethod
    def from_model(cls, model: torch.nn.Module) -> ImageSpec:
        """Read it from an open_clip model (``model.visual.preprocess_cfg``)."""
        return cls.from_preprocess(get_model_preprocess_cfg(model))

    @classmethod
    def from_preprocess(cls, fields: Mapping[str, Any]) -> ImageSpec:
        """Read it from the fields of open_clip's ``PreprocessCfg``."""
        cfg = PreprocessCfg(**fields)
        height, width = cfg.size if isinstance(cfg.size, (tuple, list)) else (cfg.size, cfg.size)
        return cls(
            (int(height), int(width)),
            _three(cfg.mean),
            _three(cfg.std),
            cfg.interpolation,
            cfg.resize_mode,
            int(cfg.fill_color),
        )

    @functools.cached_property
    def transform(self) -> Callable[[Image.Image], torch.Tensor]:
        """open_clip's own evaluation transform: Pillow image in, float32 [3, H, W] out."""
        fields = asdict(self)
        cfg = PreprocessCfg(size=fields.pop("size_px"), **fields)
        transform: Callable[[Image.Image], torch.Tensor] = image_transform_v2(cfg, is_train=False)
        return transform

    @property
    def resizes_bicubic(self) -> bool:
        """Bicubic, or else bilinear."""
        # open_clip resizes to non-square inputs with its default, whatever the model's setting says
        by_default = self.resize_mode == "shortest" and self.size_px[0] != self.size_px[1]
        return self.interpolation != "bilinear" or by_default

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after the resize, before crop or padding, by open_clip's rules."""
        target_height, target_width = self.size_px
        if self.resize_mode == "squash":
            return self.size_px
        if self.resize_mode == "shortest" and target_height == target_width:
            if height <= width:
                return target_height, int(target_height * width / height)
            return int(target_height * height / width), target_height
        pick = max if self.resize_mode == "longest" else min
        ratio = pick(height / target_height, width / target_width)
        return round(height / ratio), round(width / ratio)

    def seen_box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of what the model sees of an image, in its pixels; beyond it is padding.

        The view ``peaks`` has the same arithmetic (``sql/macros/peaks.sql``).
        """
        sides: list[tuple[float, float]] = []
        for seen, new, old in zip(
            self.size_px, self.resized(height, width), (height, width), strict=True
        ):
            first = -((seen - new) // 2) if new < seen else round((new - seen) / 2)
            sides.append((first * old / new, (first + seen) * old / new))
        (top, bottom), (left, right) = sides
        return left, top, right, bottom


def _three(values: float | tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = (values,) * 3 if isinstance(values, (int, float)) else values
    return float(red), float(green), float(blue)
