"""Batches of images: drawings and words from the atlas, placed, coloured and disturbed at random.

Everything is a few operations on whole batches, so that two cores feed the model that they train.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from pipeline.train.atlas import WORD_HEIGHT_PX, WORD_WIDTH_PX, PictureAtlas, WordAtlas

PICTURE, WORD, SIGN = 0, 1, 2
"""Kinds of image: a drawing; a word on a card; a word on a strip over a drawing of something else."""
KIND_SHARES = (0.52, 0.30, 0.18)
OVERSAMPLING = 2
"""Words are placed on a canvas this much finer and averaged down, as a renderer would."""


@dataclass(frozen=True)
class Batch:
    """Images and what they show."""

    images: torch.Tensor
    """float32 ``[B, 3, S, S]`` in 0..1, not normalised."""
    concept: torch.Tensor
    """int64 ``[B]``, each concept at most once."""
    kind: torch.Tensor
    """int64 ``[B]``: PICTURE, WORD or SIGN."""
    language: torch.Tensor
    """int64 ``[B]``: of the word; -1 for a picture."""
    facet: list[str]
    """Form of each image: a facet of a drawing set, edge map, silhouette or rendered word."""


class Composer:
    """Draws batches from the two atlases; its generator's state can be saved and restored."""

    def __init__(
        self,
        pictures: PictureAtlas,
        words: WordAtlas,
        keeps_colour: torch.Tensor,
        size_px: int,
        seed: int,
    ) -> None:
        """Take the atlases; ``keeps_colour`` (bool ``[C]``) tells the concepts that colour defines."""
        self.pictures, self.words = pictures, words
        self.concept_count, self.size_px = len(keeps_colour), size_px
        self.generator = torch.Generator().manual_seed(seed)
        self._keeps_colour = keeps_colour
        self._by_concept = [
            torch.nonzero(pictures.concept == c).flatten() for c in range(self.concept_count)
        ]
        self._words_of = [
            torch.nonzero(words.concept == c).flatten() for c in range(self.concept_count)
        ]

    def draw(self, size: int, strength: float) -> Batch:
        """A batch of ``size`` different concepts; ``strength`` 0..1 scales every disturbance."""
        concept = torch.randperm(self.concept_count, generator=self.generator)[:size]
        shares = torch.tensor(KIND_SHARES)
        kind = torch.multinomial(shares, size, replacement=True, generator=self.generator)
        picture_rows = self._pick(self._by_concept, concept)
        word_rows = self._pick(self._words_of, concept)
        other = torch.randint(len(self.pictures.concept), (size,), generator=self.generator)
        is_picture = kind == PICTURE
        drawn = torch.where(is_picture, picture_rows, other)
        images, derived = self._draw_pictures(drawn, is_picture, strength)
        written = torch.nonzero(~is_picture).flatten()
        if len(written):
            cards = self._papers(len(written), strength)
            is_sign = (kind[written] == SIGN)[:, None, None, None]
            base = torch.where(is_sign, images[written], cards)
            images[written] = self._write(base, word_rows[written], kind[written] == SIGN, strength)
        images = self._disturb(images, is_picture, strength)
        facets = [
            derived.get(i) or self.pictures.facets[int(self.pictures.drawing_set[drawn[i]])]
            if bool(is_picture[i])
            else "rendered word"
            for i in range(size)
        ]
        language = torch.where(is_picture, -1, self.words.language[word_rows])
        return Batch(images, concept, kind, language, facets)

    def _pick(self, rows: list[torch.Tensor], concept: torch.Tensor) -> torch.Tensor:
        draws = torch.rand(len(concept), generator=self.generator)
        picked = [
            rows[c][int(draw * len(rows[c]))]
            for c, draw in zip(concept.tolist(), draws.tolist(), strict=True)
        ]
        return torch.stack(picked)

    def _rand(self, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=self.generator)

    def _draw_pictures(
        self, rows: torch.Tensor, is_picture: torch.Tensor, strength: float
    ) -> tuple[torch.Tensor, dict[int, str]]:
        """Place drawings on papers; some become edge maps or silhouettes (index -> facet)."""
        count = len(rows)
        rgba = self.pictures.pixels[rows].float() / 255
        scale = 0.95 + (self._rand(count) - 0.45) * 0.55 * strength
        angle = (self._rand(count) - 0.5) * 0.5 * strength
        squeeze = 1 + (self._rand(count) - 0.5) * 0.4 * strength
        shift = (self._rand(count, 2) - 0.5) * 0.5 * strength
        theta = torch.zeros(count, 2, 3)
        theta[:, 0, 0] = angle.cos() / scale * squeeze
        theta[:, 0, 1] = -angle.sin() / scale
        theta[:, 1, 0] = angle.sin() / scale
        theta[:, 1, 1] = angle.cos() / scale / squeeze
        theta[:, :, 2] = shift
        grid = functional.affine_grid(theta, [count, 4, self.size_px, self.size_px], False)
        placed = functional.grid_sample(rgba, grid, "bilinear", "zeros", False)
        colour, alpha = placed[:, :3], placed[:, 3:]
        grey_share = 0.12 * strength
        is_grey = (self._rand(count) < grey_share)[:, None, None, None]
        grey = (colour * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
        keeps_colour = self._keeps_colour[self.pictures.concept[rows]][:, None, None, None]
        colour = torch.where(is_grey & ~keeps_colour, grey.expand_as(colour), colour)
        images = colour + (1 - alpha) * self._papers(count, strength)
        derived: dict[int, str] = {}
        forms = self._rand(count)
        chosen = torch.nonzero(is_picture & ~keeps_colour.flatten() & (forms < 0.12)).flatten()
        for facet, low, high in (("edge map", 0.0, 0.09), ("silhouette", 0.09, 0.12)):
            some = chosen[(forms[chosen] >= low) & (forms[chosen] < high)]
            if not len(some):
                continue
            if facet == "edge map":
                solid = grey[some] + (1 - alpha[some])
                across = solid[..., :, 1:] - solid[..., :, :-1]
                down = solid[..., 1:, :] - solid[..., :-1, :]
                edges = (
                    functional.pad(across, (0, 1)).abs() + functional.pad(down, (0, 0, 0, 1)).abs()
                )
                form = (1 - 2.5 * edges).clamp(0, 1).expand(-1, 3, -1, -1)
            else:
                form = (1 - alpha[some]).expand(-1, 3, -1, -1)
            images[some] = form
            derived.update(dict.fromkeys(some.tolist(), facet))
        return images, derived

    def _papers(self, count: int, strength: float) -> torch.Tensor:
        """Backgrounds ``[count, 3, S, S]``: white, plain colours, slow gradients."""
        size = self.size_px
        plain = self._rand(count, 3, 1, 1)
        corners = self._rand(count, 3, 2, 2)
        slow = functional.interpolate(corners, (size, size), mode="bilinear", align_corners=True)
        choice = self._rand(count)[:, None, None, None]
        papers = torch.where(choice < 0.3 * strength, plain.expand(-1, -1, size, size), 1.0)
        return torch.where(choice > 1 - 0.25 * strength, slow, papers)

    def _write(
        self, base: torch.Tensor, rows: torch.Tensor, is_sign: torch.Tensor, strength: float
    ) -> torch.Tensor:
        """Write words: on signs over a strip of paper, on cards straight on them."""
        count, size = len(rows), self.size_px
        width_px, height_px = self.words.width_px[rows], self.words.height_px[rows]
        share = 0.92 - self._rand(count) * 0.55 * strength  # of the frame's width
        drawn_width = share * size
        drawn_width = torch.minimum(drawn_width, 0.5 * size * width_px / height_px)
        pixel = drawn_width / width_px  # frame pixels an atlas pixel
        drawn_height = pixel * height_px
        room_x = (size - drawn_width).clamp(min=0) / 2
        room_y = (size - drawn_height).clamp(min=0) / 2
        reach = min(1.0, 0.15 + strength)
        centre_x = size / 2 + (2 * self._rand(count) - 1) * room_x * reach
        centre_y = size / 2 + (2 * self._rand(count) - 1) * room_y * reach
        angle = (self._rand(count) - 0.5) * 0.5 * strength * (~is_sign).float()
        fine = size * OVERSAMPLING
        theta = torch.zeros(count, 2, 3)
        # Output coordinates are -1..1 over the frame, input ones -1..1 over the word's box.
        to_x, to_y = size / (pixel * WORD_WIDTH_PX), size / (pixel * WORD_HEIGHT_PX)
        off_x, off_y = 2 * centre_x / size - 1, 2 * centre_y / size - 1
        middle_x = width_px / WORD_WIDTH_PX - 1  # the ink's middle inside its box
        cos, sin = angle.cos(), angle.sin()
        theta[:, 0, 0], theta[:, 0, 1] = to_x * cos, to_x * sin
        theta[:, 1, 0], theta[:, 1, 1] = -to_y * sin, to_y * cos
        theta[:, 0, 2] = middle_x - to_x * (cos * off_x + sin * off_y)
        theta[:, 1, 2] = to_y * (sin * off_x - cos * off_y)
        grid = functional.affine_grid(theta, [count, 1, fine, fine], False)
        ink = self.words.ink[rows].float()[:, None] / 255
        mask = functional.grid_sample(ink, grid, "bilinear", "zeros", False)
        mask = functional.avg_pool2d(mask, OVERSAMPLING)
        ys = torch.arange(size)[None, :] + 0.5
        margin = 1 + self._rand(count) * 4
        in_y = (ys - centre_y[:, None]).abs() <= (drawn_height / 2 + margin)[:, None]
        wide = torch.where(
            self._rand(count) < 0.6, torch.full((count,), 1e3), drawn_width / 2 + margin
        )
        in_x = (ys - centre_x[:, None]).abs() <= wide[:, None]
        strip = (in_y[:, :, None] & in_x[:, None, :] & is_sign[:, None, None])[:, None]
        is_plain = (self._rand(count) > 0.55 * strength)[:, None, None, None]
        paper = torch.where(is_plain, torch.ones(count, 3, 1, 1), self._rand(count, 3, 1, 1))
        images = torch.where(strip, paper, base)
        weight = mask.clamp(min=1e-4)
        seen = (torch.where(strip, paper, images) * weight).sum((2, 3)) / weight.sum((2, 3))
        luminance = (seen * torch.tensor([0.299, 0.587, 0.114])).sum(1)[:, None, None, None]
        hue = self._rand(count, 3, 1, 1)
        dark, light = hue * 0.35 * strength, 1 - hue * 0.3 * strength
        colour = torch.where(luminance > 0.5, dark, light)
        return images * (1 - mask) + colour * mask

    def _disturb(
        self, images: torch.Tensor, may_cover: torch.Tensor, strength: float
    ) -> torch.Tensor:
        """Blank patches, contrast, brightness, blur and noise, each on some images."""
        count, size = len(images), self.size_px
        ys = torch.arange(size)[None, :]
        height = 8 + self._rand(count) * 10
        top = self._rand(count) * (size - height)
        rows = (ys >= top[:, None]) & (ys < (top + height)[:, None])
        left = (self._rand(count) - 0.4).clamp(min=0) * size
        columns = (ys >= left[:, None]) & (
            ys < (left + (0.4 + 0.6 * self._rand(count)) * size)[:, None]
        )
        wanted = (self._rand(count) < 0.15 * strength) & may_cover
        patch = (rows[:, :, None] & columns[:, None, :] & wanted[:, None, None])[:, None]
        paper = torch.where(self._rand(count, 1, 1, 1) < 0.6, 1.0, self._rand(count, 3, 1, 1))
        images = torch.where(patch, paper, images)
        gain = 1 + (self._rand(count, 1, 1, 1) - 0.6) * 0.5 * strength
        lift = (self._rand(count, 1, 1, 1) - 0.5) * 0.2 * strength
        images = (images - 0.5) * gain + 0.5 + lift
        soft = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), "replicate"), 3, 1)
        is_soft = self._rand(count, 1, 1, 1) < 0.12 * strength
        images = torch.where(is_soft, soft, images)
        noisy = torch.nonzero(self._rand(count) < 0.15).flatten()
        noise = torch.randn(len(noisy), *images.shape[1:], generator=self.generator)
        images[noisy] += noise * 0.05 * strength * self._rand(len(noisy), 1, 1, 1)
        return images.clamp(0, 1)
