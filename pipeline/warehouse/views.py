"""The SQL files: one file, one view, in folders by topic; the header is the contract.

A header (`pipeline.warehouse.headers`) says what the view is (grain, key, purpose, source), what it
reads, and lists every column with type, unit and meaning. The build order, comments in the database, the
data dictionary and the tests all come from it. The files in ``sql/macros/`` hold statements that run before
the views, as they are.
"""

from __future__ import annotations

from functools import cache
from graphlib import TopologicalSorter
from itertools import chain
from pathlib import Path

from pipeline.tables.computed import DERIVED
from pipeline.tables.schema import TABLES
from pipeline.warehouse.headers import Source, View, describe, parse_source, parse_view

MATERIALISED = (
    "neuron_stats",
    "top_examples",
    "named_concepts",
    "example_concepts",
    "concepts",
    "run_concepts",
    "soft_wpmi",
    "neuron_enrichments",
    "concept_ranks",
    "neuron_concepts",
    "tested_labels",
    "drawn_examples",
    "shown_counts",
    "facet_candidates",
    "facet_aurocs",
    "label_nulls",
    "neuron_neighbours",
    "top_example_groups",
    "neuron_clarity",
    "contrasting_examples",
    "label_scores",
)
"""Marts that ``neurons build`` writes as Parquet, in this order; all others stay views."""

OF_DATASET = ("named_concepts", "example_concepts")
"""Marts of a dataset; runs share them."""

OF_WAREHOUSE = ("concepts",)
"""Marts of all datasets together; all others are of one run, see `parts.Part`."""

TOPICS = {
    "inputs": "What went in: images, their texts, runs, what was lost",
    "statistics": "What neurons do: activations, their distribution, the strongest examples",
    "concepts": "What images show, and how much neurons tell of it",
    "labels": "What each neuron stands for, and what a run's labels are worth",
    "facets": "The Halle Berry test: is it the concept or one form of it",
    "samples": "Examples of every level of activation, and what people see in them",
    "attacks": "Zero-shot classes, typographic attacks, the Stroop test",
    "effects": "What neurons do to what the model says: each is set, and all after it runs again",
    "neighbours": "Neurons that answer alike, and how alike their top examples look",
}
"""Folders of views to query, as the data dictionary orders and names them; besides, staging and checks."""

TITLE = "# The warehouse: every view and column"
"""By its first line a data dictionary is known as ours."""


def sql_folder() -> Path:
    """Where the SQL files are: inside the installed package, or in the source tree."""
    here = Path(__file__).parent.parent
    return here / "_sql" if (here / "_sql").is_dir() else here.parent / "sql"


@cache
def load_views() -> tuple[View, ...]:
    """All views in build order: each after those that it reads, by name where that leaves a choice.

    Raises:
        graphlib.CycleError: Views read each other in a circle; names them.
        ValueError: A header is not whole.
    """
    parsed = [parse_view(path) for path in _files().values()]
    views = {view.name: view for view in parsed}
    sorter = TopologicalSorter({v.name: views.keys() & v.reads for v in views.values()})
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        sorter.done(*ready)
        order += ready
    described: dict[str, View] = {}
    for name in order:
        described[name] = describe(views[name], described)
    return tuple(described.values())


@cache
def views_by_name() -> dict[str, View]:
    """All views."""
    return {view.name: view for view in load_views()}


@cache
def load_statements() -> tuple[str, ...]:
    """The files of macros, by name; they run before the views."""
    files = sorted(sql_folder().glob("macros/*.sql"))
    return tuple(path.read_text(encoding="utf-8") for path in files)


@cache
def _files() -> dict[str, Path]:
    """The file of every view, by the view's name."""
    files = sorted(sql_folder().glob("*/*.sql"))
    return {path.stem: path for path in files if path.parent.name != "macros"}


@cache
def find_source(name: str) -> Source:
    """What a view reads, and its SQL; no other file is read."""
    return parse_source(_files()[name])


def is_view(name: str) -> bool:
    """Whether a view is called so."""
    return name in _files()


def find_view(name: str) -> View:
    """The view of a name."""
    return views_by_name()[name]


def write_dictionary() -> str:
    """The data dictionary (``README.md`` of every warehouse), from the headers and the schema."""
    out = [
        TITLE,
        "",
        "*Generated from the headers of the views and the schema of the files.*",
        "",
        "Everything here is plain Parquet and JSON. The views below exist in every connection that "
        "`pipeline.connect()` or `neurons sql` opens; `neurons build` also writes this page and "
        "`views.sql`, with which the plain DuckDB shell, started in this folder, gives the same.",
        "",
        "`polarity = 'positive'` is most activating. A neuron is a pair (`layer`, `unit`) of one run. "
        "`layer` is written `PATH:POINT:POOLING`. Columns `dataset` and `run_id` stand in every key, "
        "because a warehouse can hold many datasets and runs.",
        "",
        "## Views to query",
    ]
    views = sorted(load_views(), key=lambda view: view.name)
    by_topic = {topic: [view for view in views if view.topic == topic] for topic in TOPICS}
    for topic, about in TOPICS.items():
        out += ["", f"**{topic}**: {about}.", "", "| view | grain | what it is |", "|---|---|---|"]
        out += [
            f"| [{v.name}](#{v.name}) | {_cell(v.grain)} | {_cell(v.purpose)} |"
            for v in by_topic[topic]
        ]
    for view in chain.from_iterable(by_topic.values()):
        out += ["", f"### {view.name}", "", view.purpose, "", f"Grain: {view.grain}."]
        out += [f"Key: `{', '.join(view.key)}`." if view.key else "It has no key."]
        out += [f"Source: {view.cite}."] if view.cite else []
        out += ["", view.notes] if view.notes else []
        out += ["", "| column | type | unit | meaning |", "|---|---|---|---|"]
        out += [
            f"| {c.name} | {c.type} | {_cell(c.unit)} | {_cell(c.meaning)} |" for c in view.columns
        ]
    out += ["", "## Checks", "", "`neurons check` runs these; every row is a violation.", ""]
    out += ["| check | what a row means |", "|---|---|"]
    out += [f"| {v.name} | {_cell(v.purpose)} |" for v in views if v.topic == "checks"]
    out += ["", "## Parquet files", ""]
    out += ["Each is also a view `raw_<table>` over the files that a manifest names."]
    for table in (*TABLES.values(), *DERIVED.values()):
        out += ["", f"### {table.name}", "", f"{table.meaning} {table.grain.capitalize()}."]
        parts = f"; partitions: `{', '.join(table.partitions)}`" if table.partitions else ""
        out += [f"Key: `{', '.join(table.key)}`{parts}."]
        out += ["", "| column | type | unit | meaning |", "|---|---|---|---|"]
        out += [
            f"| {c.name} | {c.arrow} | {_cell(c.unit)} | {_cell(c.meaning)} |"
            for c in table.columns
        ]
    return "\n".join(out) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    import sys

    sys.stdout.write(write_dictionary())
