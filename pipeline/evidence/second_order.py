"""Second-order effects of neurons on a run's own images: of each neuron those that excite it most."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import torch

from pipeline.base.progress import ProgressCallback
from pipeline.base.storage import Store
from pipeline.clip.model import Clip
from pipeline.clip.second_order import SecondOrder, first_component
from pipeline.evidence.phrases import Phrases, tabulate_phrases
from pipeline.extract.images import Images
from pipeline.tables.runs import RunIdentity
from pipeline.tables.schema import TABLES

IMAGES = 10
"""Of the images that excite a neuron most, so many are looked at."""
BATCH = 32
"""Images that go through the model at once."""

Tops = Mapping[int, Sequence[int]]
"""Of each neuron, by unit, the examples that excite it most, the strongest first."""


class RunImages(NamedTuple):
    """Where the images of a run are read."""

    connection: duckdb.DuckDBPyConnection
    """Of ``pipeline.connect``."""
    store: Store
    dataset: str
    run: RunIdentity


@dataclass(frozen=True)
class Effects:
    """Where the effects of some neurons point."""

    units: tuple[int, ...]
    directions: torch.Tensor
    """Float64 ``[units, D]``: the first principal component of a neuron's effects on its images, of length one;
    zeros if it has none."""
    explained: tuple[float, ...]
    """Share of the effects' sum of squares that it is."""
    image_counts: tuple[int, ...]


def read_tops(connection: duckdb.DuckDBPyConnection, dataset: str, run_id: str, layer: str) -> Tops:
    """The images that excite each neuron of a layer most; of a neuron that none excites, none."""
    rows = connection.execute(
        """
        select unit, list(example_id order by example_rank) from top_examples
        where
            dataset = $dataset and run_id = $run_id and layer = $layer
            and polarity = 'positive' and example_rank <= $images
        group by unit order by unit
        """,
        {"dataset": dataset, "run_id": run_id, "layer": layer, "images": IMAGES},
    ).fetchall()
    return dict(rows)


def find_effects(
    clip: Clip, path: str, images: RunImages, tops: Tops, progress: ProgressCallback
) -> Effects:
    """Let the model see the images again, each once, and find where its neurons' effects point.

    Args:
        clip: The run's model.
        path: Of the layer.
        images: Where they are read.
        tops: Which neurons, and on which images.
        progress: Told of every batch.

    Raises:
        ModelError: The effects of that layer cannot be told (`SecondOrder`).
        WarehouseError: An image is gone.
    """
    one = SecondOrder(clip, path)
    asked: defaultdict[int, list[int]] = defaultdict(list)
    for unit, examples in tops.items():
        for example in examples:
            asked[example].append(unit)
    found: defaultdict[int, list[torch.Tensor]] = defaultdict(list)
    ids = sorted(asked)
    progress.start(f"images through {path}", len(ids))
    try:
        for batch in (ids[first : first + BATCH] for first in range(0, len(ids), BATCH)):
            pixels = Images(*images[:4], clip, batch)
            meant = [asked[example] for example in batch]
            effects = one.measure(torch.cat([pixels[example] for example in batch]), meant)
            for some, values in zip(meant, effects, strict=True):
                for unit, value in zip(some, values, strict=True):
                    found[unit].append(value)
            progress.advance(len(batch))
    finally:
        progress.finish()
    units = tuple(sorted(found))
    components = [first_component(torch.stack(found[unit])) for unit in units]
    return Effects(
        units,
        torch.stack([direction for direction, _ in components])
        if units
        else torch.zeros(0, 1, dtype=torch.float64),
        tuple(share for _, share in components),
        tuple(len(found[unit]) for unit in units),
    )


def tabulate_effects(effects: Effects, phrases: Phrases, categories: Mapping[str, str]) -> pa.Table:
    """Rows of ``second_order_texts``: of each neuron that has an effect, the phrases that come first."""
    schema = TABLES["second_order_texts"].arrow_schema()
    if not effects.units:
        return schema.empty_table()
    table = tabulate_phrases(effects.directions, phrases, categories)
    places = table["unit"].to_numpy()  # so far of the neurons that are here
    arrays = [
        np.array(effects.units, np.int32)[places],
        *(table[name] for name in table.column_names[1:]),
        np.array(effects.image_counts, np.int32)[places],
        np.array(effects.explained, np.float32)[places],
    ]
    return pa.table(arrays, schema=schema)
