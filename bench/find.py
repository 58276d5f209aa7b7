"""``neurons find`` on nano: for how many planted concepts does their own neuron come first?

Of the 269 concepts planted as picture and as word, the share whose neuron has the highest score for
the concept's name among all neurons of the layer: by the weights (the cosine of the text with what a
channel writes into the embedding) and by correlation (with the similarity of the demo's images to
the text). The text is taken as it is, and less the mean of 64 other texts in the same prompts, which
is what ``neurons find`` does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import torch

from bench.timing import Report, Row
from pipeline.base.job_file import load_config
from pipeline.base.settings import ExtractConfig, IngestConfig
from pipeline.clip.model import Clip, load_clip
from pipeline.clip.zero_shot import embed_classes
from pipeline.evidence.matrix import example_ids, iter_blocks, list_layers, load_embeddings
from pipeline.evidence.neighbours import standardise
from pipeline.evidence.texts import TEMPLATES, TextDirection, find_direction, weigh_text
from pipeline.extract.run import extract
from pipeline.jobs.demo import JOB_FILE
from pipeline.nano.planted import BOTH_FACETS, PlantedNeuron, load_planted
from pipeline.sources.ingest import ingest_items
from pipeline.stimuli.make import iter_stimuli
from pipeline.warehouse.connect import connect

PROMPTS = {
    "the four prompts of neurons find": TEMPLATES,
    '"a photo of a {}.", which nano never learned': ("a photo of a {}.",),
}


def directions(
    clip: Clip, names: Sequence[str], templates: tuple[str, ...]
) -> dict[str, list[TextDirection]]:
    """The texts' directions, as they are and less their background."""
    centred = [find_direction(clip, name, templates) for name in names]
    plain = embed_classes(clip, names, templates)
    return {
        "as they are": [replace(c, vector=p) for c, p in zip(centred, plain, strict=True)],
        "less the mean of 64 others": centred,
    }


def first_by_weights(texts: Sequence[TextDirection]) -> list[int]:
    """The unit with the highest cosine, for each text."""
    found = []
    for text in texts:
        (weighed,) = weigh_text(text)
        units, cosines = weighed.units, weighed.cosines
        found.append(int(units[np.argmax(cosines)]))
    return found


def first_by_correlation(warehouse: str, texts: Sequence[TextDirection]) -> list[int]:
    """The unit with the highest correlation over all distinct images, for each text."""
    with connect(warehouse) as connection:
        (layer,) = list_layers(connection)
        ids = example_ids(connection, layer.dataset, layer.run_id)
        images = torch.from_numpy(load_embeddings(connection, layer.dataset, layer.run_id, ids))
        likeness = images.float() @ torch.stack([text.vector for text in texts]).T
        wanted = standardise(0, likeness.T.contiguous().numpy()).values
        units, scores = [], []
        for block in iter_blocks(connection, layer, ids):
            some = standardise(block.first_unit, block.activations)
            units.append(some.units)
            scores.append(wanted @ some.values.T)
    best = torch.cat(scores, dim=1).argmax(dim=1)
    return [int(unit) for unit in np.concatenate(units)[best.numpy()]]


def report(quick: bool) -> Report:
    """Shares for both prompts, both centrings and both ways."""
    both = [p for p in load_planted() if p.scope == "concept" and p.facets == BOTH_FACETS]
    planted = both[:20] if quick else both
    with tempfile.TemporaryDirectory() as folder:
        items = iter_stimuli(load_config(JOB_FILE).stimuli[0])
        items = islice(items, 200) if quick else items
        ingest_items(IngestConfig(folder, "demo", shard_size=500), "stimuli", items)
        extract(ExtractConfig(folder, "demo", "nano", ("goh2021",), device="cpu"))
        clip = load_clip("nano")
        for prompts, templates in PROMPTS.items():
            yield f"find: {len(planted)} planted concepts; {prompts}"
            found = directions(clip, [p.concept for p in planted], templates)
            for centring, texts in found.items():
                ways = {
                    "weights": first_by_weights(texts),
                    "correlation": first_by_correlation(folder, texts),
                }
                for way, units in ways.items():
                    share = 100 * share_right(planted, units)
                    yield Row(f"own neuron first by {way}", share, "%", f"texts {centring}")


def share_right(planted: Sequence[PlantedNeuron], units: Sequence[int]) -> float:
    """The share of concepts whose best unit is the one planted for them."""
    return sum(p.channel == unit for p, unit in zip(planted, units, strict=True)) / len(planted)
