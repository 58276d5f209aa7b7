"""The door: the page as a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline.base.errors import ConfigError
from pipeline.base.outputs import new_file
from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.storage import Store
from pipeline.labelling.sample import Judged, read_judged
from pipeline.paper.page import render_paper
from pipeline.paper.section import Section, Subject
from pipeline.paper.sections import MAKERS
from pipeline.report.asking import Asker
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_run
from pipeline.warehouse.stale import tell_stale


def write_paper(
    warehouse: str,
    dataset: str | None,
    run: str | None,
    out: Path,
    judged: Path | None = None,
    progress: ProgressCallback | None = None,
) -> tuple[str, str]:
    """Write the page about a run. Returns two lines for a person.

    Args:
        warehouse: Folder or URL.
        dataset: Needed if several datasets have been run.
        run: Needed if the dataset has several runs.
        out: An ``.html``.
        judged: Folder of a sample of neurons that a person has judged (`pipeline.labelling.sample`).
        progress: Told of each section.

    Raises:
        ConfigError: The suffix is another one, or the sample is of another run.
        SourceError: The sample cannot be read, or nothing on it is answered.
        WarehouseError: None or several runs match, or a tar with images is gone.
    """
    if out.suffix.lower() != ".html":
        raise ConfigError(
            f"{str(out)!r} has the suffix {out.suffix or 'none'!r}.", "Expected .html."
        )
    answers = None if judged is None else read_judged(judged)
    with open_subject(warehouse, dataset, run) as subject:
        if answers is not None:
            check_run(subject, answers)
        subject = replace(subject, judged=answers)
        sections = tuple(_make_all(subject, progress or NoProgress()))
        page = render_paper(subject, sections)
    with new_file(out) as file:
        file.write_text(page, encoding="utf-8")
    count = sum(section.missing is None for section in sections)
    return (
        f"{subject.run.dataset}, run {subject.run.run_id}: {count} of {len(sections)} figures and tables",
        f"Page: {out}",
    )


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


def _make_all(subject: Subject, progress: ProgressCallback) -> Iterator[Section]:
    progress.start("sections", len(MAKERS))
    try:
        for make in MAKERS:
            yield make(subject)
            progress.advance(1)
    finally:
        progress.finish()


def check_run(subject: Subject, judged: Judged) -> None:
    """Refuse a sample of another run.

    Raises:
        ConfigError: Both are named.
    """
    there = judged.key["dataset"], judged.key["run_id"]
    if there != (subject.run.dataset, subject.run.run_id):
        raise ConfigError(
            f"The sample is of run {there[1]!r} of {there[0]!r}, not of {subject.run.run_id!r} of "
            f"{subject.run.dataset!r}.",
            "Draw a sample of this run: neurons label sample.",
        )
