"""A dataset of stimuli from its settings: what the commands, the job files and the demo all make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from pipeline.base.errors import ConfigError
from pipeline.base.job_settings import StimuliConfig
from pipeline.base.progress import ProgressCallback
from pipeline.base.steps import Step
from pipeline.sources.ingest import ingest_items

if TYPE_CHECKING:
    from pipeline.sources.ingest import IngestSummary
    from pipeline.sources.writer import SourceExample


def stimuli_step(config: StimuliConfig) -> Step[IngestSummary]:
    """Make a dataset of stimuli, or what is left of it."""
    return Step("make stimuli", f"Shards of {config.dataset}", partial(make_stimuli, config))


def make_stimuli(config: StimuliConfig, progress: ProgressCallback | None = None) -> IngestSummary:
    """Turn stimuli into a registered dataset.

    Raises:
        ConfigError: No kind of stimuli is asked for, or one that cannot be had.
        NeuronsError: As `ingest_items`.
    """
    return ingest_items(config, "stimuli", iter_stimuli(config), progress)


def iter_stimuli(config: StimuliConfig) -> Iterator[SourceExample]:
    """Every stimulus, kind by kind, each drawn when its image is asked for.

    Raises:
        ConfigError: As `make_stimuli`.
    """
    makers: tuple[tuple[Any, Callable[..., Iterator[SourceExample]]], ...] = (
        (config.pictures, _pictures),
        (config.words, _words),
        (config.typographic, _typographic),
        (config.stroop, _stroop),
        (config.forms, _forms),
    )
    wanted = [make(options, config.warehouse) for options, make in makers if options is not None]
    if not wanted:
        raise ConfigError(
            f"The stimuli of {config.dataset!r} are of no kind.",
            "Add a table: [stimuli.pictures], words, typographic, stroop or forms.",
        )
    return chain.from_iterable(wanted)


# What draws each kind is imported when that kind is wanted: fonts and drawings are slow to load.


def _pictures(options: Any, warehouse: str) -> Iterator[SourceExample]:
    from pipeline.stimuli.pictures import iter_pictures

    return iter_pictures(options)


def _words(options: Any, warehouse: str) -> Iterator[SourceExample]:
    from pipeline.stimuli.words import choose_words, iter_words

    return iter_words(choose_words(options), options)


def _typographic(options: Any, warehouse: str) -> Iterator[SourceExample]:
    from pipeline.stimuli.base_images import iter_images
    from pipeline.stimuli.fonts import choose_fonts
    from pipeline.stimuli.typographic import Attack, iter_typographic

    found = (
        image
        for image in iter_images(options.images, warehouse)
        if not options.categories or image.category in options.categories
    )
    chosen = islice(found, options.limit or None)
    (font,) = choose_fonts(options.fonts, (options.font_name,))
    return iter_typographic(chosen, [Attack(text) for text in options.texts], font, options)


def _stroop(options: Any, warehouse: str) -> Iterator[SourceExample]:
    from pipeline.stimuli.fonts import choose_fonts
    from pipeline.stimuli.stroop import iter_stroop

    fonts = choose_fonts(options.fonts, options.font_names)
    return iter_stroop(fonts, paper=options.paper, size_px=options.size_px)


def _forms(options: Any, warehouse: str) -> Iterator[SourceExample]:
    from pipeline.stimuli.base_images import iter_images
    from pipeline.stimuli.forms import iter_forms

    return iter_forms(iter_images(options.images, warehouse), options.forms)
