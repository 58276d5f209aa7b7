"""The door: what a model and the neurons of one of its runs say of a picture. ``neurons look``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.local_file import local_file
from pipeline.base.question_settings import LookOptions
from pipeline.base.storage import Store
from pipeline.clip.hooks import Layer
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.layers import resolve_layers
from pipeline.evidence.texts import load_run_model
from pipeline.look.answers import choose_classes
from pipeline.look.excited import LayerFound, find_excited, read_statistics
from pipeline.look.read import read_images
from pipeline.look.suspicion import Suspicion, suspect
from pipeline.maps.seen import SeenImage, see_image
from pipeline.report.thumbnails import Picture, read_pictures
from pipeline.tables.datasets import run_folder
from pipeline.tables.runs import named_model, read_run
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import FoundRun, find_layers, find_run
from pipeline.warehouse.stale import tell_stale

STDIN = "-"


@dataclass(frozen=True)
class Look:
    """The answer."""

    name: str
    """The file's."""
    run: FoundRun
    seen: SeenImage
    answers: tuple[tuple[str, float], ...]
    """Class and probability, the likeliest first."""
    chosen_from: str
    """Whose classes, for a person."""
    layers: tuple[LayerFound, ...]
    suspicion: Suspicion
    pictures: Mapping[int, Picture]
    """Thumbnails of the run's images that are shown, by their id."""
    is_random: bool
    """The weights are noise."""


def look_at(warehouse: str, image: str, options: LookOptions) -> Look:
    """Look at an image file as a run of a model does. Nothing is written to the warehouse.

    Args:
        warehouse: Folder or URL.
        image: The file; ``-`` reads standard input.
        options: The run, and what is shown.

    Raises:
        ConfigError: It is no image, or one that no run can use; or the classes cannot work.
        WarehouseError: No such run or layer, several runs match, or the layer reads no images.
        ModelError: The run's model cannot be loaded.
        ConfigMismatchError: The model is not the run's.
    """
    name, data = read_file(image)
    store = Store(warehouse)
    with connect(warehouse) as connection:
        tell_stale(connection, ("top_examples", *(() if options.classes else ("tested_concepts",))))
        run = find_run(connection, options.dataset, options.run, options.layer)
        record = read_run(store, run_folder(run.dataset, run.run_id))
        clip = load_run_model(
            options.model or named_model(record), record["identity"], options.device
        )
        is_exact = record["identity"]["preprocess"] == "exact"
        spec = ImageSpec.from_model(clip.model)
        seen = see_image(data, name, spec, is_exact)
        meant = find_layers(connection, run.dataset, run.run_id, options.layer)
        layers = _of_images(resolve_layers(clip, tuple(one.layer for one in meant)))
        classes = choose_classes(connection, store, run, clip, options.classes, options.templates)
        reading = read_images(clip, layers, seen.pixels)
        probabilities = classes.score(clip, reading.embeddings)[0]
        statistics = {layer.name: read_statistics(connection, run, layer) for layer in layers}
        found = tuple(
            find_excited(connection, run, layer, reading, statistics[layer.name], options.top)
            for layer in layers
        )
        suspicion = suspect(connection, run, clip, classes, statistics, layers, seen, reading)
        ids = {i for one in found for i in one.alike}
        ids |= {i for one in found for neuron in one.neurons for i in neuron.example_ids}
        pictures = read_pictures(connection, store, run.dataset, ids)
    order = probabilities.argsort(descending=True, stable=True)[: options.top].tolist()
    return Look(
        name,
        run,
        seen,
        tuple((classes.names[place], float(probabilities[place])) for place in order),
        classes.told,
        found,
        suspicion,
        pictures,
        clip.is_random,
    )


def read_file(image: str) -> tuple[str, bytes]:
    """Its name and its bytes.

    Raises:
        ConfigError: It cannot be read.
    """
    if image == STDIN:
        return "standard input", sys.stdin.buffer.read()
    path = local_file(image)
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"The image {image!r} cannot be read: {error.strerror}.", "Name an image file."
        ) from error


def _of_images(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    found = tuple(layer for layer in layers if layer.tower != "text")
    if not found:
        raise WarehouseError(
            f"{', '.join(layer.name for layer in layers)} is of the text tower, which reads no image.",
            "Name a run or a layer of the image tower.",
        )
    return found
