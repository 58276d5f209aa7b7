"""Which shards are new since the check views that look at one shard at a time found nothing.

Such a view has no row of a dataset if it has none of some shards alone, and none of all others alone: what
it counts, adds up or refers to lies in one shard, as long as no row of the new shards is of an old one, which
``check_foreign_keys`` tells (`GUARD`). So it is asked of the new shards, if what it was asked of before is
what it was, file by file; after a repair, a merge or a compaction it is asked of the whole dataset. Where it
has rows, it is asked of the whole dataset too, so that these are the rows that ``--all`` shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import duckdb

from pipeline.base.settings import LabelSettings, digest
from pipeline.tables.schema import TABLES
from pipeline.warehouse.catalog import catalog_digest
from pipeline.warehouse.connect import open_files
from pipeline.warehouse.contents import Inventory, owner_of
from pipeline.warehouse.small_tables import fill_small_tables
from pipeline.warehouse.views import find_source, is_view

BY_SHARD = (
    "check_activation_counts",
    "check_counts",
    "check_finite",
    "check_foreign_keys",
    "check_peaks",
    "check_samples",
    "check_unique_keys",
)
"""Views that are asked of new shards alone."""

GUARD = "check_foreign_keys"
"""If it has rows of the new shards, which may refer to old ones, every view is asked of all."""

WHOLE = {
    "check_attack_shares": "versions of an image lie in any shard",
    "check_class_scores": "a class set is of a run",
    "check_duplicates": "an image may repeat one of any shard",
    "check_facets": "strata are of a run",
    "check_human_labels": "labels are of a run",
    "check_ranks": "top examples are of a run",
    "check_stimuli": "versions of an image lie in any shard",
    "warn_class_sets": "a class set is of a run",
    "warn_examples_without_texts": "counts a dataset",
    "warn_neighbours": "compares layers",
    "warn_notices": "counts a dataset",
    "warn_random_weights": "looks at runs",
    "warn_shards": "lists all shards",
}
"""The others, and why they are asked of a whole dataset."""

Seals = Mapping[str, Mapping[str, str]]
"""By dataset, and by what is of it: ``/7`` of its index, ``RUN/7`` of a run, ``RUN/`` of many shards of one."""


def tables_of(views: tuple[str, ...]) -> set[str]:
    """The tables of files that views read."""
    todo, seen = list(views), set[str]()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += find_source(name).reads if is_view(name) else ()
    found = {name.removeprefix("raw_") for name in seen} & TABLES.keys()
    return found | ({"compact"} if "activations" in found else set())


def seal_shards(inventory: Inventory) -> dict[str, dict[str, str]]:
    """Seals that change with whatever the views of `BY_SHARD` read of a shard, or of many."""
    said: dict[str, dict[str, list[object]]] = {name: {} for name in inventory.datasets}
    for name in said:
        said[name]["/"] = [catalog_digest()]
    for layer in inventory.layers:
        said[layer.dataset].setdefault(f"{layer.run_id}/", []).append(layer)
    for shard in inventory.shards:
        if shard.status == "done":
            said[shard.dataset].setdefault(f"/{shard.shard_ordinal}", []).append(shard)
    for row in inventory.run_shards:
        if row.status == "done":
            said[row.dataset].setdefault(f"{row.run_id}/{row.shard_ordinal}", []).append(row)
    for table in sorted(tables_of(BY_SHARD)):
        for file in inventory.files_of(table):
            dataset, run = owner_of(file["path"])
            ordinal = _ordinal_of(file["path"])
            key = f"{run or ''}/{'' if ordinal is None else ordinal}"
            told = [file["path"], file["bytes"], file.get("checksum")]
            said[dataset].setdefault(key, []).append(told)
    return {
        dataset: {key: digest(value) for key, value in parts.items()}
        for dataset, parts in said.items()
    }


def list_new(now: Seals, known: Seals) -> dict[str, set[int] | None]:
    """By dataset, ordinals of the shards that are new; None: what is known is not as it was, ask all."""
    new: dict[str, set[int] | None] = {}
    for dataset, seals in now.items():
        old = known.get(dataset, {})
        added = seals.keys() - old.keys()
        is_whole = not old.items() <= seals.items() or any(key.endswith("/") for key in added)
        new[dataset] = None if is_whole else {int(key.rpartition("/")[2]) for key in added}
    return new


def open_shards(
    inventory: Inventory, new: Mapping[str, set[int] | None]
) -> duckdb.DuckDBPyConnection:
    """A connection in which the views of `BY_SHARD` see the shards of `list_new` alone."""

    def has(dataset: str, ordinal: int | None) -> bool:
        wanted = new.get(dataset)
        return wanted is None or ordinal in wanted

    part = replace(
        inventory,
        shards=[row for row in inventory.shards if has(row.dataset, row.shard_ordinal)],
        run_shards=[row for row in inventory.run_shards if has(row.dataset, row.shard_ordinal)],
        files=[
            file
            for table in sorted(tables_of(BY_SHARD))
            for file in inventory.files_of(table)
            if has(owner_of(file["path"])[0], _ordinal_of(file["path"]))
        ],
        left_out=[],
    )
    connection = open_files(part, look=False)  # what is damaged is an error, and not left out
    fill_small_tables(connection, part, LabelSettings())
    return connection


def _ordinal_of(path: str) -> int | None:
    """The shard that a file is of; None if it is of many: a merge, or a level of a compaction."""
    *folders, name = path.split("/")
    digits = name[: len(name) - len(name.lstrip("0123456789"))]
    return int(digits) if digits and "compact" not in folders else None
