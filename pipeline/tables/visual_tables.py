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
)
