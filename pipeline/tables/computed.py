"""The Parquet tables that a build computes with torch: the same contract as `pipeline.tables.schema`.

They lie among the marts that SQL alone makes, see `pipeline.warehouse.parts`.
"""

from __future__ import annotations

from pipeline.tables.columns import EXAMPLE_ID, PARTITIONS, Column, Table

_NEURON = (
    *(PARTITIONS[name] for name in ("dataset", "run_id", "layer")),
    Column("unit", "int32", "index 0..", "position of the neuron inside its layer"),
)


def _three(name: str, unit: str, meaning: str) -> tuple[Column, ...]:
    """A score beside its baselines."""
    return (
        Column(name, "float64", unit, f"testing: {meaning}"),
        Column(f"other_{name}", "float64", unit, "testing: the same of the other label"),
        Column(f"permuted_{name}", "float64", unit, "testing: of concepts permuted in each half"),
    )


_NEURON_KEY = ("dataset", "run_id", "layer", "unit")

_COMPUTED = (
    Table(
        "soft_wpmi",
        grain="one row per (neuron, concept): the tested ones, and the neuron's best",
        key=("dataset", "run_id", "layer", "unit", "concept"),
        partitions=(),
        meaning="Soft-WPMI of CLIP-Dissect (Oikarinen & Weng 2023), on each half.",
        columns=(
            *_NEURON,
            Column("concept", "string", "", "name of the concept"),
            Column("screening", "float32", "nats", "over the top images of the screening half"),
            Column("testing", "float32", "nats", "over the top images of the testing half"),
        ),
    ),
    Table(
        "label_nulls",
        grain="one row per run and repeat",
        key=("dataset", "run_id", "repeat"),
        partitions=(),
        meaning="How many neurons are labelled when the concepts of the images are permuted.",
        columns=(
            *_NEURON[:2],
            Column("repeat", "int32", "index 0..", "which permutation; also its seed"),
            Column("labelled_count", "int64", "count", "neurons that got a label"),
        ),
    ),
    Table(
        "facet_aurocs",
        grain="one row per (neuron, candidate concept, stratum) that has an image of the concept",
        key=(
            *("dataset", "run_id", "layer", "unit", "concept", "category", "origin"),
            *("dimension", "stratum", "facet_origin"),
        ),
        partitions=(),
        meaning="The Halle Berry test: AUROC within each form and language, with surrogates.",
        columns=(
            *_NEURON,
            Column("candidate_rank", "int32", "rank 1..4", "see facet_candidates"),
            Column("concept", "string", "", "name of the concept"),
            Column("category", "string", "", "family that it belongs to"),
            Column("origin", "string", "", "whose word the concept is"),
            Column("dimension", "string", "", "facet, word language or text language"),
            Column("stratum", "string", "", "the facet, or the language"),
            Column("facet_origin", "string", "", "whose word the stratum is"),
            Column("positive_count", "int64", "count", "testing: images that show the concept"),
            Column("other_count", "int64", "count", "testing: the stratum's other images"),
            Column("auroc", "float64", "0..1", "testing; null with fewer than facet_min_count"),
            Column(
                "surrogate_aurocs",
                "list<float32>",
                "0..1",
                "testing: the same of 99 random sets of as many images of the stratum",
            ),
            Column("screening_positive_count", "int64", "count", "the same on the screening half"),
            Column("screening_other_count", "int64", "count", "the same on the screening half"),
            Column("screening_auroc", "float64", "0..1", "the same on the screening half"),
        ),
    ),
    Table(
        "neuron_neighbours",
        grain="one row per neuron, layer of any run on its dataset, and rank",
        key=(*_NEURON_KEY, "other_run_id", "other_layer", "neighbour_rank"),
        partitions=(),
        meaning="The neurons whose activations go with a neuron's over the same images.",
        columns=(
            *_NEURON,
            Column("other_run_id", "string", "", "the run of the other neuron"),
            Column("other_layer", "string", "", "its layer"),
            Column("neighbour_rank", "int32", "rank 1..10", "1 = nearest; ties by other_unit"),
            Column("other_unit", "int32", "index 0..", "its position in that layer"),
            Column("correlation", "float64", "-1..1", "Pearson; absent activations are 0"),
            Column("example_count", "int64", "count", "distinct images of both runs, or a sample"),
        ),
    ),
    Table(
        "top_example_groups",
        grain="one row per neuron and top example",
        key=(*_NEURON_KEY, "example_id"),
        partitions=(),
        meaning="The top examples of each neuron, parted into groups that look alike to the model.",
        columns=(
            *_NEURON,
            EXAMPLE_ID,
            Column("group_rank", "int32", "rank 1..5", "1 = largest group, then best example"),
            Column(
                "silhouette",
                "float64",
                "-1..1",
                "how well it lies in its part of the best split, taken or not; null if there is none",
            ),
        ),
    ),
    Table(
        "neuron_clarity",
        grain="one row per neuron with two top examples or more",
        key=_NEURON_KEY,
        partitions=(),
        meaning="How alike a neuron's top examples are to the model, beside random ones.",
        columns=(
            *_NEURON,
            Column("top_size", "int32", "count", "top examples that were compared"),
            Column("clarity", "float64", "-1..1", "mean cosine of two of them"),
            Column("baseline_clarity", "float64", "-1..1", "mean cosine of two images of the run"),
            Column("clarity_sd", "float64", "SD", "clarity above baseline, in SD of random sets"),
        ),
    ),
    Table(
        "contrasting_examples",
        grain="one row per neuron and rank",
        key=(*_NEURON_KEY, "contrast_rank"),
        partitions=(),
        meaning="Images like a neuron's top examples that leave it cold.",
        columns=(
            *_NEURON,
            Column("contrast_rank", "int32", "rank 1..10", "1 = closest; ties by example_id"),
            EXAMPLE_ID,
            Column("cosine", "float64", "-1..1", "with the mean embedding of the top examples"),
            Column("activation", "float32", "model units", "0 where it is not stored"),
        ),
    ),
    Table(
        "label_scores",
        grain="one row per labelled neuron",
        key=_NEURON_KEY,
        partitions=(),
        meaning=(
            "What the testing half says of each label, beside another neuron's label and a permuted one; "
            "scores are null in layers that keep no or a share of their activations."
        ),
        columns=(
            *_NEURON,
            Column("concept", "string", "", "the label"),
            Column("category", "string", "", "family that it belongs to"),
            Column("origin", "string", "", "whose word the concept is"),
            Column(
                "other_concept",
                "string",
                "",
                "another neuron's label, drawn at random in the run; null if all are of one name",
            ),
            Column("other_agreement", "int64", "0..3", "methods that chose that one; or null"),
            Column(
                "permuted_agreement", "int64", "0..3", "methods of the other that chose this one"
            ),
            *_three("purity", "0..1", "average precision of images that show it"),
            *_three("detection", "0..1", "balanced accuracy against near misses"),
            Column("fired_count", "int64", "count", "testing: images that fire it"),
            Column("near_miss_count", "int64", "count", "testing: contrasting examples"),
            *_three("prediction", "-1..1", "correlation with what the concept predicts"),
        ),
    ),
)

DERIVED: dict[str, Table] = {table.name: table for table in _COMPUTED}
"""Marts that need linear algebra: ``neurons build`` computes them with torch (``pipeline/evidence``).

SQL reads each as ``raw_<name>``; before a build that view has no rows.
"""

READS: dict[str, tuple[str, ...]] = {
    "soft_wpmi": (
        *("stg_layers", "stg_run_examples", "stg_examples", "stg_activations"),
        *("raw_embeddings", "raw_concept_embeddings", "tested_concepts"),
    ),
    "label_nulls": (
        *("stg_runs", "stg_layers", "stg_run_examples", "stg_examples", "run_concepts"),
        *("tested_concepts", "top_examples", "settings", "label_null_repeats"),
        *("label_min_count", "label_max_q", "label_origins", "label_top_k"),
    ),
    "facet_aurocs": (
        *("stg_layers", "stg_run_examples", "stg_examples", "stg_activations"),
        *("example_strata", "stratum_concepts", "facet_candidates", "settings"),
        "facet_min_count",
    ),
    "neuron_neighbours": ("stg_layers", "stg_run_examples", "stg_examples", "stg_activations"),
    "top_example_groups": (
        *("stg_layers", "top_examples", "raw_embeddings", "settings", "label_top_k"),
    ),
    "neuron_clarity": (
        *("stg_layers", "stg_run_examples", "stg_examples", "top_examples", "raw_embeddings"),
        *("settings", "label_top_k"),
    ),
    "contrasting_examples": (
        *("stg_layers", "stg_run_examples", "stg_examples", "stg_activations"),
        *("top_examples", "raw_embeddings", "settings", "label_top_k"),
    ),
    "label_scores": (
        *("stg_layers", "stg_run_examples", "stg_examples", "stg_activations", "run_concepts"),
        *("tested_concepts", "tested_labels", "raw_contrasting_examples"),
    ),
}
"""What each rests on: views, tables, and settings by name. It is made again only if these change."""

FASTER = ("concept_ranks", "drawn_examples")
"""Marts that a build computes too, because SQL is too slow at it; the view answers without a build."""

BY_UNITS = ("concept_ranks", "facet_aurocs")
"""Marts that may be computed block by block of units, in the order of a build; see `upkeep.blocks`."""
