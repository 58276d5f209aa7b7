"""The text of a neuron: the phrases that it writes into the embedding, by the weights alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.base.errors import ConfigError, ModelError
from pipeline.base.figure_settings import PhraseQuestion
from pipeline.base.storage import Store
from pipeline.search.find import Found, read_labels
from pipeline.tables.datasets import run_folder
from pipeline.tables.runs import named_model, read_run
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import NamedNeuron, find_neuron

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.clip.model import Clip

COLUMNS = ("phrase", "category", "cosine")


def find_phrases(warehouse: str | None, named: NamedNeuron, question: PhraseQuestion) -> Found:
    """The phrases that a neuron writes, closest first, or those that it takes away.

    Args:
        warehouse: Folder or URL; without one the model is asked alone.
        named: The neuron; its layer by path or preset, if there is no warehouse.
        question: What is asked.

    Raises:
        ConfigError: There is no warehouse and no model.
        ConfigMismatchError: The model is not the run's.
        ModelError: The neuron does not lead straight to the embedding; or the model cannot be loaded.
        WarehouseError: No such layer, run or unit; or several runs have that layer.
    """
    from pipeline.evidence.texts import load_run_model
    from pipeline.figures.choose import choose_phrases, lexicon_phrases

    if warehouse is None:
        if not question.model:
            raise ConfigError(
                "There is neither a warehouse nor a model.",
                "Give --warehouse DIR for a neuron of a run, or --model nano for weights alone.",
            )
        clip = load_run_model(question.model, None, question.device)
        return _ask(clip, named.layer, named.unit, lexicon_phrases(), question, "")
    with connect(warehouse) as connection:
        neuron = find_neuron(connection, *named)
        record = read_run(Store(warehouse), run_folder(neuron.dataset, neuron.run_id))
        model = question.model or named_model(record)
        clip = load_run_model(model, record["identity"], question.device)
        phrases = choose_phrases(connection, neuron.dataset, neuron.run_id)
        from pipeline.evidence.matrix import list_layers

        layers = list_layers(connection, neuron.dataset, neuron.run_id)
        mine = [one for one in layers if one.layer == neuron.layer]
        label = read_labels(connection, mine)[mine[0]].get(neuron.unit) or "unlabelled"
    told = f", {neuron.dataset}, run {neuron.run_id}: {label}"
    return _ask(clip, neuron.layer, neuron.unit, phrases, question, told)


def _ask(
    clip: Clip,
    layer: str,
    unit: int,
    categories: Mapping[str, str],
    question: PhraseQuestion,
    told: str,
) -> Found:
    from pipeline.clip.layers import preset_layers
    from pipeline.clip.writes import iter_written, list_writing
    from pipeline.evidence.phrases import draw_directions, embed_phrases, weigh_phrases

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
    (written,) = iter_written(clip, meant)
    if not 0 <= unit < len(written.directions):
        raise ModelError(
            f"Layer {meant[0]!r} has no unit {unit}.",
            f"Its units are 0 to {len(written.directions) - 1}.",
        )
    phrases = embed_phrases(clip, list(categories))
    sign = 1 if question.polarity == "positive" else -1
    here = slice(unit, unit + 1)
    cosines = weigh_phrases(written.directions[here], phrases)[0]
    chance = weigh_phrases(draw_directions(written.directions)[here], phrases)[0]
    order = (sign * cosines).argsort(descending=True, stable=True)[: question.k].tolist()
    rows = [(phrases.names[n], categories[phrases.names[n]], float(cosines[n])) for n in order]
    end = "writes into" if sign == 1 else "takes away from"
    return Found(
        f"What unit {unit} of {meant[0]} {end} the embedding of {clip.model_id}, by the weights{told}",
        COLUMNS,
        tuple(rows),
        (
            f"Cosine with each of {len(phrases.names)} phrases; the closest to a random direction of the "
            f"layer: {float(sign * (sign * chance).max()):.4f}.",
        ),
    )
