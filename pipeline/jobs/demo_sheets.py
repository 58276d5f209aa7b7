"""The demo's pictures: what excites a neuron most in each form, and what a word does to an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.base.storage import Store
from pipeline.report.grid import GridCell, GridRow, draw_grid
from pipeline.stimuli.typographic import PLACEMENTS
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
    def head(self) -> tuple[str, ...]:
        """The label with its evidence, in short lines."""
        if self.concept is None:
            return ("unlabelled",)
        return (
            f"{self.concept} ({self.category})",
            f"AUROC {self.score:.3f}, q = {self.q_value:.1g}",
            f"{self.agreement} of 3 methods agree",
        )

    @property
    def evidence(self) -> str:
        """The label with its evidence, for a person."""
        if self.concept is None:
            return "unlabelled"
        return (
            f"{self.concept} ({self.category}), AUROC {self.score:.3f}, q = {self.q_value:.1g}, "
            f"{self.agreement} of 3 methods"
        )


FORMS = (
    "colour drawing", "line drawing", "edge map", "silhouette",
    "word, en", "word, es", "word, fr", "word, de",
)  # fmt: skip
"""Columns of the picture of the neurons."""

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
"""

_ATTACKS = f"""
    select
        {IMAGE_COLUMNS},
        coalesce(stimuli.attack_text, stimuli.control) as shown,
        class_predictions.predicted_class,
        class_predictions.predicted_probability,
        stimuli.placement is not null as has_strip
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
    run: Mapping[str, str],
    neurons: Sequence[DemoNeuron],
) -> Image.Image:
    """One row a neuron: the image that excites it most among each form, whatever that image shows.

    Of a planted neuron, only the forms in which the data show its concept: flags have no outlines. An image
    that shows it, or of a free neuron the label, is green; any other is red, with what it shows.

    Args:
        connection: Of ``pipeline.connect``.
        store: The warehouse.
        run: ``dataset`` and ``run_id`` of a run with one layer.
        neurons: What to show.
    """
    rows = []
    for neuron in neurons:
        where = {**run, "unit": neuron.unit, "concept": neuron.planted}
        found = connection.execute(_STRONGEST, where).fetchall()
        wanted = neuron.planted or neuron.concept
        cells = {
            form: GridCell(read_image(store, *place), concept, concept == wanted)
            for *place, form, concept in found
        }
        planted = f"planted: {neuron.planted}" if neuron.planted else "free: nothing planted"
        label, *figures = neuron.head
        head = (label, f"unit {neuron.unit}", *figures, planted)
        rows.append(GridRow(head, tuple(cells.get(form) for form in FORMS)))
    notes = (
        "Left: the label that the pipeline found, and its evidence. Planted neurons were trained to stand for "
        "something; it was not told which.",
        "Green: the strongest image of that form shows what was planted (free neurons: the label). "
        "Red: it shows something else. Grey: no image of it has that form.",
    )
    return draw_grid("What excites a neuron most, form by form", notes, FORMS, rows)


_CONTROLS = {"clean": "as it is", "blank": "empty strip", "right_word": "the right word"}


def attack_sheet(
    connection: duckdb.DuckDBPyConnection, store: Store, run: Mapping[str, str], count: int = 5
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
    chosen = bases[:: max(1, len(bases) // count)][:count]
    found: dict[str, dict[str, GridCell]] = {}
    for key, concept in chosen:
        images = connection.execute(_ATTACKS, {**run, "base_key": key}).fetchall()
        found[key] = {
            shown: GridCell(
                read_image(store, *place),
                f"{taken_for} {probability:.0%}",
                taken_for == concept,
                PLACEMENTS["strip"] if has_strip else (),
            )
            for *place, shown, taken_for, probability, has_strip in images
        }
    columns = list(dict.fromkeys(shown for cells in found.values() for shown in cells))
    rows = [
        GridRow((str(concept),), tuple(found[key].get(shown) for shown in columns))
        for key, concept in chosen
    ]
    notes = (
        "Below each image: what the model takes it for, and with which probability. Red: the answer is wrong.",
        "The strip is white, and so is the paper: the grey line is drawn here, around it.",
    )
    names = [_CONTROLS.get(shown, f'"{shown}"') for shown in columns]
    return draw_grid("A word on a strip turns the answer", notes, names, rows)
