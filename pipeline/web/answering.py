"""Labels by a person, answer by answer: what is shown next, what was said so far, and how an answer is saved.

Each is saved at once, as an import of the same answers would write it, under the name that the command was
given. What a page shows of a person's own answers is read from the warehouse's files, not from the held
connection, which keeps showing what there was when it was opened.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.question_settings import SheetOptions
from pipeline.labelling.read_back import KnownExample, find_examples
from pipeline.labelling.said import PersonsLabels, Said
from pipeline.labelling.sheet import USED_LABELS, DrawnSheet, draw_sheet, used_labels
from pipeline.warehouse.find import Neuron

if TYPE_CHECKING:
    import duckdb

    from pipeline.web.door import Door

MAX_LABEL = 200
"""Most letters of an answer."""
MAX_NOTE = 1000

_KEPT_SHEETS = 32
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True)
class Answer:
    """What a form says of one image."""

    sheet: str
    """The name of the sheet that was shown."""
    item: int
    """Which image of it, from 1."""
    label: str
    """Empty: what was said is taken back."""
    note: str

    @classmethod
    def read(cls, fields: dict[str, str]) -> Answer:
        """What a form sent; a button with a word counts more than the text beside it.

        Raises:
            ConfigError: It is no answer, or too long.
        """
        label, note = (
            _CONTROLS.sub(" ", text).strip()
            for text in (fields.get("word") or fields.get("label", ""), fields.get("note", ""))
        )
        for name, text, most in (("label", label, MAX_LABEL), ("note", note, MAX_NOTE)):
            if len(text) > most:
                raise ConfigError(
                    f"The {name} has {len(text):,} letters.", f"Expected: {most:,} at most."
                )
        item = fields.get("item", "")
        if not (item.isascii() and item.isdigit() and len(item) < 10):
            raise ConfigError(f"The form says item={item!r}.", "Send it from the page itself.")
        return cls(fields.get("sheet", ""), int(item), label, note)


@dataclass(frozen=True)
class Progress:
    """A sheet, and what its labeller said of it so far."""

    sheet: DrawnSheet
    said: dict[int, Said]
    """By item."""

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(self.sheet.example_ids)

    def next_open(self, after: int = 0) -> int | None:
        """The next item that nothing was said of, in a circle; None if there is none.

        Args:
            after: Look behind this one; itself comes last.
        """
        for step in range(self.count):
            item = (after + step) % self.count + 1
            if item not in self.said:
                return item
        return None


@dataclass
class Answering:
    """Whose answers are saved, and where."""

    door: Door
    labeller: str
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _opened_at: datetime | None = None
    """Of the connection that the rest belongs to."""
    _sheets: dict[tuple[Neuron, SheetOptions], tuple[DrawnSheet, dict[int, KnownExample]]] = field(
        default_factory=dict
    )
    _words: dict[str, Counter[str]] = field(default_factory=dict)
    """Said since the warehouse was opened, by dataset."""
    _replaced: set[str] = field(default_factory=set)
    """Tables that the held connection, or one that was opened since, may still read."""

    def look(
        self, cursor: duckdb.DuckDBPyConnection, neuron: Neuron, options: SheetOptions
    ) -> Progress:
        """What there is to say of a neuron, and what was said.

        Raises:
            WarehouseError: There are no samples of the neuron.
        """
        sheet, _ = self._draw(cursor, neuron, options)
        said = PersonsLabels(self.door.store, neuron, self.labeller).read()
        items = enumerate(sheet.example_ids, 1)
        return Progress(sheet, {item: said[one] for item, one in items if one in said})

    def save(
        self,
        cursor: duckdb.DuckDBPyConnection,
        neuron: Neuron,
        options: SheetOptions,
        answer: Answer,
    ) -> Progress:
        """Save an answer in place of what was said of the image before, and see what is left.

        Raises:
            ConfigError: The form is of another sheet.
            WarehouseError: There are no samples of the neuron.
        """
        sheet, known = self._draw(cursor, neuron, options)
        if answer.sheet != sheet.name or not 1 <= answer.item <= len(sheet.example_ids):
            raise ConfigError(
                "The images were drawn anew since this page was made; nothing was saved.",
                "Open the page of the neuron again: what you said before is kept.",
            )
        example_id = sheet.example_ids[answer.item - 1]
        now = datetime.now(UTC)
        with self._lock:  # between threads; between processes there is the lock of the file
            there = PersonsLabels(self.door.store, neuron, self.labeller)
            with there.hold():
                said, before = there.read(), there.path
                if before is not None:
                    self._replaced.add(before)
                old = said.pop(example_id, None)
                if answer.label:
                    value = known[example_id].activation
                    new = Said(example_id, answer.label, answer.note, value, now)
                    is_same = old is not None and replace(old, said_at=now) == new
                    said[example_id] = old if old is not None and is_same else new
                if said or before is not None:
                    there.write(said.values(), self._replaced)
            if answer.label:
                self._words.setdefault(neuron.dataset, Counter())[answer.label] += 1
        numbered = enumerate(sheet.example_ids, 1)
        return Progress(sheet, {item: said[one] for item, one in numbered if one in said})

    def offer_words(self, cursor: duckdb.DuckDBPyConnection, dataset: str) -> list[str]:
        """Words that people used for images of a dataset, the most used first; without "none"."""
        with self._lock:
            new = [word for word, _ in self._words.get(dataset, Counter()).most_common()]
        words = dict.fromkeys([*new, *used_labels(cursor, dataset)])
        return [word for word in words if word != "none"][:USED_LABELS]

    def _draw(
        self, cursor: duckdb.DuckDBPyConnection, neuron: Neuron, options: SheetOptions
    ) -> tuple[DrawnSheet, dict[int, KnownExample]]:
        """A sheet, and what the run knows of its images; kept until the warehouse is opened again."""
        with self._lock:
            if self._opened_at != self.door.opened_at:
                self._opened_at = self.door.opened_at
                self._sheets.clear()
                self._words.clear()
                self._replaced.clear()
            if (kept := self._sheets.get((neuron, options))) is not None:
                return kept
        sheet = draw_sheet(cursor, neuron, options)
        known = find_examples(cursor, neuron, list(sheet.example_ids))
        lost = [one for one in sheet.example_ids if one not in known or known[one].is_duplicate]
        if lost:
            raise WarehouseError(
                f"{len(lost)} sampled images of unit {neuron.unit} are not in the run any more.",
                "Build the warehouse (neurons build), then open it again.",
            )
        with self._lock:
            while len(self._sheets) >= _KEPT_SHEETS:
                del self._sheets[next(iter(self._sheets))]
            self._sheets[neuron, options] = sheet, known
        return sheet, known
