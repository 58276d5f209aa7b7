"""Every Parquet table that we write: column, type, unit, meaning, key.

This is the contract between the writers (sources, extract, compact) and the readers (the views under
``sql/``, and anyone who opens the files without us). ``warehouse/README.md`` is generated from it.

Where the files lie (``D`` a dataset, ``R`` a run, ``L`` a layer, ``N`` a shard's ordinal, five digits)::

    checked.json                                  what the last check found good: a cache
    dataset=D/dataset.json                        the registered, append-only list of shards
    dataset=D/shards/N.tar                        shards that an ingest wrote (others stay where they are)
    dataset=D/{examples,texts,rejects}/N.parquet  the index
    dataset=D/notices/N.parquet                   what was left out of used examples; only where there is some
    dataset=D/stimuli/N.parquet                   what controlled stimuli show; only where a shard has some
    dataset=D/fingerprints/N.parquet              what the images look like; not of stimuli
    dataset=D/duplicates/N.parquet                images that an earlier example already showed, or a copy
    dataset=D/manifests/N.json                    written last: the index of shard N is done; and once
                                                  more when its duplicates are: then views show it
    dataset=D/run_id=R/run.json                   the configuration, the model and the layers
    dataset=D/run_id=R/activations/layer=L/N.parquet      and shard_stats, shard_histograms, shard_top,
                                                          shard_samples
    dataset=D/run_id=R/{embeddings,run_rejects}/N.parquet
    dataset=D/run_id=R/manifests/N.json           written last: shard N is done
    dataset=D/run_id=R/class_scores/class_set=C/N-*.parquet  zero-shot scores of shard N
    dataset=D/run_id=R/class_sets/C.json          written last: classes, prompts, and which files
    dataset=D/run_id=R/concept_scores/N-*.parquet  the model's own reading of shard N
    dataset=D/run_id=R/concept_embeddings/*.parquet  text embeddings of the concepts' prompts
    dataset=D/run_id=R/similarity.json            written last: concepts, prompts, and which files
    dataset=D/run_id=R/human_labels/layer=L/NAME-*.parquet  what one person says of one neuron's sample
    dataset=D/run_id=R/human_labels/NAME.json     written last: who, which neuron, and which file
    dataset=D/run_id=R/compact/V/layer=L/B.parquet  the finalised form, one file per block of units
    dataset=D/run_id=R/compact/V/layer=L/B-stats.parquet  and what rank statistics need beside it
    dataset=D/run_id=R/compact.json               written last: which version V, of which shards
    marts/F/<mart>.parquet                        what neurons build derived, from data of fingerprint F
    *.json.copy                                   the same record again, where nothing else could give it back

``dataset``, ``run_id`` and ``layer`` are Hive partitions: they are columns of every view although no
file repeats them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLE_ID_BITS = 20
"""An example_id is shard ordinal x 2^20 + position: at most 1,048,576 samples in a shard."""


@dataclass(frozen=True)
class Column:
    """One column of a Parquet table."""

    name: str
    arrow: str
    """Arrow type: string, int32, int64, uint16, uint32, float16, float32, float64, list<float16>,
    binary, timestamp (microseconds, UTC)."""
    unit: str
    meaning: str
    since: int = 1
    """The `storage.FORMAT` that brought it; it is null for files of an earlier one."""

    @property
    def duckdb(self) -> str:
        """The type that DuckDB reads it as."""
        return _DUCKDB_TYPES[self.arrow]


_DUCKDB_TYPES = {
    "string": "varchar",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "uint16": "usmallint",
    "uint32": "uinteger",
    "float16": "float",
    "float32": "float",
    "float64": "double",
    "list<float16>": "float[]",
    "list<float32>": "float[]",
    "timestamp": "timestamptz",
    "binary": "blob",
}


@dataclass(frozen=True)
class Table:
    """One Parquet table.

    ``name`` is also its folder; the view over it is ``raw_<name>``.
    """

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    partitions: tuple[str, ...] = ("dataset",)
    meaning: str = ""
    column_names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "column_names", tuple(c.name for c in self.columns))

    def arrow_schema(self) -> pa.Schema:
        """The pyarrow schema of one file."""
        import pyarrow as pa

        kinds = {
            "string": pa.string(),
            "int16": pa.int16(),
            "int32": pa.int32(),
            "int64": pa.int64(),
            "uint16": pa.uint16(),
            "uint32": pa.uint32(),
            "float16": pa.float16(),
            "float32": pa.float32(),
            "float64": pa.float64(),
            "list<float16>": pa.list_(pa.float16()),
            "list<float32>": pa.list_(pa.float32()),
            "timestamp": pa.timestamp("us", tz="UTC"),
            "binary": pa.binary(),
        }
        return pa.schema([(c.name, kinds[c.arrow]) for c in self.columns])


EXAMPLE_ID = Column("example_id", "int64", "id", "shard ordinal x 2^20 + position in the shard")
"""In every table that has a row for an example."""
PARTITIONS = {
    "dataset": Column("dataset", "string", "", "name of the dataset"),
    "run_id": Column("run_id", "string", "", "the run"),
    "layer": Column("layer", "string", "", "module path, point and pooling"),
    "class_set": Column("class_set", "string", "", "the classes that it was chosen from"),
}
"""What the names of folders say."""
_UNIT = Column("unit", "int32", "index 0..", "position of the neuron inside its layer")
_RUN = ("dataset", "run_id")
_LAYER = ("dataset", "run_id", "layer")

_REJECT_COLUMNS = (
    Column("shard_ordinal", "int32", "ordinal 0..", "which shard of the dataset"),
    Column(
        "position",
        "int32",
        "index 0..",
        "place of the sample in its shard (stage source: in the source's list); null for a shard",
    ),
    Column(
        "shard_key",
        "string",
        "",
        "the sample's key, or the name of a further image; null when the whole shard is meant",
    ),
    Column("stage", "string", "", "where: source, index, decode, text, forward; shard: all of it"),
    Column("reason", "string", "", "a word to count by, such as image_truncated"),
    Column("detail", "string", "", "what was seen, for a person"),
)

_NOTICE_COLUMNS = (
    Column("shard_ordinal", "int32", "ordinal 0..", "which shard of the dataset"),
    Column("position", "int32", "index 0..", "place of the example in its shard; null: no example"),
    Column("shard_key", "string", "", "the example's key; null: no example"),
    Column("stage", "string", "", "where: source or index"),
    Column("reason", "string", "", "a word to count by, such as text_left_out or hidden_file"),
    Column("detail", "string", "", "what was seen, for a person"),
    Column("notice_count", "int64", "count", "how many texts or files the row tells of"),
)

STIMULUS_COLUMNS = (
    Column("stimulus", "string", "", "picture, word, typographic, stroop or derived"),
    Column(
        "concept", "string", "", "what it shows or says; typographic: what the clean image shows"
    ),
    Column("category", "string", "", "family of the concept"),
    Column(
        "facet",
        "string",
        "",
        "photo, colour drawing, flat drawing, 3d rendering, line drawing, edge map, silhouette, "
        "rendered word or colour card",
    ),
    Column("drawing_set", "string", "", "which set of drawings it is from"),
    Column("text", "string", "", "what is written in the image"),
    Column("language", "string", "BCP 47", "language of that text"),
    Column("script", "string", "ISO 15924", "script of that text"),
    Column("font", "string", "", "name of the font"),
    Column("font_size_px", "float32", "px", "size of the font (em)"),
    Column("ink", "string", "#rrggbb", "colour of the text"),
    Column("paper", "string", "#rrggbb", "colour behind the text or drawing"),
    Column("rotation_deg", "float32", "degrees", "counter-clockwise turn of the text"),
    Column("placement", "string", "", "where the text or patch is: centre, anywhere, top-left ..."),
    Column(
        "control",
        "string",
        "",
        "typographic: clean, blank, right_word, attack; stroop: neutral, congruent, incongruent",
    ),
    Column("attack_text", "string", "", "text of the attack, which the controls are beside"),
    Column("attack_concept", "string", "", "concept that the attack text names"),
    Column("base_key", "string", "", "key of the clean image: groups the versions of one image"),
    Column("covered_frac", "float32", "0..1", "share of the pixels that the patch covers"),
    Column("ink_name", "string", "", "stroop: name of the colour of the ink"),
    Column("word_name", "string", "", "stroop: colour that the word names; null if neutral"),
)
"""What may be said of a stimulus: members of ``stimulus`` in a sample's JSON, and the table's columns."""

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "examples",
            grain="one row per image of the dataset that can be read",
            key=("dataset", "example_id"),
            meaning="Where each image lies, byte for byte; the image itself is never copied.",
            columns=(
                EXAMPLE_ID,
                Column("shard_ordinal", "int32", "ordinal 0..", "which shard of the dataset"),
                Column("shard_key", "string", "", "the sample's WebDataset key"),
                Column("image_sha256", "string", "hex", "hash of the image's bytes, as stored"),
                Column("width_px", "int32", "px", "width as the image's header states it"),
                Column("height_px", "int32", "px", "height as the image's header states it"),
                Column("mime_type", "string", "", "type found in the bytes, not in the name"),
                Column("image_offset", "int64", "bytes", "where the image begins in the tar"),
                Column("image_bytes", "int64", "bytes", "length of the image in the tar"),
                Column("source_url", "string", "", "where the image came from; null if unknown"),
            ),
        ),
        Table(
            "texts",
            grain="one row per (example, language, text_kind, text_rank)",
            key=("dataset", "example_id", "language", "text_kind", "text_rank"),
            meaning="Every text that came with an image, in every language.",
            columns=(
                EXAMPLE_ID,
                Column("language", "string", "BCP 47", "language of the text; 'und' if unknown"),
                Column(
                    "text_kind",
                    "string",
                    "",
                    "caption, attribution, alt, page_title, section_title, section, page",
                ),
                Column(
                    "text_rank",
                    "int32",
                    "rank 1..",
                    "order among texts of the same language and kind",
                ),
                Column("text", "string", "", "the text, as it came"),
                Column("page_title", "string", "", "title of the page it stood on; null if none"),
            ),
        ),
        Table(
            "stimuli",
            grain="one row per example that is a controlled stimulus",
            key=("dataset", "example_id"),
            meaning="What an image shows by construction; datasets without stimuli have no such file.",
            columns=(EXAMPLE_ID, *STIMULUS_COLUMNS),
        ),
        Table(
            "rejects",
            grain="one row per sample or further image of a sample that the index rejected",
            key=("dataset", "shard_ordinal", "position", "stage", "shard_key"),
            meaning="What could not be indexed, and why.",
            columns=_REJECT_COLUMNS,
        ),
        Table(
            "notices",
            grain="one row per example and reason, and one per shard and reason for what has no example",
            key=("dataset", "shard_ordinal", "position", "stage", "reason"),
            meaning=(
                "What was left out of an example that is used, such as a text that cannot be read, and "
                "which files were passed over; a shard without any has no such file."
            ),
            columns=_NOTICE_COLUMNS,
        ),
        Table(
            "fingerprints",
            grain="one row per example that copies are looked for of",
            key=("dataset", "example_id"),
            meaning=(
                "What an image looks like. Stimuli have none (they differ by construction, however "
                "alike), nor what cannot be decoded, nor a dataset that takes only identical files."
            ),
            columns=(
                EXAMPLE_ID,
                Column("width_px", "int32", "px", "width of the image, upright"),
                Column("height_px", "int32", "px", "height of the image, upright"),
                *(
                    Column(f"hash_{n}", "int64", "bits", f"bits {48 * n - 47} to {48 * n} of 240")
                    for n in range(1, 6)
                ),
                Column(
                    "thumb",
                    "binary",
                    "0..255",
                    "brightness 32 x 32, then blue and red difference 8 x 8, one byte each",
                ),
            ),
        ),
        Table(
            "duplicates",
            grain="one row per example whose image an earlier example already showed",
            key=("dataset", "example_id"),
            meaning="Rankings and tests count a group of copies once, by its first example.",
            columns=(
                EXAMPLE_ID,
                Column("duplicate_of", "int64", "id", "the group's first example"),
                Column(
                    "copy_kind",
                    "string",
                    "",
                    "identical (the same file), resized (or encoded anew), grey or cropped; null in "
                    "files of format 1: identical",
                    since=2,
                ),
                Column(
                    "first_sha256",
                    "string",
                    "hex",
                    "image_sha256 of the group's first example, which decides the half; null: its own",
                    since=2,
                ),
            ),
        ),
        Table(
            "run_rejects",
            grain="one row per example that a run could not use",
            key=("dataset", "run_id", "shard_ordinal", "position", "stage"),
            partitions=_RUN,
            meaning="What could not be decoded or encoded, and why.",
            columns=_REJECT_COLUMNS,
        ),
        Table(
            "embeddings",
            grain="one row per example of the run",
            key=("dataset", "run_id", "example_id"),
            partitions=_RUN,
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
            partitions=_RUN,
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
            partitions=_RUN,
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
            partitions=_LAYER,
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
            partitions=_LAYER,
            meaning="Mergeable moments over all activations of the shard, stored or not.",
            columns=(
                _UNIT,
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
            partitions=_LAYER,
            meaning="Counts on fixed edges that suit any scale: four bins an octave, on both sides.",
            columns=(
                _UNIT,
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
            partitions=_LAYER,
            meaning="The strongest and weakest examples of a shard, duplicated images left out.",
            columns=(
                _UNIT,
                Column("shard_ordinal", "int32", "ordinal 0..", "which shard of the dataset"),
                Column("polarity", "string", "", "positive or negative"),
                Column("example_rank", "int32", "rank 1..", "1 = most extreme; ties by example_id"),
                EXAMPLE_ID,
                Column("activation", "float32", "model units", "activation after pooling"),
            ),
        ),
        Table(
            "shard_samples",
            grain="one row per neuron, shard, bin and sampled example",
            key=("dataset", "run_id", "layer", "unit", "shard_ordinal", "bin", "example_id"),
            partitions=_LAYER,
            meaning=(
                "Of each bin the twelve examples with the smallest priorities (macro sample_priority), or "
                "all if there are fewer, repeated images left out; also where nothing is stored."
            ),
            columns=(
                _UNIT,
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
            ),
        ),
        Table(
            "human_labels",
            grain="one row per neuron, labeller and labelled example",
            key=("dataset", "run_id", "layer", "unit", "labeller", "example_id"),
            partitions=_LAYER,
            meaning="What people say that sampled images show.",
            columns=(
                _UNIT,
                EXAMPLE_ID,
                Column("category", "string", "", "what they say it shows"),
                Column("labeller", "string", "", "who says so"),
                Column("note", "string", "", "what they add; null if nothing"),
                Column("labelled_at", "timestamp", "UTC", "when it was imported"),
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
            partitions=_LAYER,
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
            partitions=_LAYER,
            meaning="What rank statistics need of a neuron beside the ranks; distinct images only.",
            columns=(
                Column("unit", "uint32", "index 0..", "position of the neuron inside its layer"),
                Column("half", "string", "", "screening or testing"),
                Column("stored_count", "int64", "count", "stored activations"),
                Column(
                    "tie_sum", "float64", "count^3", "sum of t^3 - t over groups of t equal ones"
                ),
                Column("activation_sum", "float64", "model units", "sum of them"),
            ),
        ),
    )
}
