"""What shards that are added to a dataset or a run cost: which marts grow by them, and which are made whole.

A mart that grows has rows that rest on one example each. It tells in its own file which shards it is of
(`Origin`); if these are still there as they were, only the others are asked, and the rows are put together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from pipeline.base.settings import digest
from pipeline.tables.manifests import FileEntry
from pipeline.warehouse.parts import Fingerprints, Part

GROWING = {"named_concepts": "texts"}
"""Marts that grow, and the table whose files of new shards are all that is read."""

BOUNDED = {
    "neuron_stats": "merged statistics",
    "top_examples": "merged statistics",
    "top_example_groups": "each neuron's top images",
}
"""Marts that are made again from rows whose number does not grow with the images, and what these are."""

_RANKS = "a rank is among all images"
_TESTS = "a test counts all images, its q all pairs"
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
    """Hash of their files."""

    def to_json(self) -> str:
        """For the footer of a file."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, names: Fingerprints, part: Part, name: str, ordinals: Iterable[int]) -> Origin:
        """Of a mart that grows, over some of the shards that are there."""
        files = shards_of(names, part, name)
        chosen = sorted(ordinals)
        base = names.of(part, name, without=f"raw_{GROWING[name]}")
        told = [(f["path"], f["row_count"], f["bytes"]) for n in chosen for f in [files[n]]]
        return cls(base, _as_ranges(chosen), digest(told))


def shards_of(names: Fingerprints, part: Part, name: str) -> dict[int, FileEntry]:
    """By ordinal, the files that a mart that grows is made from."""
    files = part.of(names.inventory).files_of(GROWING[name])
    return {int(file["path"].rpartition("/")[2].split(".")[0]): file for file in files}


def find_added(
    names: Fingerprints, part: Part, name: str, metadata: Mapping[bytes, bytes]
) -> Sequence[FileEntry] | None:
    """The files of shards that an earlier mart is not of; None if it cannot grow to what there is now.

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
    files = shards_of(names, part, name)
    if not files.keys() >= known or origin != Origin.of(names, part, name, known):
        return None
    return [file for ordinal, file in files.items() if ordinal not in known]


def _as_ranges(ordinals: Sequence[int]) -> str:
    runs = groupby(enumerate(ordinals), key=lambda pair: pair[1] - pair[0])
    spans = [[ordinal for _, ordinal in run] for _, run in runs]
    return " ".join(f"{s[0]}-{s[-1]}" if len(s) > 1 else str(s[0]) for s in spans)


def _from_ranges(text: str) -> set[int]:
    spans = [[int(end) for end in span.split("-")] for span in text.split()]
    return {ordinal for span in spans for ordinal in range(span[0], span[-1] + 1)}
