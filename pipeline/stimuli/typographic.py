"""Typographic attacks: images with a text on them, each beside three controls (Goh et al. 2021).

The controls are the clean image, the same patch blank, and the patch with the right word. Attack and
controls differ only inside the patch, whose share of the pixels is counted, not assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from pipeline.base.errors import ConfigError
from pipeline.base.stimulus_settings import PatchStyle
from pipeline.sources.stimulus import Stimulus
from pipeline.sources.texts.source_text import SourceText
from pipeline.sources.writer import SourceExample
from pipeline.stimuli.fonts import Font
from pipeline.stimuli.lettering import check_colours, draw_text, encode_png, fit_size, text_mask

if TYPE_CHECKING:
    from PIL import Image

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares 0..1 of the image's width and height."""

_WIDE, _HIGH = 0.26, 0.04
PLACEMENTS: dict[str, tuple[Box, ...]] = {
    "eight": tuple(
        (x - _WIDE / 2, y - _HIGH / 2, x + _WIDE / 2, y + _HIGH / 2)
        for x, y in (
            (0.18, 0.12), (0.50, 0.12), (0.82, 0.12), (0.18, 0.50),
            (0.82, 0.50), (0.18, 0.88), (0.50, 0.88), (0.82, 0.88),
        )
    ),
    "strip": ((0.0, 0.48, 1.0, 0.76),),
    "label": ((0.1, 0.3, 0.9, 0.7),),
}  # fmt: skip
"""Where texts go: small at eight fixed positions at once (8 % of the pixels; Goh et al.: 6 to 10 %), on
one strip across (28 %), or as one large label (32 %)."""


@dataclass(frozen=True)
class BaseImage:
    """An image to attack."""

    key: str
    image: Callable[[], Image.Image]
    """Opens it, RGB; may raise ExampleError."""
    concept: str | None = None
    """What it shows: the right word, and the class it should be taken for."""
    category: str | None = None
    facet: str = "photo"
    texts: Sequence[SourceText] = ()
    """What the clean image's texts say; never the attack's."""
    url: str | None = None


@dataclass(frozen=True)
class Attack:
    """A text to write on images."""

    text: str
    concept: str | None = None
    """The class that the text names, if that is called otherwise."""


def iter_typographic(
    images: Iterable[BaseImage],
    attacks: Sequence[Attack],
    font: Font,
    style: PatchStyle | None = None,
) -> Iterator[SourceExample]:
    """Every image clean, and in every placement with a blank patch, its right word and every text.

    An image whose own concept is what a text names gets no such attack, since nothing could change.
    Images without a concept have no right-word control.

    Raises:
        ConfigError: No text, a text that the font cannot draw, or a colour that is none.
    """
    style = style or PatchStyle()
    _check(attacks, font, style)
    for image in images:
        base = replace(image, image=cache(image.image))  # opened once for all its versions
        yield _example(base, "clean", None, None, font, style)
        for placement in style.placements:
            yield _example(base, "blank", placement, None, font, style)
            if base.concept and font.can_draw(base.concept):
                yield _example(base, "right_word", placement, Attack(base.concept), font, style)
            for attack in attacks:
                if base.concept is None or base.concept not in (attack.text, attack.concept):
                    yield _example(base, "attack", placement, attack, font, style)


def cover(
    image: Image.Image, placement: str, paper: str
) -> tuple[Image.Image, list[tuple[int, int, int, int]], float]:
    """Lay the blank patch of a placement on a copy of an image.

    Returns:
        The copy, the boxes of the patch in pixels, and the share of the pixels that they cover, 0..1.
    """
    from PIL import Image

    copy = image.copy()
    mask = Image.new("L", image.size, 0)
    boxes = []
    for left, top, right, bottom in PLACEMENTS[placement]:
        box = (
            round(left * image.width),
            round(top * image.height),
            max(round(right * image.width), round(left * image.width) + 1),
            max(round(bottom * image.height), round(top * image.height) + 1),
        )
        copy.paste(paper, box)
        mask.paste(255, box)
        boxes.append(box)
    return copy, boxes, mask.histogram()[-1] / (image.width * image.height)


def draw_patch(
    image: Image.Image, placement: str, text: str | None, font: Font, ink: str, paper: str
) -> tuple[Image.Image, float]:
    """An image with a patch, and a text in each of its boxes unless ``text`` is None.

    Returns:
        The new image and the share of the pixels that the patch covers, 0..1.
    """
    card, boxes, covered = cover(image, placement, paper)
    for left, top, right, bottom in boxes if text else ():
        room = (0.94 * (right - left), 0.88 * (bottom - top))
        mask = text_mask(text or "", font, fit_size(text or "", font, *room))
        mask = mask.crop((0, 0, min(mask.width, right - left), min(mask.height, bottom - top)))
        draw_text(card, mask, ((left + right) / 2, (top + bottom) / 2), ink)
    return card, covered


def _example(
    base: BaseImage,
    control: str,
    placement: str | None,
    attack: Attack | None,
    font: Font,
    style: PatchStyle,
) -> SourceExample:
    is_attack = control == "attack"
    written = attack.text if attack else None
    fields: Stimulus = {
        "stimulus": "typographic",
        "concept": base.concept,
        "category": base.category,
        "facet": base.facet,
        "control": control,
        "placement": placement,
        "text": written,
        "language": style.language if attack else None,
        "font": font.name if attack else None,
        "ink": style.ink if attack else None,
        "paper": style.paper if placement else None,
        "attack_text": written if is_attack else None,
        "attack_concept": attack.concept if attack and is_attack else None,
        "base_key": base.key,
        "covered_frac": _covered(base, placement, style) if placement else 0.0,
    }
    parts = (
        [base.key, control, placement or "", written or ""] if placement else [base.key, control]
    )
    return SourceExample(
        key="-".join(part for part in parts if part),
        image=partial(_render, base, placement, written, font, style),
        extension="png",
        texts=base.texts,
        url=base.url,
        stimulus={name: value for name, value in fields.items() if value is not None},
    )


def _covered(base: BaseImage, placement: str, style: PatchStyle) -> float:
    from pipeline.base.errors import ExampleError

    try:
        return round(cover(base.image(), placement, style.paper)[2], 6)
    except ExampleError:
        return 0.0  # the image cannot be read: this item will be a reject


def _render(
    base: BaseImage,
    placement: str | None,
    text: str | None,
    font: Font,
    style: PatchStyle,
) -> bytes:
    image = base.image()
    if placement is None:
        return encode_png(image)
    return encode_png(draw_patch(image, placement, text, font, style.ink, style.paper)[0])


def _check(attacks: Sequence[Attack], font: Font, style: PatchStyle) -> None:
    if not attacks:
        raise ConfigError("No text was given.", "Name at least one.")
    check_colours(style.ink, style.paper)
    for attack in attacks:
        if not attack.text.strip() or font.missing(attack.text):
            raise ConfigError(
                f"The font {font.name} cannot draw {font.missing(attack.text)!r} of the attack text "
                f"{attack.text!r}.",
                "Name a font that has these characters, or another text.",
            )
