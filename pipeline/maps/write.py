"""The door: a neuron's places told in the terminal, and as a picture or a page."""

from __future__ import annotations

from pathlib import Path

from pipeline.base.display import print_table, say
from pipeline.base.errors import ConfigError
from pipeline.base.outputs import new_file
from pipeline.base.question_settings import WhereOptions
from pipeline.maps.where import IMAGE_COLUMNS, Place, find_where, table_rows
from pipeline.warehouse.find import NamedNeuron


def tell_where(warehouse: str, named: NamedNeuron, options: WhereOptions, out: Path | None) -> None:
    """Print where a neuron answers, and draw it if asked.

    Args:
        warehouse: Folder or URL.
        named: The neuron.
        options: What it is mapped over.
        out: A ``.png`` or an ``.html``; None draws nothing.

    Raises:
        NeuronsError: As of `where.find_where`; or the suffix is another one.
    """
    if out is not None and out.suffix.lower() not in (".png", ".html"):
        raise ConfigError(f"{str(out)!r} is neither .png nor .html.", "Name it so.")
    where = find_where(warehouse, named, options)
    say(where.title, where.label)
    if where.is_random:
        say("The weights are random: nothing here was learned.")
    for place in where.places if where.places and where.places[0].map.tokens else ():
        say(_tell_tokens(place))
    if where.places and not where.places[0].map.tokens:
        print_table(IMAGE_COLUMNS, iter(table_rows(where.places)), limit=None)
    if not where.places:
        say(
            "No example: its activation is never on that side of zero, or the run has no image yet."
        )
    if out is None:
        return
    if out.suffix.lower() == ".png":
        from pipeline.maps.draw import draw_where

        picture = draw_where(where)
        with new_file(out) as file:
            picture.save(file, "PNG", optimize=True)
    else:
        from pipeline.maps.page import render_where

        page = render_where(where)
        with new_file(out) as file:
            file.write_text(page, encoding="utf-8")
    say(f"Picture: {out}")


def _tell_tokens(place: Place) -> str:
    """A text's tokens with their activations; the largest in brackets."""
    peak = place.map.peak
    told = (
        f"[{token} {value:.3g}]" if number == peak else f"{token} {value:.3g}"
        for number, (token, value) in enumerate(
            zip(place.map.tokens, place.map.values, strict=True)
        )
    )
    return f"{place.name}:  " + "  ".join(told)
