"""The demo's pictures: what excites a neuron most in each form, and what a word does to an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.base.storage import Store
from pipeline.report.contact_sheet import SheetRow, draw_sheet
from pipeline.warehouse.images import IMAGE_COLUMNS, read_image

if TYPE_CHECKING:
    import duckdb
    from PIL import Image


@dataclass(frozen=True)
class DemoNeuron:
    """One neuron that the demo shows."""

    unit: int
    planted: str | None
    """What it was trained to stand for; None for a free neuron."""
    concept: str | None
    """What the pipeline found."""
    category: str | None
    q_value: float | None
    score: float | None
    """AUROC of the label on the testing half."""
    agreement: int | None
    """How many of the three methods chose it."""

    @property
    def evidence(self) -> str:
        """The label with its evidence, for a person."""
        if self.concept is None:
            return "unlabelled"
        return (
            f"{self.concept} ({self.category}), AUROC {self.score:.3f}, q = {self.q_value:.1g}, "
            f"{self.agreement} of 3 methods"
        )


_STRONGEST = f"""
    select
        {IMAGE_COLUMNS},
        coalesce('word, ' || stimuli.language, stimuli.facet) as form,
        stimuli.concept
    from activations
    inner join stimuli using (dataset, example_id)
    inner join examples using (dataset, example_id)
    inner join shards using (dataset, shard_ordinal)
    where
        activations.dataset = $dataset and activations.run_id = $run_id
        and activations.unit = $unit
        and (
            $concept is null or form in (
                select coalesce('word, ' || shown.language, shown.facet)
                from stimuli as shown
                where shown.dataset = $dataset and shown.concept = $concept
            )
        )
    qualify
        row_number() over (
            partition by form
            order by activations.activation desc, activations.example_id
        ) = 1
    order by
        stimuli.language is not null,
        list_position(['colour drawing', 'line drawing', 'edge map', 'silhouette'], form),
        list_position(['word, en', 'word, es', 'word, fr', 'word, de'], form)
"""

_ATTACKS = f"""
    select
        {IMAGE_COLUMNS}, stimuli.control,
        class_predictions.predicted_class
    from stimuli
    inner join examples using (dataset, example_id)
    inner join shards using (dataset, shard_ordinal)
    inner join class_predictions using (dataset, example_id)
    where
        stimuli.dataset = $dataset and class_predictions.run_id = $run_id
        and stimuli.base_key = $base_key
        and (stimuli.control = 'clean' or stimuli.placement = 'strip')
    order by
        list_position(['clean', 'blank', 'right_word', 'attack'], stimuli.control),
        stimuli.example_id
"""


def forms_sheet(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    run: dict[str, Any],
    neurons: Sequence[DemoNeuron],
) -> Image.Image:
    """One row a neuron: the image that excites it most among each form, whatever that image shows.

    Of a planted neuron, only the forms in which the data show its concept: flags have no outlines. What an
    image shows stands under it, unless it is the very concept that was planted.

    Args:
        connection: Of ``pipeline.connect``.
        store: The warehouse.
        run: ``dataset`` and ``run_id`` of a run with one layer.
        neurons: What to show.
    """
    rows = []
    for neuron in neurons:
        where = {**run, "unit": neuron.unit, "concept": neuron.planted}
        images = connection.execute(_STRONGEST, where).fetchall()
        planted = f"planted (supervised): {neuron.planted}" if neuron.planted else "free neuron"
        rows.append(
            SheetRow(
                title=f"unit {neuron.unit}: {neuron.evidence}",
                subtitle=planted,
                images=tuple(read_image(store, *row[:4]) for row in images),
                captions=tuple(
                    form if concept == neuron.planted else f"{form}: {concept}"
                    for *_, form, concept in images
                ),
            )
        )
    return draw_sheet(rows, "What excites a neuron most, form by form")


def attack_sheet(
    connection: duckdb.DuckDBPyConnection, store: Store, run: dict[str, Any], count: int = 5
) -> Image.Image:
    """Some attacked images: clean, the strip blank, with the right word, and with each text.

    Args:
        connection: Of ``pipeline.connect``.
        store: The warehouse.
        run: ``dataset`` and ``run_id`` of a classified run of typographic stimuli.
        count: How many images.
    """
    bases = connection.execute(
        """
        select base_key, any_value(concept) from stimuli
        where dataset = $dataset and stimulus = 'typographic'
        group by base_key
        order by min(example_id)
        """,
        {"dataset": run["dataset"]},
    ).fetchall()
    rows = []
    for key, concept in bases[:: max(1, len(bases) // count)][:count]:
        images = connection.execute(_ATTACKS, {**run, "base_key": key}).fetchall()
        rows.append(
            SheetRow(
                title=str(concept),
                subtitle="clean, blank strip, right word, and other words: what it is taken for",
                images=tuple(read_image(store, *row[:4]) for row in images),
                captions=tuple(str(row[5]) for row in images),
            )
        )
    return draw_sheet(rows, "A word on a strip, and the class that the model chooses")
