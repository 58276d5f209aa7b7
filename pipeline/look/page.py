"""The answer as one self-contained page; it holds what the picture holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from pipeline.look import words
from pipeline.look.draw import IMAGE_PX, REGION_PX
from pipeline.look.look import Look
from pipeline.look.overlay import draw_map, draw_region, shrink
from pipeline.report.figures import draw_bars
from pipeline.report.pages import render_page
from pipeline.report.svg import draw_svg
from pipeline.report.thumbnails import THUMBNAIL_PX, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL import Image

_WIDTH_PX, _BAR_PX = 380, 27


def render_look(look: Look) -> str:
    """The page."""
    layers = [
        (
            found,
            [
                (
                    neuron,
                    words.describe_neuron(neuron),
                    _picture(
                        draw_map(look.seen, neuron, THUMBNAIL_PX), f"map of unit {neuron.unit}"
                    ),
                    [look.pictures[i] for i in neuron.example_ids],
                )
                for neuron in found.neurons
            ],
            [look.pictures[i] for i in found.alike],
        )
        for found in look.layers
    ]
    return render_page(
        "look.html.j2",
        {
            "look": look,
            "words": words,
            "image": _picture(shrink(look.seen.image, 2 * IMAGE_PX), look.name),
            "answers": _bars(look),
            "suspicion": words.describe_suspicion(look.suspicion),
            "regions": [
                _picture(image, title) for image, title in draw_region(look, 2 * REGION_PX)
            ],
            "layers": layers,
        },
    )


def _bars(look: Look) -> Markup:
    names, values = zip(*look.answers, strict=True)

    def draw(axes: Axes) -> None:
        draw_bars(axes, names, values, list(map(words.describe_share, values)))
        axes.set_xlim(0, 1)

    height = _BAR_PX * len(look.answers) + 8
    return Markup(draw_svg(_WIDTH_PX, height, (120, 50, 4, 4), draw))


def _picture(image: Image.Image | None, name: str) -> Picture | None:
    return None if image is None else Picture(0, image, name)
