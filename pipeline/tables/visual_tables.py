"""The tables of what neurons draw, and of what steers it."""

from __future__ import annotations

from pipeline.tables.columns import OF_LAYER, Column, Table

VISUAL_TABLES = (
    Table(
        "facet_probes",
        grain="one row per layer and facet that a probe was trained for",
        key=("dataset", "run_id", "layer", "facet"),
        partitions=(*OF_LAYER, "facet"),
        meaning=(
            "Linear probes on the channels of a lower layer that tell one facet from others; they steer "
            "pictures of the layer's neurons."
        ),
        columns=(
            Column("probe_layer", "string", "", "lower layer that it reads"),
            Column("weights", "list<float32>", "log odds", "for one model unit of each channel"),
            Column("bias", "float64", "log odds", "of an image whose channels are all 0"),
            Column("accuracy", "float64", "0..1", "balanced, on held-out images; chance is 0.5"),
            Column("trained_shown_count", "int32", "count", "images trained on that show it"),
            Column("trained_other_count", "int32", "count", "images trained on that do not"),
            Column("held_out_shown_count", "int32", "count", "held-out images that show it"),
            Column("held_out_other_count", "int32", "count", "held-out images that do not"),
        ),
    ),
    Table(
        "visualisations",
        grain="one row per picture that a neuron drew, or a direction in its layer",
        key=("dataset", "run_id", "layer", "picture"),
        partitions=OF_LAYER,
        meaning="Pictures that the model made: an input climbed until the neuron answers strongly.",
        columns=(
            Column("picture", "string", "", "what its file is called, without .png"),
            Column("unit", "int32", "index 0..", "the neuron; null: a direction drew it"),
            Column("direction", "string", "", "the direction as it was named; null: a neuron"),
            Column("facet", "string", "", "what it was steered to; null: to nothing"),
            Column("number", "int32", "index 0..", "which of the pictures of the neuron"),
            Column("image_count", "int32", "count", "pictures that were drawn together"),
            Column("parametrisation", "string", "", "fourier or maco"),
            Column("transformations", "string", "", "how it was moved at every step"),
            Column("steps", "int32", "count", "steps that it was climbed"),
            Column("seed", "int64", "", "number that the noise and moves follow from"),
            Column("settings", "string", "", "hash of all that decides the picture"),
            Column("width_px", "int32", "pixels", "width"),
            Column("height_px", "int32", "pixels", "height"),
            Column(
                "activation",
                "float32",
                "model units",
                "of the finished picture, opaque, as a fresh image",
            ),
            Column("facet_probability", "float32", "0..1", "P(facet) of it by the facet's probe"),
            Column("draw_s", "float32", "s", "time to draw it; null where that is not known"),
            Column("bytes", "int64", "bytes", "size of its file"),
            Column("image_sha256", "string", "hex", "hash of its file"),
        ),
    ),
)
