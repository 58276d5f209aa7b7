"""Other forms of an image: edge map, line drawing and silhouette."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from PIL import Image

from pipeline.base.stimulus_settings import ImageForm
from pipeline.sources.writer import SourceExample
from pipeline.stimuli.lettering import encode_png
from pipeline.stimuli.typographic import BaseImage

PAPER_TOLERANCE = 24
"""Grey levels by which a pixel must differ from the paper (the corners' median) to be part of the thing."""


def edge_map(image: Image.Image) -> Image.Image:
    """Dark edges on white: the gradient of the grey image, RGB of the same size."""
    from PIL import ImageFilter, ImageOps

    edges = image.convert("L").filter(ImageFilter.FIND_EDGES)
    edges.paste(0, (0, 0, image.width, 1))  # the filter leaves the border as it was
    edges.paste(0, (0, image.height - 1, image.width, image.height))
    edges.paste(0, (0, 0, 1, image.height))
    edges.paste(0, (image.width - 1, 0, image.width, image.height))
    return ImageOps.invert(ImageOps.autocontrast(edges, cutoff=(0, 1))).convert("RGB")


def line_drawing(image: Image.Image) -> Image.Image:
    """Thin dark lines on white, from a photo or a drawing: a blurred difference, RGB, same size.

    The grey image is divided by its own blur, which keeps lines and loses shading, as a pencil does.
    """
    import numpy as np
    from PIL import ImageFilter

    grey = image.convert("L")
    soft = grey.filter(ImageFilter.GaussianBlur(max(1.0, min(image.size) / 60)))
    ratio = (np.asarray(grey, np.float32) + 1) / (np.asarray(soft, np.float32) + 1)
    lines = np.clip((ratio - 0.75) / 0.22, 0, 1) * 255
    return Image.fromarray(lines.round().astype(np.uint8)).convert("RGB")


def silhouette(image: Image.Image) -> Image.Image:
    """The thing in black on white: by its transparency if it has any, else by what differs from the paper.

    RGB of the same size. A photo without a plain ground gives whatever stands out from its corners.
    """
    import numpy as np

    if image.mode == "RGBA":
        inside = np.asarray(image)[..., 3] > 127
    else:
        pixels = np.asarray(image.convert("RGB"), np.int16)
        corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
        inside = np.abs(pixels - np.median(corners, axis=0)).max(-1) > PAPER_TOLERANCE
    shape = np.where(inside, 0, 255).astype(np.uint8)
    return Image.fromarray(shape).convert("RGB")


IMAGE_FORMS: dict[ImageForm, Callable[[Image.Image], Image.Image]] = {
    "line drawing": line_drawing,
    "edge map": edge_map,
    "silhouette": silhouette,
}
"""Facet -> how it is made of any image."""


def iter_forms(images: Iterable[BaseImage], forms: Sequence[ImageForm]) -> Iterator[SourceExample]:
    """Every image in other forms, with what it shows."""
    for base in images:
        for form in forms:
            fields = {
                "stimulus": "derived",
                "facet": form,
                "concept": base.concept,
                "category": base.category,
                "base_key": base.key,
            }
            yield SourceExample(
                key=f"{base.key}-{form.replace(' ', '-')}",
                image=partial(_redraw, base, form),
                extension="png",
                texts=base.texts,
                url=base.url,
                stimulus={name: value for name, value in fields.items() if value is not None},
            )


def _redraw(base: BaseImage, form: ImageForm) -> bytes:
    return encode_png(IMAGE_FORMS[form](base.image()))
