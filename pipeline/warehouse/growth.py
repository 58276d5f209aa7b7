"""What shards that are added to a dataset or a run cost: which marts grow by them, and which are made whole.

A mart that grows tells in its own file which shards it is of (`Origin`). If these are still there as they were,
only the others are asked, and its own rows stand for all that are not.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import NamedTuple

from pipeline.base.settings import digest
from pipeline.tables.columns import EXAMPLE_ID_BITS
from pipeline.tables.manifests import FileEntry
from pipeline.warehouse.parts import OF_SHARDS, Fingerprints, Part


class Growth(NamedTuple):
    """How a mart grows."""

    table: str
    """Of this the rows of new shards are read, and no others."""
    earlier: str = ""
    """The rows of the mart before, ``earlier``, as rows of that table, from which all is asked again; if empty,
    they stay as they are, and those of the new shards are put beside."""


TOP_AS_PARTIALS = """
select
    dataset, run_id, layer, unit, polarity, example_rank, example_id, activation,
    coalesce(peak_token, peak_row * grid_columns + peak_column + prefix_tokens) as peak,
from earlier
left join stg_layers using (dataset, run_id, layer)
"""
"""The k strongest of some shards are to the others what those of one shard are. A peak before the patches is
lost, as it is in the view: it has no place."""

GROWING = {
    "named_concepts": Growth("texts"),
    "top_examples": Growth("shard_top", TOP_AS_PARTIALS),
}
"""Marts that grow."""

KEEPING = ("top_example_groups",)
"""Marts of which the rows of a neuron are kept while its top images are the same; the others are made again."""

BOUNDED = {"neuron_stats": "merged statistics"}
"""Marts that are made again from rows whose number does not grow with the images, and what these are."""

_RANKS = "a rank is among all images"
_TESTS = "a test counts all images, its q all pairs"
_DRAWN = "what is drawn of a bin depends on all its images"
_SAMPLES = "they rest on a sample of all images"
_COPIES = "which image is a copy is told among all"

WHOLE = {
    "example_concepts": _COPIES,
    "run_concepts": _COPIES,
    "concepts": "it counts all examples",
    "soft_wpmi": "neurons are compared over the top of all images",
    "neuron_enrichments": _TESTS,
    "concept_ranks": _RANKS,
    "neuron_concepts": _TESTS,
    "tested_labels": _TESTS,
    "drawn_examples": _DRAWN,
    "shown_counts": _DRAWN,
    "facet_candidates": _TESTS,
    "facet_aurocs": _RANKS,
    "label_nulls": "concepts are permuted among all images",
    "neuron_neighbours": _SAMPLES,
    "neuron_clarity": _SAMPLES,
    "contrasting_examples": _SAMPLES,
    "label_scores": _RANKS,
}
"""Marts of which every row can change with one image more, and why: they are made whole."""

ORIGIN_KEY = "made_from"
"""Under it the origin stands in the footer of a mart's file."""


@dataclass(frozen=True)
class Origin:
    """Which shards a mart is of."""

    base: str
    """Hash of all else that it rests on."""
    ordinals: str
    """Of its shards, as ``0-98 100``."""
    shards: str
    """Hash of what they hold."""

    def to_json(self) -> str:
        """For the footer of a file."""
        return json.dumps(asdict(self))

    @classmethod
    def of(
        cls, names: Fingerprints, part: Part, name: str, ordinals: Iterable[int] | None = None
    ) -> Origin:
        """Of a mart over all shards that are there, or some."""
        shards = names.shards(part, _table_of(name))
        chosen = sorted(shards if ordinals is None else ordinals)
        base = names.of(part, name, without=_tables_of(name))
        return cls(base, _as_ranges(chosen), digest([shards[n] for n in chosen]))


def _table_of(name: str) -> str:
    return GROWING[name].table if name in GROWING else "embeddings"


def _tables_of(name: str) -> Collection[str]:
    """What differs with the shards alone: all that a run has of each, or one table of a dataset."""
    table = _table_of(name)
    return OF_SHARDS if table in OF_SHARDS else (table,)


def find_added(
    names: Fingerprints, part: Part, name: str, metadata: Mapping[bytes, bytes]
) -> list[int] | None:
    """Ordinals of shards that an earlier mart is not of; None if it cannot grow to what there is now.

    Args:
        names: What there is now.
        part: Of what.
        name: Of the mart.
        metadata: In the footer of the earlier mart's file.
    """
    try:
        origin = Origin(**json.loads(metadata.get(ORIGIN_KEY.encode(), b"{}")))
        known = _from_ranges(origin.ordinals)
    except (TypeError, ValueError):  # it is none of ours, or of another version
        return None
    there = names.shards(part, _table_of(name)).keys()
    if not there >= known or origin != Origin.of(names, part, name, known):
        return None
    return sorted(there - known)


def files_of_shards(files: Iterable[FileEntry], ordinals: Collection[int]) -> list[FileEntry]:
    """Of the files of a table those that may have rows of some shards: their own, and all merged ones."""
    stems = ((file, file["path"].rpartition("/")[2].partition(".")[0]) for file in files)
    return [file for file, stem in stems if not stem.isdigit() or int(stem) in ordinals]


def rows_of_shards(ordinals: Sequence[int]) -> str:
    """SQL that is true of examples of some shards, one or more; files of others are passed over."""
    first, end = (min(ordinals) << EXAMPLE_ID_BITS), ((max(ordinals) + 1) << EXAMPLE_ID_BITS)
    one = ", ".join(map(str, ordinals))
    return f"example_id >= {first} and example_id < {end} and example_id >> {EXAMPLE_ID_BITS} in ({one})"


def _as_ranges(ordinals: Sequence[int]) -> str:
    runs = groupby(enumerate(ordinals), key=lambda pair: pair[1] - pair[0])
    spans = [[ordinal for _, ordinal in run] for _, run in runs]
    return " ".join(f"{s[0]}-{s[-1]}" if len(s) > 1 else str(s[0]) for s in spans)


def _from_ranges(text: str) -> set[int]:
    spans = [[int(end) for end in span.split("-")] for span in text.split()]
    return {ordinal for span in spans for ordinal in range(span[0], span[-1] + 1)}
