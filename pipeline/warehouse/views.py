"""The SQL files: one file, one view; the header is the contract.

A header says what the view is (grain, key, purpose, source) and lists every column with type, unit and
meaning. Comments in the database, the data dictionary and the tests all come from it. A file without
``-- view:`` holds statements (macros) that run as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.tables.computed import DERIVED
from pipeline.tables.schema import TABLES

MATERIALISED = (
    "neuron_stats",
    "top_examples",
    "example_concepts",
    "concepts",
    "run_concepts",
    "soft_wpmi",
    "neuron_enrichments",
    "neuron_concepts",
    "neuron_labels",
    "facet_candidates",
    "facet_aurocs",
    "label_nulls",
    "neuron_neighbours",
    "top_example_groups",
    "neuron_clarity",
    "contrasting_examples",
)
"""Marts that ``neurons build`` writes as Parquet, in this order; all others stay views."""

TITLE = "# The warehouse: every view and column"
"""By its first line a data dictionary is known as ours."""


@dataclass(frozen=True)
class ViewColumn:
    """One column as a header states it."""

    name: str
    type: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class View:
    """One SQL file."""

    number: int
    name: str
    path: Path
    grain: str
    key: tuple[str, ...]
    reads: tuple[str, ...]
    purpose: str
    cite: str
    notes: str
    columns: tuple[ViewColumn, ...]
    body: str

    @property
    def layer(self) -> str:
        """staging, facts, mart or check, by its number."""
        if self.name.startswith(("check_", "warn_")):
            return "check"
        return {1: "staging", 2: "facts"}.get(self.number // 10, "mart")


def sql_folder() -> Path:
    """Where the SQL files are: inside the installed package, or in the source tree."""
    here = Path(__file__).parent.parent
    return here / "_sql" if (here / "_sql").is_dir() else here.parent / "sql"


def parse_view(path: Path) -> View | None:
    """Parse one file; None for a file of statements.

    Raises:
        ValueError: The header lacks a field or its column table.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))
    header = [line[2:].removeprefix(" ") for line in lines[:end]]
    if not header or not header[0].startswith("view:"):
        return None
    table = next((i for i, line in enumerate(header) if re.match(r"column\s+type\b", line)), None)
    if table is None:
        raise ValueError(f"{path.name}: the header has no table of columns")
    fields, notes = _fields(header[:table])
    missing = {"view", "grain", "key", "reads", "purpose"} - fields.keys()
    if missing:
        raise ValueError(f"{path.name}: the header lacks {sorted(missing)}")
    return View(
        number=int(path.name.split("_")[0]),
        name=fields["view"],
        path=path,
        grain=fields["grain"],
        key=() if fields["key"] == "none" else tuple(re.split(r",\s*", fields["key"])),
        reads=tuple(re.split(r",\s*", fields["reads"])),
        purpose=fields["purpose"],
        cite=fields.get("cite", ""),
        notes=notes,
        columns=_columns(header[table], header[table + 1 :]),
        body="\n".join(lines[end:]).strip().removesuffix(";"),
    )


def _fields(header: list[str]) -> tuple[dict[str, str], str]:
    """Named fields up to the first empty line, with their continuation lines; then the notes."""
    blank = next((i for i, line in enumerate(header) if not line.strip()), len(header))
    fields: dict[str, str] = {}
    name = ""
    for line in header[:blank]:
        if match := re.match(r"(\w+):\s*(.*)", line):
            name = match[1]
            fields[name] = match[2].strip()
        else:
            fields[name] += " " + line.strip()
    return fields, "\n".join(header[blank + 1 :]).strip()


def _columns(head: str, rows: list[str]) -> tuple[ViewColumn, ...]:
    starts = [head.index(word) for word in ("column", "type", "unit", "meaning")]
    columns: list[ViewColumn] = []
    for row in rows:
        parts = [row[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        if parts[0]:
            columns.append(ViewColumn(*parts))
        elif columns and parts[3]:
            last = columns.pop()
            meaning = f"{last.meaning} {parts[3]}"
            columns.append(ViewColumn(last.name, last.type, last.unit, meaning))
    return tuple(columns)


@cache
def load_views() -> tuple[View, ...]:
    """All views in build order."""
    files = sorted(sql_folder().glob("*.sql"))
    return tuple(view for path in files if (view := parse_view(path)) is not None)


@cache
def load_statements() -> tuple[str, ...]:
    """The files of macros, in order; they run before the views."""
    files = sorted(sql_folder().glob("*.sql"))
    return tuple(p.read_text(encoding="utf-8") for p in files if parse_view(p) is None)


def find_view(name: str) -> View:
    """The view of a name."""
    return next(view for view in load_views() if view.name == name)


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
        "",
        "| view | grain | what it is |",
        "|---|---|---|",
    ]
    views = [view for view in load_views() if view.layer == "mart" or view.number >= 25]
    marts = [view for view in views if view.layer != "check"]
    out += [f"| [{v.name}](#{v.name}) | {_cell(v.grain)} | {_cell(v.purpose)} |" for v in marts]
    for view in marts:
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
    out += [f"| {v.name} | {_cell(v.purpose)} |" for v in load_views() if v.layer == "check"]
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
