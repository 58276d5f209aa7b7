"""The door: the page as a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.base.errors import ConfigError
from pipeline.base.outputs import new_file
from pipeline.base.storage import Store
from pipeline.paper.page import render_paper
from pipeline.paper.section import Section, Subject
from pipeline.paper.sections import MAKERS
from pipeline.report.asking import Asker
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_run
from pipeline.warehouse.stale import tell_stale


def write_paper(
    warehouse: str, dataset: str | None, run: str | None, out: Path
) -> tuple[Section, ...]:
    """Write the page about a run. Returns what is on it.

    Args:
        warehouse: Folder or URL.
        dataset: Needed if several datasets have been run.
        run: Needed if the dataset has several runs.
        out: An ``.html``.

    Raises:
        ConfigError: The suffix is another one.
        WarehouseError: None or several runs match, or a tar with images is gone.
    """
    if out.suffix.lower() != ".html":
        raise ConfigError(
            f"{str(out)!r} has the suffix {out.suffix or 'none'!r}.", "Expected .html."
        )
    with open_subject(warehouse, dataset, run) as subject:
        sections = tuple(make(subject) for make in MAKERS)
        page = render_paper(subject, sections)
    with new_file(out) as file:
        file.write_text(page, encoding="utf-8")
    return sections


@contextmanager
def open_subject(warehouse: str, dataset: str | None, run: str | None) -> Iterator[Subject]:
    """What sections ask, while the warehouse is open.

    Args:
        warehouse: Folder or URL.
        dataset: Needed if several datasets have been run.
        run: Needed if the dataset has several runs.

    Raises:
        WarehouseError: None or several runs match.
    """
    with connect(warehouse) as connection:
        tell_stale(connection, ("neuron_labels", "neuron_facets"))
        found = find_run(connection, dataset, run)
        ask = Asker(connection, {"dataset": found.dataset, "run_id": found.run_id})
        (is_random,) = ask(
            "select is_random from runs where dataset = $dataset and run_id = $run_id",
            lambda is_random: bool(is_random),
        )
        yield Subject(ask, found, is_random, Store(warehouse))
