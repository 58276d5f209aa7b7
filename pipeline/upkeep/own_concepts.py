"""``neurons concepts add`` and ``drop``: a person's own phrases, kept with the warehouse.

A build notices them: `parts.Fingerprints` names by them the marts that rest on the lexicon.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from pipeline.base.errors import SourceError, WarehouseError
from pipeline.base.locks import hold_lock
from pipeline.base.storage import COPY, Store
from pipeline.sources.notices import Notices
from pipeline.sources.texts.decoding import decode_text
from pipeline.sources.texts.languages import is_language, normalise_language
from pipeline.sources.texts.rows import read_rows
from pipeline.tables.own_concepts import FACET, RECORD, OwnConceptsRecord, read_own_concepts

Term = tuple[str, str, str, str]
"""Concept, category, base language, phrase."""

_NEEDED = ("concept", "category", "language", "phrase")
_KIND_OF = "kind_of"
_EXPECTED = (
    "Expected a CSV in UTF-8 with the columns concept, category, language and phrase, and if you like "
    "kind_of: kea,animal,en,kea,bird"
)
_FOLDED = {"nb": "no", "nn": "no"}
"""Languages that texts are looked up in by another name; see the macro ``base_language``."""


@dataclass
class OwnList:
    """What a file gives."""

    terms: set[Term] = field(default_factory=set)
    rejects: list[str] = field(default_factory=list)
    """Rows that are not used, each with its line and why."""
    row_count: int = 0


@dataclass(frozen=True)
class OwnSummary:
    """What a warehouse has after a file was added."""

    added: int
    """Terms that were not there."""
    known: int
    """Terms of the file that were."""
    total: int
    replaces: bool
    read: OwnList


def add_own_concepts(warehouse: str | Path, file: Path, replaces: bool | None = None) -> OwnSummary:
    """Add the phrases of a file to those that a warehouse has of its own.

    Args:
        warehouse: Folder or URL.
        file: CSV, separated by commas, semicolons or tabs.
        replaces: Leave the lexicon that we ship out, or take it in again; as it was, if None.

    Raises:
        SourceError: The file cannot be read, lacks a column, or none of its rows can be used.
        WarehouseError: There is no dataset in the warehouse.
    """
    read = read_own_list(file)
    store = Store(warehouse)
    if not any(name.startswith("dataset=") for name in store.list("")):
        raise WarehouseError(
            f"There is no dataset in {store.url}.",
            "Make one first: neurons ingest SOURCE PATH --warehouse DIR --dataset NAME",
        )
    with hold_lock(store, "concepts/own.lock"):
        before = read_own_concepts(store) or OwnConceptsRecord(replaces=False, terms=[])
        there = {cast(Term, tuple(term)) for term in before["terms"]}  # lists, in JSON
        record = OwnConceptsRecord(
            replaces=before["replaces"] if replaces is None else replaces,
            terms=sorted(there | read.terms),
        )
        store.write_record(RECORD, record, with_copy=True)
    return OwnSummary(
        len(read.terms - there),
        len(read.terms & there),
        len(record["terms"]),
        record["replaces"],
        read,
    )


def drop_own_concepts(warehouse: str | Path) -> int:
    """Forget all of a warehouse's own phrases: the lexicon that we ship alone is used again.

    Returns:
        How many there were.
    """
    store = Store(warehouse)
    with hold_lock(store, "concepts/own.lock"):
        record = read_own_concepts(store)
        for path in (RECORD, RECORD + COPY):
            if store.exists(path):
                store.delete(path)
    return len(record["terms"]) if record else 0


def read_own_list(file: Path) -> OwnList:
    """Read a file of phrases; a phrase of a concept is one of what the concept is a kind of, too.

    Raises:
        SourceError: As of `add_own_concepts`.
    """
    found, parents = OwnList(), dict[str, set[str]]()
    rows: list[dict[str, str]] = []
    for line, fields, problem in _rows(file):
        found.row_count += 1
        problem = problem or _problem_of(fields)
        if problem:
            found.rejects.append(f"line {line} {problem}")
            continue
        rows.append(fields)
        if fields[_KIND_OF]:
            parents.setdefault(fields["concept"], set()).add(fields[_KIND_OF])
    categories = {fields["concept"]: fields["category"] for fields in reversed(rows)}
    for fields in rows:
        language = normalise_language(fields["language"]).split("-")[0]
        language, phrase = _FOLDED.get(language, language), fields["phrase"]
        found.terms.add((fields["concept"], fields["category"], language, phrase))
        for kind in _all_above(fields["concept"], parents):
            found.terms.add((kind, categories.get(kind, fields["category"]), language, phrase))
    if not found.terms:
        shown = "; ".join(found.rejects[:5]) or "it has no rows"
        raise SourceError(f"No row of {file} can be used: {shown}.", _EXPECTED)
    return found


def _all_above(concept: str, parents: Mapping[str, set[str]]) -> set[str]:
    """All that a concept is a kind of, at any distance; circles end."""
    above, todo = set[str](), [concept]
    while todo:
        for parent in parents.get(todo.pop(), ()):
            if parent not in above and parent != concept:
                above.add(parent)
                todo.append(parent)
    return above


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str], str]]:
    """The line of each row, its fields, and what is wrong with it as a row."""
    notices = Notices()
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {error.strerror}.", _EXPECTED) from error
    text = decode_text(data, notices, str(file))
    if text is None:
        raise SourceError(f"{file} is in no encoding that is known.", _EXPECTED)
    lines = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    delimiter = max(",;\t", key=lines[0].count)
    header = [
        name.strip().strip('"').lower().replace(" ", "_") for name in lines[0].split(delimiter)
    ]
    lacking = [name for name in _NEEDED if name not in header]
    twice = [name for name in (*_NEEDED, _KIND_OF) if header.count(name) > 1]
    if lacking or twice:
        what = f"lacks the column {lacking[0]}" if lacking else f"has the column {twice[0]} twice"
        raise SourceError(
            f"{file} {what}; its columns are: {', '.join(header) or 'none'}.", _EXPECTED
        )
    for row in read_rows([f"{line}\n" for line in lines[1:]], delimiter, lambda values: False):
        if row.problem is None and len(row.values) != len(header):
            problem = f"has {len(row.values)} fields instead of {len(header)}"
        else:
            problem = row.problem or ""
        values = dict(zip(header, map(_clean, row.values), strict=False))
        yield row.line + 1, {name: values.get(name, "") for name in (*_NEEDED, _KIND_OF)}, problem


def _problem_of(fields: Mapping[str, str]) -> str:
    for name in _NEEDED:
        if not fields[name]:
            return f"has no {name}"
    if not any(character.isalnum() for character in fields["phrase"]):
        return (
            f"has a phrase without letters or digits, {fields['phrase']!r}, which no text can name"
        )
    if not is_language(fields["language"]) or fields["language"].lower() == "und":
        return f"has the language {fields['language']!r}, expected a code such as en, de or ja"
    if fields["category"] == FACET and fields["language"].lower() != "en":
        return f"is a facet in {fields['language']!r}; models are asked for facets in English: en"
    if fields["category"] == FACET and fields[_KIND_OF]:
        return "is a facet and a kind of something; facets are of no kind"
    return ""


def _clean(cell: str) -> str:
    """One line, without what is not shown."""
    text = unicodedata.normalize("NFC", cell)
    return " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in text).split())
