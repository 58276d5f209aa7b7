"""The commands ``neurons stimuli ...``: controlled stimuli become a dataset like any other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.base.display import say
from pipeline.base.errors import ConfigError
from pipeline.base.progress import choose_progress
from pipeline.base.settings import IngestConfig
from pipeline.cli.options import DatasetName, Warehouse, examples, field_option

if TYPE_CHECKING:
    from pipeline.sources.writer import SourceExample
    from pipeline.stimuli.fonts import Font

stimuli = typer.Typer(
    name="stimuli",
    help="Make images whose concept, facet, language and font are known, as a dataset.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ShardSize = Annotated[int, field_option(IngestConfig, "shard_size")]
SizePx = Annotated[int, typer.Option(help="Width and height of an image in pixels.")]
Fonts = Annotated[
    list[str],
    typer.Option("--font", help="Font file, folder, or package that brings fonts; several."),
]
FontNames = Annotated[
    list[str], typer.Option("--font-name", help="Only fonts of this name; several.")
]
Images = Annotated[
    str, typer.Argument(help="Folder of images, dataset:NAME, openmoji or openmoji-black.")
]
NOTO = ["manimgx_fonts"]


@stimuli.command(
    epilog=examples(
        "neurons stimuli pictures --dataset pictures --form silhouette --warehouse warehouse"
    )
)
def pictures(
    warehouse: Warehouse,
    dataset: DatasetName,
    drawing_set: Annotated[
        list[str],
        typer.Option("--set", help="openmoji, openmoji-black, noto-emoji-glyphs, or a folder."),
    ] = ["openmoji"],  # noqa: B006  # typer copies it
    form: Annotated[
        list[str], typer.Option("--form", help="drawing, edge map or silhouette; several.")
    ] = ["drawing"],  # noqa: B006
    category: Annotated[
        list[str], typer.Option("--category", help="Only concepts of this category; several.")
    ] = [],  # noqa: B006
    size_px: SizePx = 160,
    shard_size: ShardSize = IngestConfig.shard_size,
) -> None:
    """Concepts drawn in different sets, and as edge maps and silhouettes."""
    from pipeline.stimuli.pictures import PictureOptions, iter_pictures

    options = PictureOptions(
        tuple(drawing_set), tuple(form), size_px=size_px, categories=tuple(category)
    )
    _ingest(warehouse, dataset, shard_size, iter_pictures(options))


@stimuli.command(
    epilog=examples("neurons stimuli words --dataset words --list words.txt --warehouse warehouse")
)
def words(
    warehouse: Warehouse,
    dataset: DatasetName,
    word_list: Annotated[
        str, typer.Option("--list", help="One word a line, or a CSV; else nano's concepts.")
    ] = "",
    language: Annotated[
        list[str], typer.Option("--language", help="Of nano's concepts: en, es, fr, de; several.")
    ] = ["en"],  # noqa: B006
    font: Fonts = NOTO,
    font_name: FontNames = [],  # noqa: B006
    fonts_per_word: Annotated[int, typer.Option(help="In how many fonts each is written.")] = 1,
    placement: Annotated[
        str, typer.Option(help="centre, anywhere, top-left, top, ..., bottom-right.")
    ] = "centre",
    size_frac: Annotated[
        tuple[float, float] | None, typer.Option(help="Share of the card: least and most, 0..1.")
    ] = None,
    ink: Annotated[list[str], typer.Option("--ink", help="Colour #rrggbb; several.")] = ["#000000"],  # noqa: B006
    paper: Annotated[list[str], typer.Option("--paper", help="Colour #rrggbb; several.")] = [  # noqa: B006
        "#ffffff"
    ],
    rotation_deg: Annotated[float, typer.Option(help="Turned by at most this, either way.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    size_px: SizePx = 160,
    max_reject_frac: Annotated[
        float, field_option(IngestConfig, "max_reject_frac")
    ] = IngestConfig.max_reject_frac,
    shard_size: ShardSize = IngestConfig.shard_size,
) -> None:
    """Any words in any fonts. A word that a font cannot draw is rejected, never drawn as boxes."""
    from pipeline.stimuli.words import WordOptions, concept_words, iter_words, read_words

    chosen = read_words(word_list) if word_list else concept_words(language)
    options = WordOptions(
        fonts=tuple(font),
        font_names=tuple(font_name),
        fonts_per_word=fonts_per_word,
        size_px=size_px,
        placement=placement,
        size_frac=size_frac,
        inks=tuple(ink),
        papers=tuple(paper),
        max_rotation_deg=rotation_deg,
        seed=seed,
    )
    _ingest(warehouse, dataset, shard_size, iter_words(chosen, options), max_reject_frac)


@stimuli.command(
    epilog=examples(
        "neurons stimuli typographic photos/ --text pizza --dataset attacked --warehouse warehouse"
    )
)
def typographic(
    images: Images,
    warehouse: Warehouse,
    dataset: DatasetName,
    text: Annotated[list[str], typer.Option("--text", help="What to write on them; several.")],
    placement: Annotated[
        list[str], typer.Option("--placement", help="eight, strip or label; several.")
    ] = ["eight", "strip", "label"],  # noqa: B006
    font: Fonts = NOTO,
    font_name: Annotated[str, typer.Option(help="The font's name.")] = "NotoSans",
    limit: Annotated[int, typer.Option(min=0, help="At most this many images; 0 takes all.")] = 0,
    shard_size: ShardSize = IngestConfig.shard_size,
) -> None:
    """Images with texts on them, each beside the clean image, a blank patch and the right word."""
    from itertools import islice

    from pipeline.stimuli.base_images import iter_images
    from pipeline.stimuli.typographic import Attack, TypographicOptions, iter_typographic

    chosen = islice(iter_images(images, warehouse), limit or None)
    items = iter_typographic(
        chosen,
        [Attack(one) for one in text],
        _one_font(font, font_name),
        TypographicOptions(tuple(placement)),
    )
    _ingest(warehouse, dataset, shard_size, items)


@stimuli.command(epilog=examples("neurons stimuli stroop --dataset colours --warehouse warehouse"))
def stroop(
    warehouse: Warehouse,
    dataset: DatasetName,
    font: Fonts = NOTO,
    font_name: Annotated[str, typer.Option(help="The font's name.")] = "NotoSans",
    size_px: SizePx = 160,
    shard_size: ShardSize = IngestConfig.shard_size,
) -> None:
    """Colour words in inks, with neutral and congruent cards."""
    from pipeline.stimuli.stroop import iter_stroop

    items = iter_stroop((_one_font(font, font_name),), size_px=size_px)
    _ingest(warehouse, dataset, shard_size, items)


@stimuli.command(
    epilog=examples("neurons stimuli forms photos/ --dataset shapes --warehouse warehouse")
)
def forms(
    images: Images,
    warehouse: Warehouse,
    dataset: DatasetName,
    form: Annotated[
        list[str], typer.Option("--form", help="line drawing, edge map or silhouette; several.")
    ] = ["line drawing", "silhouette"],  # noqa: B006
    shard_size: ShardSize = IngestConfig.shard_size,
) -> None:
    """Line drawings, edge maps and silhouettes made of any images."""
    from pipeline.stimuli.base_images import iter_images
    from pipeline.stimuli.forms import iter_forms

    _ingest(warehouse, dataset, shard_size, iter_forms(iter_images(images, warehouse), form))


def _one_font(places: list[str], name: str) -> Font:
    from pipeline.stimuli.fonts import find_fonts

    found = find_fonts(places)
    named = [font for font in found if font.name == name]
    if len(found) == 1 and not named:
        return found[0]
    if not named:
        raise ConfigError(
            f"There is no font {name!r} in {', '.join(places)}.",
            f"There are: {', '.join(font.name for font in found[:20])}. Name one with --font-name.",
        )
    return named[0]


def _ingest(
    warehouse: str,
    dataset: str,
    shard_size: int,
    items: Iterable[SourceExample],
    max_reject_frac: float = IngestConfig.max_reject_frac,
) -> None:
    from pipeline.sources.ingest import ingest_items

    config = IngestConfig(warehouse, dataset, max_reject_frac, shard_size)
    done = ingest_items(config, "stimuli", items, choose_progress())
    say(
        f"{done.dataset}: {done.shard_count} shards, {done.read_count} read = "
        f"{done.written_count} written + {done.rejected_count} rejected; "
        f"{done.duplicate_count} repeated images"
    )
