"""The parts of a build, each with marts of its own: a dataset, a run, two runs that are compared, the whole.

A mart's file is named by a hash of what it rests on, `Fingerprints.of`: the SQL and the code that make it,
the settings these read, and the data of its part. So it is fresh if and only if there is a file of its name,
and what changes elsewhere leaves it alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict
from functools import cache, cached_property
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from pipeline.base.settings import LabelSettings, digest
from pipeline.concepts.facets import FACET_CLASS_SET
from pipeline.concepts.phrases import phrases_digest
from pipeline.tables.computed import DERIVED, FASTER, READS
from pipeline.tables.datasets import dataset_folder, run_folder
from pipeline.tables.manifests import FileEntry
from pipeline.tables.merged import PARTIALS
from pipeline.tables.schema import TABLES
from pipeline.warehouse.contents import Inventory, owner_of
from pipeline.warehouse.own_concepts import digest_lexicon, facet_prompts
from pipeline.warehouse.views import (
    MATERIALISED,
    OF_DATASET,
    OF_WAREHOUSE,
    find_source,
    is_view,
    load_statements,
)

LEXICON = "lexicon"
"""The lexicon among the marts of the whole, for ``views.sql``."""

MART = re.compile(
    r"marts/(?:(?:all|dataset=[^/]+(?:/run_id=[^/]+(?:/with=[^/]+)?)?)/"
    r"(?:[a-z_]+-[0-9a-f]{12}|blocks/[a-z_]+-[0-9a-f]{12}-\d{5})"
    r"|[0-9a-f]{12}/[a-z_]+|lexicon)\.parquet\Z"
)
"""The path of a mart of ours, or of a block of one, as this version and earlier ones have it."""

OF_TWO_RUNS = ("neuron_neighbours",)
"""What a run has of its own, and each two runs of a dataset together."""

_APART = frozenset(("raw_shards", "raw_files"))
"""No answer of a mart changes with them: files say which shards are done."""

OF_SHARDS = frozenset(
    (
        "activations",
        "compact",
        "compact_stats",
        "compact_counts",
        "embeddings",
        "run_rejects",
        "merged_samples",
        *PARTIALS,
    )
)
"""Written when a shard is extracted, which its row in ``raw_run_shards`` tells. Their files say less: they
are compacted and merged, and no answer changes."""


class Part(NamedTuple):
    """What some marts are about."""

    dataset: str = ""
    """Empty: the whole warehouse."""
    runs: tuple[str, ...] = ()
    """None, one, or two that are compared."""

    @property
    def folder(self) -> str:
        """Where its marts lie."""
        if not self.dataset:
            return "marts/all"
        if not self.runs:
            return f"marts/{dataset_folder(self.dataset)}"
        other = "".join(f"/with={run}" for run in self.runs[1:])
        return f"marts/{run_folder(self.dataset, self.runs[0])}{other}"

    @property
    def marts(self) -> tuple[str, ...]:
        """Its marts, in the order in which they are built."""
        if not self.dataset:
            return OF_WAREHOUSE
        if not self.runs:
            return OF_DATASET
        if len(self.runs) == 2:
            return OF_TWO_RUNS
        return tuple(name for name in MATERIALISED if name not in OF_DATASET + OF_WAREHOUSE)

    @property
    def told(self) -> str:
        """What it is called."""
        return "/".join((self.dataset, " with ".join(self.runs))).strip("/") or "all datasets"

    def of(self, inventory: Inventory) -> Inventory:
        """What an inventory says of it."""
        if not self.dataset:
            return inventory
        return inventory.only([(self.dataset, run) for run in self.runs or (None,)])


def list_parts(inventory: Inventory) -> list[Part]:
    """All parts of a warehouse, in the order in which they are built."""
    runs = [(run.dataset, run.run_id) for run in inventory.runs]
    return [
        *(Part(name) for name in inventory.datasets),
        *(Part(dataset, (run,)) for dataset, run in runs),
        *(
            Part(one[0], (one[1], other[1]))
            for one, other in combinations(sorted(runs), 2)
            if one[0] == other[0]
        ),
        Part(),
    ]


class _Sources(NamedTuple):
    """All that a mart rests on, however far below."""

    tables: frozenset[str]
    """``raw_`` and small tables."""
    settings: frozenset[str]
    digest: str
    """Of SQL and code."""


@cache
def _sources(name: str) -> _Sources:
    """Of a mart."""
    known = set(asdict(LabelSettings()))
    views, tables, computed = set[str](), set[str](), {name} & DERIVED.keys()
    settings: set[str] = set()
    todo = list(READS[name]) if name in DERIVED else [name]
    while todo:
        one = todo.pop()
        if one in known:
            settings.add(one)
        elif is_view(one):
            if one not in views:
                views.add(one)
                todo += find_source(one).reads
        elif (derived := one.removeprefix("raw_")) in DERIVED:
            if derived not in computed:
                computed.add(derived)
                todo += READS[derived]
        else:
            tables.add(one)
    bodies = [find_source(view).body for view in sorted(views)]
    settings |= set().union(*map(_settings_in, views))
    is_computed = computed or views & {*FASTER}
    code = [bodies, load_statements(), sorted(computed), _code_digest() if is_computed else ""]
    return _Sources(frozenset(tables), frozenset(settings), digest(code))


@cache
def _settings_in(view: str) -> frozenset[str]:
    """Settings that the SQL of a view names, without those that it reads."""
    words = re.findall(r"\w+", find_source(view).body)
    return frozenset(asdict(LabelSettings())).intersection(words)


@cache
def _code_digest() -> str:
    """Of what computes marts."""
    files = sorted((Path(__file__).parent.parent / "evidence").glob("*.py"))
    return digest([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])


@cache
def lexicon_digest() -> str:
    """Of the lexicon, with the forms and rules."""
    return phrases_digest()


class Fingerprints:
    """What the marts of an inventory are called, with some settings.

    Args:
        inventory: What there is.
        settings: Parameters of the labelling views.
    """

    def __init__(self, inventory: Inventory, settings: LabelSettings) -> None:
        self.inventory = inventory
        self._settings: Mapping[str, object] = asdict(settings)
        self._known: dict[tuple[str, ...], str] = {}

    def path(self, part: Part, name: str) -> str:
        """Where a fresh mart of a part lies."""
        return f"{part.folder}/{name}-{self.of(part, name)}.parquet"

    def of(self, part: Part, name: str, without: Collection[str] = ()) -> str:
        """Changes whenever what a mart of a part rests on does; but for the rows of some tables, if given."""
        if name == LEXICON:
            return self._lexicon()
        sources = _sources(name)
        datasets: list[tuple[str, ...]] = [(part.dataset,)]
        if not part.dataset:
            datasets = [(name,) for name in self.inventory.datasets]
        runs: list[tuple[str, ...]] = [(part.dataset, run) for run in part.runs] or [()]
        data = [
            self._data(table, where)
            for table in sorted(sources.tables - _APART)
            if table.removeprefix("raw_") not in without
            for where in (datasets if _is_of_dataset(table) else runs)
        ]
        settings = {setting: self._settings[setting] for setting in sources.settings}
        return digest([sources.digest, settings, data])

    def data_of(self, part: Part) -> str:
        """Changes whenever a part's shards do: to tell that from other settings or another version."""
        datasets = [part.dataset] if part.dataset else self.inventory.datasets
        runs = [self._data("raw_run_shards", (part.dataset, run)) for run in part.runs]
        return digest([*(self._data("raw_examples", (name,)) for name in datasets), *runs])

    def shards(self, part: Part, table: str) -> Mapping[int, object]:
        """By ordinal, what changes with the rows that the shards of a part have in a table."""
        if table in OF_SHARDS:
            marks = self._marks((part.dataset, *part.runs))
            rows = (
                row for row in self.inventory.run_shards if row[:2] == (part.dataset, *part.runs)
            )
            return {
                row.shard_ordinal: [marks[row.shard_ordinal], *row]
                for row in rows
                if row.status == "done"
            }
        return {
            int(file["path"].rpartition("/")[2].partition(".")[0]): [
                file["path"],
                file["row_count"],
                file["bytes"],
            ]
            for file in self._files.get((table, part.dataset), ())
        }

    def _marks(self, where: tuple[str, ...]) -> Mapping[int, str]:
        tell = self.inventory.partial_marks.get(run_folder(*where)) if len(where) == 2 else None
        return tell() if tell else {}

    def _data(self, table: str, where: tuple[str, ...]) -> str:
        """Of what a table says of a dataset or a run."""
        if table.removeprefix("raw_") in OF_SHARDS:
            table = "raw_run_shards"
        key = (table, *where)
        if key not in self._known:
            self._known[key] = digest(self._rows(table, where))
        return self._known[key]

    def _rows(self, table: str, where: tuple[str, ...]) -> object:
        it = self.inventory
        if table == "raw_run_shards":
            rows = (row for row in it.run_shards if (row.dataset, row.run_id) == where)
            return [sorted(self._marks(where).items()), *rows]
        if table == "raw_runs":
            runs = [row for row in it.runs if (row.dataset, row.run_id) == where]
            return [row._replace(is_compacted=False) for row in runs]
        if table == "raw_layers":
            return [row for row in it.layers if (row.dataset, row.run_id) == where]
        if table == "raw_class_sets":
            return [row for row in it.class_sets if (row.dataset, row.run_id) == where]
        if table == "lexicon":
            return self._lexicon()
        if table == "facet_prompts":
            return facet_prompts(self.inventory.own_concepts)
        if table == "settings":
            return None  # those that are read are told apart
        files = self._files.get((table.removeprefix("raw_"), *where), [])
        return sorted(
            (file["path"], file["row_count"], file["bytes"])
            for file in files
            if _is_rested_on(file)
        )

    def _lexicon(self) -> str:
        return digest_lexicon(lexicon_digest(), self.inventory.own_concepts)

    @cached_property
    def _files(self) -> dict[tuple[str, ...], list[FileEntry]]:
        """By table, dataset and, if it is a run's, run."""
        found: dict[tuple[str, ...], list[FileEntry]] = {}
        for file in self.inventory.files:
            if file["table"] not in OF_SHARDS:
                owner = (part for part in owner_of(file["path"]) if part is not None)
                found.setdefault((file["table"], *owner), []).append(file)
        return found


def _is_of_dataset(table: str) -> bool:
    """Whether runs of a dataset share it."""
    found = TABLES.get(table.removeprefix("raw_"))
    return found is not None and found.partitions == ("dataset",)


def _is_rested_on(file: FileEntry) -> bool:
    """Of zero-shot classes only those of the facets are used."""
    return file["table"] != "class_scores" or f"class_set={FACET_CLASS_SET}" in file["path"]
