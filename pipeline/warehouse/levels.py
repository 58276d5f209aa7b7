"""Which levels of a run's compaction are of today's files: each is named by what it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

from pipeline.base.settings import digest
from pipeline.tables.manifests import FileEntry, ShardManifest
from pipeline.tables.runs import CompactLevel, CompactRecord, list_levels
from pipeline.warehouse.contents import Mark

RANKS_FORM = "within halves"
"""What the ranks of ``compact.json`` are; a compaction of an earlier form is not used."""


def mark_compaction(
    manifests: list[ShardManifest], index: dict[int, list[FileEntry]]
) -> dict[int, list[Mark]]:
    """What a compaction of each done shard rests on: activations, and the images that are told apart.

    A shard that is extracted again, on another device say, has other last digits.
    """
    return {
        manifest["ordinal"]: [
            # wherever it lies: a run may be renamed
            ("/".join(file["path"].split("/")[-2:]), file.get("checksum", file["bytes"]))
            for file in (*manifest["files"], *index.get(manifest["ordinal"], ()))
            if file["table"] in ("activations", "examples", "duplicates")
        ]
        for manifest in manifests
        if manifest["status"] == "done"
    }


def compact_version(marks: Iterable[list[Mark]]) -> str:
    """What a compaction of some shards is called: it changes whenever one of them does."""
    return digest([RANKS_FORM, sorted(chain.from_iterable(marks))])


def list_valid_levels(
    record: CompactRecord, tell_marks: Callable[[], dict[int, list[Mark]]]
) -> list[CompactLevel]:
    """The levels of a compaction whose shards are all done and what they were."""
    if record.get("form") != RANKS_FORM:
        return []
    marks = tell_marks()
    counted = {f["path"].split("/")[3] for f in record["files"] if f["table"] == "compact_counts"}
    valid = []
    for level in list_levels(record):
        ordinals, version = level["ordinals"], level["version"]
        if not marks.keys() >= set(ordinals):
            continue
        is_whole = len(ordinals) == len(marks)
        is_same = compact_version(marks[n] for n in ordinals) == version
        if (is_same or (is_whole and record.get("format", 1) < 2)) and (
            is_whole or version in counted or not level["row_count"]
        ):
            valid.append(level)
    return valid
