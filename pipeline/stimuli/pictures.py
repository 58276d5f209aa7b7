"""Pictures: concepts drawn in different sets, and the same drawings as edge maps and silhouettes."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pipeline.base.errors import ConfigError
from pipeline.base.stimulus_settings import DrawingForm, PictureOptions
from pipeline.nano.concepts import NanoConcept, load_concepts
from pipeline.sources.texts.source_text import make_text
from pipeline.sources.writer import SourceExample
from pipeline.stimuli.drawings import (
    Draw,
    DrawingSet,
    load_folder,
    load_glyphs,
    load_openmoji,
    plain_emoji,
)
from pipeline.stimuli.forms import edge_map, silhouette
from pipeline.stimuli.lettering import encode_png

if TYPE_CHECKING:
    from PIL import Image

FORMS: tuple[DrawingForm, ...] = get_args(DrawingForm)
"""What is made of each drawing."""
PACKAGE_SETS = ("openmoji", "openmoji-black", "noto-emoji-glyphs")
"""Sets that need nothing else; any other name is a folder."""
COLOURED = ("color", "region")
"""Categories that only colour tells apart: they have no line drawing, edge map or silhouette."""
SAME_OUTLINE = ("emotion", "counting")
"""Categories whose drawings all have one outline, a face or a key: they have no silhouette."""


def iter_pictures(options: PictureOptions | None = None) -> Iterator[SourceExample]:
    """Every concept of nano's list in every set and form that shows it, one set after another.

    Yields:
        One example per picture, drawn when its image is asked for; its texts are the concept's names.

    Raises:
        ConfigError: There is no such category.
        SourceError: A folder holds no drawing.
    """
    options = options or PictureOptions()
    _check(options)
    concepts = [
        c for c in load_concepts() if not options.categories or c.category in options.categories
    ]
    for drawing_set in map(load_set, options.sets):
        for form in options.forms:
            if form != "drawing" and drawing_set.facet == "line drawing":
                continue
            yield from _one_form(drawing_set, form, concepts, options)


def open_picture(item: SourceExample) -> Image.Image:
    """The image of an example that :func:`iter_pictures` gave, RGB."""
    from PIL import Image

    data = item.image if isinstance(item.image, bytes) else item.image()
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def load_set(name: str) -> DrawingSet:
    """A set of an installed package by its name, or a folder.

    Raises:
        SourceError: There is no such folder, or it holds no drawing.
    """
    if name in ("openmoji", "openmoji-black"):
        return load_openmoji("black" if name.endswith("black") else "color")
    if name == "noto-emoji-glyphs":
        return load_glyphs()
    return load_folder(Path(os.path.expanduser(name)))  # noqa: PTH111


def _one_form(
    drawing_set: DrawingSet, form: str, concepts: Sequence[NanoConcept], options: PictureOptions
) -> Iterator[SourceExample]:
    facet = drawing_set.facet if form == "drawing" else form
    has_colour = facet not in ("line drawing", "edge map", "silhouette")
    for concept in concepts:
        if concept.category in COLOURED and not has_colour:
            continue
        if concept.category in SAME_OUTLINE and facet == "silhouette":
            continue
        for emoji in concept.emoji:
            draw = drawing_set.drawings.get(plain_emoji(emoji))
            if draw is None:
                continue
            code = "-".join(f"{ord(c):x}" for c in plain_emoji(emoji))
            yield SourceExample(
                key=f"{drawing_set.name}/{form.replace(' ', '-')}/{code}",
                image=partial(_render, draw, form, options.size_px),
                extension="png",
                texts=[make_text(concept.words[lang], lang) for lang in options.languages],
                url=f"stimulus:{drawing_set.name}:{code}",
                stimulus={
                    "stimulus": "picture" if form == "drawing" else "derived",
                    "concept": concept.concept,
                    "category": concept.category,
                    "facet": facet,
                    "drawing_set": drawing_set.name,
                },
            )


def _render(draw: Draw, form: str, size_px: int) -> bytes:
    rgba = draw(size_px)
    return encode_png(silhouette(rgba) if form == "silhouette" else _on_white(rgba, form))


def _on_white(rgba: Image.Image, form: str) -> Image.Image:
    from PIL import Image

    card = Image.new("RGB", rgba.size, "#ffffff")
    card.paste(rgba, (0, 0), rgba)
    return edge_map(card) if form == "edge map" else card


def _check(options: PictureOptions) -> None:
    known = tuple(dict.fromkeys(concept.category for concept in load_concepts()))
    for category in options.categories:
        if category not in known:
            raise ConfigError(
                f"There are no pictures of the category {category!r}.",
                f"Choose from: {', '.join(known)}.",
            )
