"""The tables of what neurons do to what the model says: each is set, and all that follows runs again."""

from __future__ import annotations

from pipeline.tables.columns import OF_LAYER, UNIT, Column, Table

_LEVEL = Column(
    "level", "float32", "x maximum", "what the activation is set to, in maxima of the run"
)
_P = "softmax over all tested concepts"

EFFECT_TABLES = (
    Table(
        "effects",
        grain="one row per neuron that was measured and level",
        key=("dataset", "run_id", "layer", "unit", "level"),
        partitions=OF_LAYER,
        meaning=(
            "What setting a neuron does to the probability of its concept, on examples that do not show it "
            "and on some that do; beside it another concept, and a random direction."
        ),
        columns=(
            UNIT,
            _LEVEL,
            Column("activation", "float32", "model units", "what that is"),
            Column("concept", "string", "", "its label then; null if it had none"),
            Column(
                "other_concept", "string", "", "another tested concept, drawn at random; or null"
            ),
            Column("concept_count", "int32", "count", "tested concepts"),
            Column("hidden_count", "int32", "count", "examples that do not show the concept"),
            Column("shown_count", "int32", "count", "examples that show it"),
            Column("held_out_count", "int32", "count", "of these, not among its top examples"),
            Column("hidden_plain", "float32", "0..1", f"P(concept) where hidden, as it is: {_P}"),
            Column("hidden_set", "float32", "0..1", "the same with the neuron set"),
            Column("hidden_direction", "float32", "0..1", "with the random direction instead"),
            Column("hidden_other_plain", "float32", "0..1", "P(other concept) there, as it is"),
            Column("hidden_other_set", "float32", "0..1", "the same with the neuron set"),
            Column("shown_plain", "float32", "0..1", "P(concept) where it is shown, as it is"),
            Column("shown_set", "float32", "0..1", "the same with the neuron set"),
            Column("shown_direction", "float32", "0..1", "with the random direction instead"),
            Column("shown_other_plain", "float32", "0..1", "P(other concept) there, as it is"),
            Column("shown_other_set", "float32", "0..1", "the same with the neuron set"),
            Column("shown_cosine_change", "float32", "-2..2", "of the concept there, neuron set"),
            Column("shown_cosine_direction", "float32", "-2..2", "with the direction instead"),
            Column("made_from", "string", "", "hash of all that was known of the neuron"),
        ),
    ),
    Table(
        "concept_effects",
        grain="one row per neuron that was measured, level and tested concept",
        key=("dataset", "run_id", "layer", "unit", "level", "concept"),
        partitions=OF_LAYER,
        meaning="How setting a neuron changes the similarity of images to each tested concept.",
        columns=(
            UNIT,
            _LEVEL,
            Column("concept", "string", "", "name of the concept"),
            Column(
                "cosine_change", "float32", "-2..2", "mean over examples that hide its own concept"
            ),
            Column("cosine_direction", "float32", "-2..2", "with the random direction instead"),
        ),
    ),
)
