"""The tables of what figures of the paper ask of a run's model itself, beside the images of the run."""

from __future__ import annotations

from pipeline.tables.columns import OF_LAYER, OF_RUN, UNIT, Column, Table

_PHRASE = (
    Column("phrase_rank", "int32", "rank 1..20", "1 = closest; ties by phrase"),
    Column("phrase", "string", "", "name of a concept of the lexicon, or of the run"),
    Column("category", "string", "", "its families, with commas"),
)

FIGURE_TABLES = (
    Table(
        "weight_texts",
        grain="one row per neuron that leads straight to the embedding, and rank",
        key=("dataset", "run_id", "layer", "unit", "phrase_rank"),
        partitions=OF_LAYER,
        meaning="The phrases closest to what each neuron writes into the embedding, by the weights alone.",
        columns=(
            UNIT,
            *_PHRASE,
            Column("cosine", "float32", "-1..1", "of the phrase with what the neuron writes"),
            Column(
                "random_cosine",
                "float32",
                "-1..1",
                "the same of a random direction: a sum of what all neurons of the layer write",
            ),
        ),
    ),
    Table(
        "second_order_texts",
        grain="one row per neuron that acts through later attention layers, and rank",
        key=("dataset", "run_id", "layer", "unit", "phrase_rank"),
        partitions=OF_LAYER,
        meaning="The phrases closest to what each neuron does to the embedding of the images that excite it "
        "most, through the attention layers that come after it.",
        columns=(
            UNIT,
            *_PHRASE,
            Column("cosine", "float32", "-1..1", "of the phrase with where the effects point"),
            Column(
                "random_cosine",
                "float32",
                "-1..1",
                "the same of a random direction: a sum of where those of all neurons of the layer point",
            ),
            Column(
                "image_count", "int32", "count", "images of the run that were looked at, 10 at most"
            ),
            Column(
                "explained_frac",
                "float32",
                "0..1",
                "share of the effects' sum of squares on these images that is along one direction",
            ),
        ),
    ),
    Table(
        "word_embeddings",
        grain="one row per word that was drawn as an image and shown to the run's model",
        key=("dataset", "run_id", "word"),
        partitions=OF_RUN,
        meaning="The model's image embedding of each word, drawn black on white in one font.",
        columns=(
            Column("word", "string", "", "what is written on the image"),
            Column(
                "category",
                "string",
                "",
                "families of the concept that is called so, with commas; empty: there is none",
            ),
            Column("embedding", "list<float16>", "L2 norm 1", "image embedding"),
            Column(
                "centred_embedding",
                "list<float16>",
                "L2 norm 1",
                "the same less the mean over all words of the table",
            ),
        ),
    ),
    Table(
        "region_answers",
        grain="one row per neuron and name of a region",
        key=("dataset", "run_id", "layer", "unit", "concept"),
        partitions=OF_LAYER,
        meaning="What each neuron answers to the names of regions, drawn black on white in one font.",
        columns=(
            UNIT,
            Column("concept", "string", "", "the region, as its name is written"),
            Column("activation", "float32", "model units", "activation after pooling"),
        ),
    ),
    Table(
        "map_answers",
        grain="one row per neuron, country and way of showing it on a map",
        key=("dataset", "run_id", "layer", "unit", "concept", "crop"),
        partitions=OF_LAYER,
        meaning="What each neuron answers to crops of a map of the world, without words.",
        columns=(
            UNIT,
            Column("concept", "string", "", "the country"),
            Column(
                "crop",
                "string",
                "country or place",
                "country: it is dark among grey land; place: all land is grey",
            ),
            Column("activation", "float32", "model units", "activation after pooling"),
        ),
    ),
)
