"""The text of a neuron: the phrases that it writes into the embedding, by its weights or on its images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import ConfigError, ModelError, WarehouseError
from pipeline.base.figure_settings import PhraseQuestion
from pipeline.base.progress import NoProgress
from pipeline.base.storage import Store
from pipeline.search.find import Found, read_labels
from pipeline.tables.datasets import run_folder
from pipeline.tables.runs import RunIdentity, named_model, read_run
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import NamedNeuron, Neuron, find_neuron

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

    from pipeline.clip.model import Clip
    from pipeline.clip.writes import Written

COLUMNS = ("phrase", "category", "cosine")
OTHERS = 64
"""Neurons of the layer beside one whose second-order effect is asked for, on the same images."""


class Pointing(NamedTuple):
    """Where a neuron points, beside neurons of its layer."""

    how: str
    """How that is known, for the title."""
    written: Written
    """By all of these neurons."""
    place: int
    """Among them, of the neuron that is meant."""
    notes: tuple[str, ...] = ()


def find_phrases(warehouse: str | None, named: NamedNeuron, question: PhraseQuestion) -> Found:
    """The phrases that a neuron writes, closest first, or those that it takes away.

    Args:
        warehouse: Folder or URL; without one the model is asked alone.
        named: The neuron; its layer by path or preset, if there is no warehouse.
        question: What is asked.

    Raises:
        ConfigError: There is no warehouse and no model; or no warehouse, and images are asked for.
        ConfigMismatchError: The model is not the run's.
        ModelError: The neuron does not lead straight to the embedding, or not through later attention; or
            the model cannot be loaded.
        WarehouseError: No such layer, run or unit; several runs have that layer; no image excites the neuron.
    """
    from pipeline.evidence.texts import load_run_model
    from pipeline.figures.choose import choose_phrases, lexicon_phrases

    if warehouse is None:
        if not question.model:
            raise ConfigError(
                "There is neither a warehouse nor a model.",
                "Give --warehouse DIR for a neuron of a run, or --model nano for weights alone.",
            )
        if question.order == "second":
            raise ConfigError(
                "A second-order effect is one on images, and there is no warehouse.",
                "Give --warehouse DIR for a neuron of a run; the first order needs no image.",
            )
        clip = load_run_model(question.model, None, question.device)
        path = _find_path(clip, named.layer)
        pointing = _by_weights(clip, path, named.unit)
        return _rank(clip, pointing, lexicon_phrases(), question, f"unit {named.unit} of {path}")
    with connect(warehouse) as connection:
        neuron = find_neuron(connection, *named)
        store = Store(warehouse)
        record = read_run(store, run_folder(neuron.dataset, neuron.run_id))
        model = question.model or named_model(record)
        clip = load_run_model(model, record["identity"], question.device)
        phrases = choose_phrases(connection, neuron.dataset, neuron.run_id)
        from pipeline.evidence.matrix import list_layers

        layers = list_layers(connection, neuron.dataset, neuron.run_id)
        mine = [one for one in layers if one.layer == neuron.layer]
        label = read_labels(connection, mine)[mine[0]].get(neuron.unit) or "unlabelled"
        path = _find_path(clip, neuron.layer)
        if question.order == "second":
            pointing = point_on_images(clip, path, neuron, connection, store, record["identity"])
        else:
            pointing = _by_weights(clip, path, neuron.unit)
    who = f"unit {neuron.unit} of {path}"
    told = f", {neuron.dataset}, run {neuron.run_id}: {label}"
    return _rank(clip, pointing, phrases, question, who, told)


def _find_path(clip: Clip, layer: str) -> str:
    """The layer that is meant, of those whose neurons lead straight to the embedding."""
    from pipeline.clip.layers import preset_layers
    from pipeline.clip.writes import list_writing

    paths = list_writing(clip)
    names = preset_layers(clip).get(layer, [layer])
    meant = [path for path in paths if path in {name.split(":")[0] for name in names}]
    if len(meant) != 1:
        raise ModelError(
            f"No neuron of layer {layer!r} of {clip.model_id} leads straight to the embedding."
            if not meant
            else f"Layer {layer!r} is {len(meant)} layers of {clip.model_id}.",
            f"Name one of: {', '.join(paths)}.",
        )
    return meant[0]


def _by_weights(clip: Clip, path: str, unit: int) -> Pointing:
    from pipeline.clip.writes import iter_written

    (written,) = iter_written(clip, (path,))
    if not 0 <= unit < len(written.directions):
        raise ModelError(
            f"Layer {path!r} has no unit {unit}.",
            f"Its units are 0 to {len(written.directions) - 1}.",
        )
    return Pointing("by the weights", written, unit)


def point_on_images(
    clip: Clip,
    path: str,
    neuron: Neuron,
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    run: RunIdentity,
) -> Pointing:
    """Where the second-order effect of a neuron points, beside others of its layer, on the neuron's own images.

    Args:
        clip: The run's model.
        path: Of the neuron's layer.
        neuron: Which.
        connection: Of ``pipeline.connect``.
        store: The warehouse.
        run: How the run prepared its images.

    Raises:
        ModelError: The effects of that layer cannot be told.
        WarehouseError: No image excites the neuron, or one is gone.
    """
    from random import Random

    from pipeline.clip.writes import Written
    from pipeline.evidence.second_order import RunImages, find_effects, read_tops

    tops = read_tops(connection, neuron.dataset, neuron.run_id, neuron.layer)
    if neuron.unit not in tops:
        raise WarehouseError(
            f"No image of {neuron.dataset!r} excites unit {neuron.unit} of {neuron.layer!r}.",
            "What it does through later attention shows on images that excite it; ask for --order first.",
        )
    others = Random(0).sample(sorted(tops.keys() - {neuron.unit}), min(OTHERS, len(tops) - 1))
    beside = dict.fromkeys([neuron.unit, *others], tops[neuron.unit])
    images = RunImages(connection, store, neuron.dataset, run)
    found = find_effects(clip, path, images, beside, NoProgress())
    place = found.units.index(neuron.unit)
    return Pointing(
        "through later attention",
        Written(path, found.directions),
        place,
        (
            f"On the {found.image_counts[place]} images that excite it most; "
            f"{found.explained[place]:.0%} of what it does there is along one direction.",
        ),
    )


def _rank(
    clip: Clip,
    pointing: Pointing,
    categories: Mapping[str, str],
    question: PhraseQuestion,
    who: str,
    told: str = "",
) -> Found:
    from pipeline.evidence.phrases import draw_directions, embed_phrases, weigh_phrases

    phrases = embed_phrases(clip, list(categories))
    sign = 1 if question.polarity == "positive" else -1
    directions, here = pointing.written.directions, slice(pointing.place, pointing.place + 1)
    cosines = weigh_phrases(directions[here], phrases)[0]
    chance = weigh_phrases(draw_directions(directions)[here], phrases)[0]
    order = (sign * cosines).argsort(descending=True, stable=True)[: question.k].tolist()
    rows = [(phrases.names[n], categories[phrases.names[n]], float(cosines[n])) for n in order]
    end = "writes into" if sign == 1 else "takes away from"
    return Found(
        f"What {who} {end} the embedding of {clip.model_id}, {pointing.how}{told}",
        COLUMNS,
        tuple(rows),
        (
            *pointing.notes,
            f"Cosine with each of {len(phrases.names)} phrases; the closest to a random direction of the "
            f"layer: {float(sign * (sign * chance).max()):.4f}.",
        ),
    )
