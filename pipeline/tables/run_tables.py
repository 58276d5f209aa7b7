"""The tables of a run: activations and their partials, embeddings, scores, labels, compactions."""

from __future__ import annotations

from pipeline.tables.columns import (
    EXAMPLE_ID,
    OF_LAYER,
    OF_RUN,
    PEAK,
    REJECT_COLUMNS,
    UNIT,
    Column,
    Table,
)

RUN_TABLES = (
    Table(
        "run_rejects",
        grain="one row per example that a run could not use",
        key=("dataset", "run_id", "shard_ordinal", "position", "stage"),
        partitions=OF_RUN,
        meaning="What could not be decoded or encoded, and why.",
        columns=REJECT_COLUMNS,
    ),
    Table(
        "embeddings",
        grain="one row per example of the run",
        key=("dataset", "run_id", "example_id"),
        partitions=OF_RUN,
        meaning="CLIP's image embedding.",
        columns=(
            EXAMPLE_ID,
            Column("embedding", "list<float16>", "L2 norm 1", "the model's image embedding"),
        ),
    ),
    Table(
        "class_scores",
        grain="one row per (example, class) of a class set",
        key=("dataset", "run_id", "class_set", "example_id", "class_name"),
        partitions=("dataset", "run_id", "class_set"),
        meaning="Zero-shot classification: CLIP's logit and the softmax over the class set.",
        columns=(
            EXAMPLE_ID,
            Column("class_name", "string", "", "the class, as it goes into the prompts"),
            Column("logit", "float32", "logit", "cosine x logit_scale of the model"),
            Column("probability", "float32", "0..1", "softmax of the logits of the class set"),
        ),
    ),
    Table(
        "concept_scores",
        grain="one row per (example, concept) that the model finds likely",
        key=("dataset", "run_id", "example_id", "concept"),
        partitions=OF_RUN,
        meaning="The model's own reading of an image: its likeliest concepts by zero-shot.",
        columns=(
            EXAMPLE_ID,
            Column("concept", "string", "", "name of the concept"),
            Column("probability", "float32", "0..1", "softmax over all concepts' prompts"),
        ),
    ),
    Table(
        "concept_embeddings",
        grain="one row per concept",
        key=("dataset", "run_id", "concept"),
        partitions=OF_RUN,
        meaning="The text embedding of each concept's prompts, averaged and normalised.",
        columns=(
            Column("concept", "string", "", "name of the concept"),
            Column("embedding", "list<float32>", "L2 norm 1", "text embedding"),
        ),
    ),
    Table(
        "activations",
        grain="one row per (neuron, example) whose activation the run stores",
        key=("dataset", "run_id", "layer", "unit", "example_id"),
        partitions=OF_LAYER,
        meaning="Unit-major, ascending example_id. A run that stores 'positive' leaves out the rest.",
        columns=(
            Column("unit", "uint16", "index 0..", "position of the neuron inside its layer"),
            EXAMPLE_ID,
            Column("activation", "float16", "model units", "activation after pooling"),
        ),
    ),
    Table(
        "shard_stats",
        grain="one row per neuron and shard",
        key=("dataset", "run_id", "layer", "unit", "shard_ordinal"),
        partitions=OF_LAYER,
        meaning=(
            "Mergeable moments over all activations of the shard, stored or not. Where shards were "
            "merged, a row is of them all, under the ordinal of their first."
        ),
        columns=(
            UNIT,
            Column("shard_ordinal", "int32", "ordinal 0..", "which shard of the dataset"),
            Column("example_count", "int64", "count", "examples, duplicated images included"),
            Column("duplicate_count", "int64", "count", "of these, duplicated images"),
            Column("zero_count", "int64", "count", "activations that are exactly zero"),
            Column("positive_count", "int64", "count", "activations above zero"),
            Column("activation_sum", "float64", "model units", "sum of the activations"),
            Column("activation_sum_sq", "float64", "model units^2", "sum of their squares"),
            Column("activation_min", "float32", "model units", "smallest activation"),
            Column("activation_max", "float32", "model units", "largest activation"),
            Column(
                "central_sum_2",
                "float64",
                "model units^2",
                "sum of squared deviations from the shard's own mean",
                since=2,
            ),
            Column("central_sum_3", "float64", "model units^3", "of their cubes", since=2),
            Column("central_sum_4", "float64", "model units^4", "of their 4th powers", since=2),
            Column(
                "positive_sum",
                "float64",
                "model units",
                "sum of the activations above zero",
                since=2,
            ),
            Column("positive_sum_sq", "float64", "model units^2", "of their squares", since=2),
        ),
    ),
    Table(
        "shard_histograms",
        grain="one row per neuron, shard and bin that is not empty",
        key=("dataset", "run_id", "layer", "unit", "shard_ordinal", "bin"),
        partitions=OF_LAYER,
        meaning=(
            "Counts on fixed edges that suit any scale: four bins an octave, on both sides. Merged as "
            "shard_stats are."
        ),
        columns=(
            UNIT,
            Column("shard_ordinal", "int32", "ordinal 0..", "which shard of the dataset"),
            Column(
                "bin",
                "int16",
                "index",
                "0 is exactly zero; sign of the activation; |bin| 1..125 away from zero",
            ),
            Column("example_count", "int64", "count", "activations in the bin"),
        ),
    ),
    Table(
        "shard_top",
        grain="one row per neuron, shard, polarity and rank",
        key=("dataset", "run_id", "layer", "unit", "shard_ordinal", "polarity", "example_rank"),
        partitions=OF_LAYER,
        meaning=(
            "The strongest and weakest examples of a shard, duplicated images left out. Merged as "
            "shard_stats are."
        ),
        columns=(
            UNIT,
            Column("shard_ordinal", "int32", "ordinal 0..", "which shard of the dataset"),
            Column("polarity", "string", "", "positive or negative"),
            Column("example_rank", "int32", "rank 1..", "1 = most extreme; ties by example_id"),
            EXAMPLE_ID,
            Column("activation", "float32", "model units", "activation after pooling"),
            PEAK,
        ),
    ),
    Table(
        "shard_samples",
        grain="one row per neuron, shard, bin and sampled example",
        key=("dataset", "run_id", "layer", "unit", "shard_ordinal", "bin", "example_id"),
        partitions=OF_LAYER,
        meaning=(
            "Of each bin the twelve examples with the smallest priorities (macro sample_priority), or "
            "all if there are fewer, repeated images left out; also where nothing is stored."
        ),
        columns=(
            UNIT,
            Column("shard_ordinal", "int32", "ordinal 0..", "which shard of the dataset"),
            Column(
                "bin",
                "int16",
                "index",
                "0 is exactly zero; sign of the activation; |bin| n from 2^(n-16) to 2^(n-15), but "
                "the shard's lowest of each side begins at zero, and 32 does not end",
            ),
            Column("bin_example_count", "int64", "count", "images of the shard in the bin"),
            EXAMPLE_ID,
            Column("activation", "float32", "model units", "activation after pooling"),
            PEAK,
        ),
    ),
    Table(
        "merged_samples",
        grain="one row per neuron, merge, stratum and sampled example",
        key=(
            "dataset",
            "run_id",
            "layer",
            "unit",
            "shard_ordinal",
            "bin",
            "is_lowest",
            "example_id",
        ),
        partitions=OF_LAYER,
        meaning=(
            "shard_samples of many shards as one. Of each stratum the examples up to the smallest "
            "priority beyond which one of them left any out, and no more than 120."
        ),
        columns=(
            UNIT,
            Column("shard_ordinal", "int32", "ordinal 0..", "the first of the shards"),
            Column("bin", "int16", "index", "as in shard_samples"),
            Column("is_lowest", "bool", "", "it was its shards' lowest on its side of zero"),
            Column("bin_example_count", "int64", "count", "images of the shards in the stratum"),
            EXAMPLE_ID,
            Column("activation", "float32", "model units", "activation after pooling"),
            PEAK,
        ),
    ),
    Table(
        "human_labels",
        grain="one row per neuron, labeller and labelled example",
        key=("dataset", "run_id", "layer", "unit", "labeller", "example_id"),
        partitions=OF_LAYER,
        meaning="What people say that sampled images show.",
        columns=(
            UNIT,
            EXAMPLE_ID,
            Column("category", "string", "", "what they say it shows"),
            Column("labeller", "string", "", "who says so"),
            Column("note", "string", "", "what they add; null if nothing"),
            Column(
                "labelled_at", "timestamp", "UTC", "when it was said in the explorer, or imported"
            ),
            Column(
                "activation",
                "float32",
                "model units",
                "the neuron's activation; null if the run does not know it: zero or below",
            ),
        ),
    ),
    Table(
        "compact",
        grain="one row per (neuron, example) whose activation the run stores",
        key=("dataset", "run_id", "layer", "unit", "example_id"),
        partitions=OF_LAYER,
        meaning="The activations again, sorted by (unit, activation desc, example_id), with ranks.",
        columns=(
            Column("unit", "uint32", "index 0..", "position of the neuron inside its layer"),
            EXAMPLE_ID,
            Column("activation", "float32", "model units", "activation after pooling"),
            Column(
                "rank2",
                "int64",
                "2 x rank",
                "twice the ascending mid-rank among the distinct images of the same half, ties "
                "averaged; null for a repeated image",
            ),
        ),
    ),
    Table(
        "compact_stats",
        grain="one row per (neuron, half) with a stored activation",
        key=("dataset", "run_id", "layer", "unit", "half"),
        partitions=OF_LAYER,
        meaning="What rank statistics need of a neuron beside the ranks; distinct images only.",
        columns=(
            Column("unit", "uint32", "index 0..", "position of the neuron inside its layer"),
            Column("half", "string", "", "screening or testing"),
            Column("stored_count", "int64", "count", "stored activations"),
            Column("tie_sum", "float64", "count^3", "sum of t^3 - t over groups of t equal ones"),
            Column("activation_sum", "float64", "model units", "sum of them"),
        ),
    ),
    Table(
        "compact_counts",
        grain="one row per (neuron, half, value) that a level of a compaction holds",
        key=("dataset", "run_id", "layer", "unit", "half", "activation"),
        partitions=OF_LAYER,
        meaning=(
            "How often each stored value occurs: added up over levels, it gives every rank. Distinct "
            "images only."
        ),
        columns=(
            Column("unit", "uint32", "index 0..", "position of the neuron inside its layer"),
            Column("half", "string", "", "screening or testing"),
            Column("activation", "float32", "model units", "the value"),
            Column("example_count", "int64", "count", "images that have it"),
        ),
    ),
)
