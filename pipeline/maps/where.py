"""Where a neuron answers: ``neurons where``. Its examples, or a picture or text of one's own, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from pipeline.base.errors import ConfigError
from pipeline.base.question_settings import WhereOptions
from pipeline.base.storage import Store
from pipeline.clip.hooks import Layer
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import Clip, load_clip
from pipeline.evidence.texts import load_run_model
from pipeline.maps.compute import ActivationMap, Floats, map_images, map_texts, require_map
from pipeline.maps.seen import see_image
from pipeline.tables.datasets import run_folder
from pipeline.tables.runs import named_model, read_run
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import NamedNeuron, Neuron, find_neuron
from pipeline.warehouse.images import find_places, read_image, read_primary_texts
from pipeline.warehouse.stale import tell_stale, why_stale
from pipeline.warehouse.support import mark_unsupported

if TYPE_CHECKING:
    import duckdb

_EXAMPLES = """
    select example_rank, example_id, activation_sd, shard_key
    from top_examples
    inner join examples using (dataset, example_id)
    where
        dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
        and polarity = $polarity and example_rank <= $count
    order by example_rank
"""


@dataclass(frozen=True)
class Place:
    """Where a neuron answers to one image or text."""

    name: str
    """Which: its rank and key, or the file."""
    text: str
    """Its primary text, or the text that was mapped; may be empty."""
    map: ActivationMap
    """Of the neuron alone."""
    image: Image.Image | None = None
    """What the model saw of it, in the image's own resolution, RGB; None for a text."""
    box: tuple[float, float, float, float] | None = None
    """Left, top, right and bottom of that in the whole image, as shares of it; beyond 0..1 is padding."""
    example_id: int | None = None

    @property
    def seen_frac(self) -> tuple[float, float] | None:
        """x and y of the middle of the peak's cell, in what the model saw."""
        if self.map.cell is None or self.map.layer.grid is None:
            return None
        (row, column), (rows, columns) = self.map.cell, self.map.layer.grid
        return (column + 0.5) / columns, (row + 0.5) / rows

    @property
    def image_frac(self) -> tuple[float, float] | None:
        """The same in the whole image."""
        if self.seen_frac is None or self.box is None:
            return None
        (x, y), (left, top, right, bottom) = self.seen_frac, self.box
        return left + x * (right - left), top + y * (bottom - top)


@dataclass(frozen=True)
class Where:
    """The answer."""

    neuron: Neuron
    title: str
    label: str
    places: tuple[Place, ...]
    is_random: bool
    """The weights are noise."""

    @property
    def scale(self) -> tuple[float, float]:
        """What the first and the last colour stand for, in model units: one scale for all that is shown.

        It begins at zero, so that inhibited places have no colour; below it where all activations are.
        """
        values = [float(v) for place in self.places for v in _shown_values(place)]
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        return (0.0, high) if high > 0 else (low, high)


def _shown_values(place: Place) -> tuple[float, float]:
    values = place.map.values if place.map.grid is None else place.map.grid
    return float(values.min()), float(values.max())


class _Source(NamedTuple):
    name: str
    text: str
    data: bytes
    example_id: int | None = None


def find_where(warehouse: str, named: NamedNeuron, options: WhereOptions) -> Where:
    """Map a neuron over its strongest examples, or over a picture or text that is given.

    Args:
        warehouse: Folder or URL.
        named: The neuron.
        options: What it is mapped over.

    Raises:
        ConfigError: Both an image and a text, or one that its tower does not read; or no image.
        HookError: Its layer has no places.
        WarehouseError: No such neuron; or a tar is gone.
        ModelError: The run's model cannot be loaded.
    """
    store = Store(warehouse)
    with connect(warehouse) as connection:
        tell_stale(connection, ("top_examples",))
        neuron = find_neuron(connection, *named)
        run = read_run(store, run_folder(neuron.dataset, neuron.run_id))
        clip = load_run_model(options.model or named_model(run), run["identity"], options.device)
        (layer,) = resolve_layers(clip, (neuron.layer,))
        require_map(layer)
        _refuse_the_other_tower(layer.tower, options)
        is_text = layer.tower == "text"
        sources = _own(options) or _read_examples(connection, store, neuron, options, is_text)
        label = _describe_label(connection, neuron)
    if is_text:
        maps = map_texts(clip, layer, [s.text for s in sources]) if sources else []
        places = [
            Place(s.name, s.text, one.of_unit(neuron.unit), example_id=s.example_id)
            for s, one in zip(sources, maps, strict=True)
        ]
    else:
        is_exact = run["identity"]["preprocess"] == "exact"
        places = [_place(clip, layer, neuron.unit, source, is_exact) for source in sources]
    title = f"{neuron.layer}  unit {neuron.unit}"
    return Where(neuron, title, label, tuple(places), clip.is_random)


def _refuse_the_other_tower(tower: str, options: WhereOptions) -> None:
    if options.image is not None and options.text is not None:
        raise ConfigError("Both an image and a text are given.", "Give --image or --text.")
    if options.image is not None and tower == "text":
        raise ConfigError("A layer of the text tower reads no image.", "Give --text.")
    if options.text is not None and tower != "text":
        raise ConfigError("A layer of the image tower reads no text.", "Give --image.")


def _own(options: WhereOptions) -> list[_Source]:
    """What a person gives, if anything."""
    if options.text is not None:
        return [_Source("your text", options.text, b"")]
    if options.image is None:
        return []
    path = Path(options.image)
    try:
        return [_Source(path.name, "", path.read_bytes())]
    except OSError as error:
        raise ConfigError(
            f"The image {options.image!r} cannot be read: {error.strerror}.", "Name a file."
        ) from error


def _read_examples(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    neuron: Neuron,
    options: WhereOptions,
    is_text: bool,
) -> list[_Source]:
    rows = connection.execute(
        _EXAMPLES,
        {**neuron.parameters, "polarity": options.polarity, "count": options.examples},
    ).fetchall()
    ids = [row[1] for row in rows]
    texts = read_primary_texts(connection, neuron.dataset, ids)
    places = {} if is_text else find_places(connection, neuron.dataset, ids)
    return [
        _Source(
            f"{rank}  {key}",
            texts.get(example_id, ""),
            b"" if is_text else read_image(store, *places[example_id]),
            example_id,
        )
        for rank, example_id, _, key in rows
    ]


def _place(clip: Clip, layer: Layer, unit: int, source: _Source, is_exact: bool) -> Place:
    seen = see_image(source.data, source.name, ImageSpec.from_model(clip.model), is_exact)
    (found,) = map_images(clip, layer, seen.pixels)
    mine = found.of_unit(unit)
    return Place(source.name, source.text, mine, seen.image, seen.box, source.example_id)


def _describe_label(connection: duckdb.DuckDBPyConnection, neuron: Neuron) -> str:
    """Its label, if a build has it: to compute all labels for it would take minutes."""
    if why_stale(connection) is not None:
        return "label not known: neurons build"
    rows = connection.execute(
        """
        select concept, category, q_value, supported_count, measured_count from neuron_labels
        where
            dataset = $dataset and run_id = $run_id and layer = $layer and unit = $unit
            and is_labelled
        """,
        neuron.parameters,
    ).fetchall()
    if not rows:
        return "unlabelled"
    concept, category, q_value, *support = rows[0]
    return f"{concept} ({category}), q = {q_value:.2g}{mark_unsupported(*support)}"


def map_image(model: str, layer: str, image: Image.Image, device: str = "cpu") -> Floats:
    """As `pipeline.map_activations`."""
    clip = load_clip(model, device)
    (found,) = resolve_layers(clip, (layer,))
    (one,) = map_images(clip, found, clip.preprocess(image)[None])
    return one.values if one.grid is None else one.grid


def table_rows(places: Sequence[Place]) -> list[tuple[object, ...]]:
    """What is printed of images: `IMAGE_COLUMNS`."""
    rows: list[tuple[object, ...]] = []
    for place in places:
        row, column = place.map.cell or (None, None)
        x, y = place.image_frac or (None, None)
        rows.append((place.name, float(place.map.values.max()), row, column, x, y, place.text))
    return rows


IMAGE_COLUMNS = ("image", "activation", "row", "column", "x_frac", "y_frac", "text")
"""``x_frac`` and ``y_frac`` are of the whole image."""
