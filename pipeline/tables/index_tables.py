"""The tables of a dataset: its index, what was left out, copies and stimuli."""

from __future__ import annotations

from pipeline.tables.columns import EXAMPLE_ID, REJECT_COLUMNS, Column, Table

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

INDEX_TABLES = (
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
            Column(
                "is_turned",
                "bool",
                "",
                "its EXIF turns it on its side: seen upright, width and height change places",
                since=3,
            ),
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
        columns=REJECT_COLUMNS,
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
)
