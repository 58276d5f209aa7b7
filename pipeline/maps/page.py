"""The answer as one self-contained page."""

from __future__ import annotations

from pipeline.maps.draw import TITLES, describe_place
from pipeline.maps.panels import draw_panels
from pipeline.maps.where import Where
from pipeline.report.pages import render_page
from pipeline.report.thumbnails import Picture


def render_where(where: Where) -> str:
    """The page; it holds what the picture holds."""
    low, high = where.scale
    images = [
        (
            describe_place(place),
            [
                None if panel is None else Picture(0, panel, f"{title}: {place.text or place.name}")
                for title, panel in zip(TITLES, draw_panels(place, where.scale), strict=True)
            ],
        )
        for place in where.places
        if place.image is not None
    ]
    texts = [
        (
            place.name,
            [
                (token, float(value), number == place.map.peak)
                for number, (token, value) in enumerate(
                    zip(place.map.tokens, place.map.values, strict=True)
                )
            ],
        )
        for place in where.places
        if place.map.tokens
    ]
    return render_page(
        "where.html.j2",
        {
            "where": where,
            "titles": TITLES,
            "low": low,
            "high": high,
            "images": images,
            "texts": texts,
        },
    )
