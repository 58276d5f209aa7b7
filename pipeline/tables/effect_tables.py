"""The tables of what neurons do to what the model says: each is set, and all that follows runs again."""

from __future__ import annotations

from pipeline.tables.columns import EXAMPLE_ID, OF_LAYER, UNIT, Column, Table

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
    Table(
        "fresh_scores",
        grain="one row per neuron of a layer and concept that fresh images show",
        key=("dataset", "run_id", "layer", "unit", "concept"),
        partitions=OF_LAYER,
        meaning=(
            "How each neuron answers to images that no label rests on: to those that show a concept, against "
            "those of others in the same forms. Within each form, averaged over the forms."
        ),
        columns=(
            UNIT,
            Column("concept", "string", "", "name of the concept"),
            Column(
                "forms", "string", "", "of its images, with commas: line drawing, rendered word"
            ),
            Column("image_count", "int32", "count", "images that show it"),
            Column("control_count", "int32", "count", "images of others, in these forms"),
            Column("auc", "float32", "0..1", "P(shown > control), ties count half"),
            Column(
                "mad", "float32", "SD", "mean where shown - mean of controls, in SD of controls"
            ),
            Column("permuted_auc", "float32", "0..1", "the same of concepts permuted in each form"),
            Column("permuted_mad", "float32", "SD", "the same of concepts permuted in each form"),
        ),
    ),
    Table(
        "fresh_images",
        grain="one row per layer, concept and fresh image of it",
        key=("dataset", "run_id", "layer", "concept", "number"),
        partitions=OF_LAYER,
        meaning="The images that fresh scores are of, drawn anew when they are measured, and what they excite.",
        columns=(
            Column("concept", "string", "", "what it shows"),
            Column("number", "int32", "index 0..", "which of its images"),
            Column("form", "string", "", "the facet: rendered word, line drawing, colour drawing"),
            Column("made_with", "string", "", "the font, or the set of drawings"),
            Column("text", "string", "", "what is written on it; null if nothing"),
            Column("image_sha256", "string", "hex", "hash of the image file"),
            Column("activations", "list<float32>", "model units", "of each unit of the layer"),
        ),
    ),
    Table(
        "ablations",
        grain="one row per attack, number of neurons, draw and image that was tried without them",
        key=(
            *("dataset", "run_id", "layer", "class_set", "attack_text", "target_class"),
            *("placement", "neuron_count", "draw", "example_id"),
        ),
        partitions=(*OF_LAYER, "class_set"),
        meaning=(
            "What images are taken for without the neurons that a typographic attack moves most, and "
            "without as many at random: those that the attack flips, and some without an attack."
        ),
        columns=(
            Column("attack_text", "string", "", "what is written on the attacked images"),
            Column("target_class", "string", "", "the class of that text"),
            Column("placement", "string", "", "where it is written"),
            Column("chosen_count", "int32", "count", "attacked images that neurons are chosen by"),
            Column("neuron_count", "int32", "count", "neurons that are set to 0 at once"),
            Column("draw", "int32", "", "0: those that move most; 1 and on: drawn at random"),
            Column("units", "string", "index 0..", "which, with commas: 29,192"),
            EXAMPLE_ID,
            Column("is_attacked", "bool", "", "the attack flips it; else it has no patch"),
            Column("wanted_class", "string", "", "its class without the attack"),
            Column("plain_class", "string", "", "its class with all neurons as they are"),
            Column("predicted_class", "string", "", "its class with those at 0"),
        ),
    ),
)
