"""A look told in the terminal, and as a picture and a page."""

from __future__ import annotations

from pathlib import Path

from pipeline.base.display import print_table, say
from pipeline.base.errors import ConfigError
from pipeline.base.outputs import new_file
from pipeline.base.question_settings import LookOptions
from pipeline.look import words
from pipeline.look.look import Look, look_at
from pipeline.warehouse.layer_axes import say_strength

NEURON_COLUMNS = ("unit", "strength", "activation", "record", "row", "column", "label", "support")


def tell_look(
    warehouse: str, image: str, options: LookOptions, png: Path | None, html: Path | None
) -> None:
    """Look at an image, print what was seen, and draw it if asked.

    Args:
        warehouse: Folder or URL.
        image: The file; ``-`` reads standard input.
        options: What is asked.
        png: Where the picture goes.
        html: Where the page goes.

    Raises:
        NeuronsError: As of `look.look_at`; or a name has another suffix.
    """
    for out, suffix in ((png, ".png"), (html, ".html")):
        if out is not None and out.suffix.lower() != suffix:
            raise ConfigError(f"{str(out)!r} is not named {suffix}.", "Name it so.")
    look = look_at(warehouse, image, options)
    _print(look)
    if png is not None:
        from pipeline.look.draw import draw_look

        picture = draw_look(look)
        with new_file(png) as file:
            picture.save(file, "PNG", optimize=True)
        say(f"Picture: {png}")
    if html is not None:
        from pipeline.look.page import render_look

        page = render_look(look)
        with new_file(html) as file:
            file.write_text(page, encoding="utf-8")
        say(f"Page: {html}")


def _print(look: Look) -> None:
    say(look.name, words.describe_run(look), *words.list_notes(look), "")
    say(f"What the model takes it for, of {look.chosen_from}:")
    print_table(("class", "probability"), iter(look.answers))
    head, *lines = words.describe_suspicion(look.suspicion)
    say("", head, *(f"  {line}" for line in lines))
    for found in look.layers:
        say("", found.layer.name, words.describe_layer(found).partition(";")[0])
        rows = (
            (
                one.unit,
                say_strength(one.strength, one.axis),
                one.activation,
                "yes" * one.is_beyond,
                *((None, None) if one.map is None else one.map.cell or (None, None)),
                one.label,
                one.support,
            )
            for one in found.neurons
        )
        if found.neurons:
            print_table(NEURON_COLUMNS, rows)
