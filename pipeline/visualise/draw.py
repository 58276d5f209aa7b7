"""Drawing what is not there yet: batch by batch, each picture a file, then what the model answers to it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.base.settings import digest
from pipeline.base.storage import Written
from pipeline.tables.manifests import FileEntry, make_entry
from pipeline.visualise.optimise import Drawn, Subject
from pipeline.visualise.pictures import Answers, ask_model, write_png
from pipeline.visualise.work import LayerWork

PICTURES = "pictures"
"""What picture files are called in a record, where others have the name of their table."""

ON_GPU = 32
"""Neurons that draw at once on a GPU."""


class Picture(NamedTuple):
    """A row of ``visualisations``; see `visualise_tables`."""

    picture: str
    unit: int | None
    direction: str | None
    facet: str | None
    number: int
    image_count: int
    parametrisation: str
    transformations: str
    steps: int
    seed: int
    settings: str
    width_px: int
    height_px: int
    activation: float
    facet_probability: float | None
    draw_s: float | None
    bytes: int
    image_sha256: str


class Drawer:
    """Draws for one layer.

    Args:
        work: What its subjects share.
        place: Folder of its files.
        pictures: That are there.
        files: Theirs, as the record names them.
    """

    def __init__(
        self,
        work: LayerWork,
        place: str,
        pictures: Sequence[Picture],
        files: Sequence[FileEntry],
    ) -> None:
        self._work, self._place = work, place
        self._store = work.work.store
        self._pictures = {one.picture: one for one in pictures}
        self._files = {file["path"]: file for file in files if file["table"] == PICTURES}
        self.new_count = 0
        """Pictures that were drawn."""
        self.adopted_count = 0
        """Pictures of an interrupted attempt that were taken up."""
        self.still: list[str] = []
        """Subjects without a gradient."""

    @property
    def pictures(self) -> list[Picture]:
        """All that are there now, by name."""
        return [self._pictures[name] for name in sorted(self._pictures)]

    @property
    def files(self) -> list[FileEntry]:
        """The files of `pictures`."""
        return [self._files[self._path(one.picture)] for one in self.pictures]

    def draw(self, subjects: Sequence[Subject]) -> int:
        """Draw what is not there of some subjects; how many pictures of them are there then."""
        todo = []
        there = {f"{self._place}/{name}" for name in self._store.list(self._place, ".png")}
        for subject in subjects:
            names = self._names(subject)
            if not there.issuperset(map(self._path, names)):
                todo.append(subject)
            elif not self._pictures.keys() >= set(names):
                self._keep(subject, [self._store.read_bytes(self._path(n)) for n in names], None)
                self.adopted_count += len(names)
        self._draw_batches(todo)
        return sum(name in self._pictures for one in subjects for name in self._names(one))

    def _draw_batches(self, todo: Sequence[Subject]) -> None:
        config, progress = self._work.config, self._work.work.progress
        is_on_cpu = self._work.work.clip.device.type == "cpu"
        size = config.batch_size or (1 if is_on_cpu else ON_GPU)
        batches = [todo[first : first + size] for first in range(0, len(todo), size)]
        progress.start(f"draw {self._work.layer.name}", len(batches) * config.steps)
        try:
            for batch in batches:
                began = time.perf_counter()
                # as many as in any other batch: then each draws the same, whoever draws beside it
                full = [*batch, *[batch[-1]] * (size - len(batch))]
                drawn = self._work.painter.draw(full, lambda _: progress.advance(1))
                taken_s = (time.perf_counter() - began) / (len(batch) * config.images)
                for subject, pictures in zip(batch, drawn, strict=False):
                    self._finish(subject, pictures, taken_s)
                progress.advance(0, f"{batch[0].name} to {batch[-1].name}")
        finally:
            progress.finish()

    def _finish(self, subject: Subject, pictures: Sequence[Drawn], taken_s: float) -> None:
        if not all(one.has_gradient for one in pictures):
            self.still.append(subject.name)
            return
        said = self._describe(subject)
        self._keep(subject, [write_png(one, said) for one in pictures], taken_s)
        self.new_count += len(pictures)

    def _keep(self, subject: Subject, files: Sequence[bytes], taken_s: float | None) -> None:
        """Write pictures that are not there, and note what the model answers to each."""
        work = self._work
        answers = ask_model(work.work.clip, work.work.decoder, work.layer, work.lower, files)
        for number, (name, data) in enumerate(zip(self._names(subject), files, strict=True)):
            rel, config = self._path(name), work.config
            if taken_s is None:
                written = Written(len(data), self._store.checksum(rel))
            else:
                written = self._store.write_bytes(rel, data)
            self._files[rel] = make_entry(PICTURES, rel, -1, written, work.layer.name)
            height, width = work.size
            self._pictures[name] = Picture(
                picture=name,
                unit=subject.unit,
                direction=subject.name if subject.unit is None else None,
                facet=config.facet or None,
                number=number,
                image_count=config.images,
                parametrisation=config.parametrisation,
                transformations=config.transformations,
                steps=config.steps,
                seed=config.seed,
                settings=work.settings,
                width_px=width,
                height_px=height,
                activation=float(answers.activations[number] @ subject.weight.numpy()),
                facet_probability=self._probability(answers, number),
                draw_s=taken_s,
                bytes=len(data),
                image_sha256=hashlib.sha256(data).hexdigest(),
            )

    def _probability(self, answers: Answers, number: int) -> float | None:
        probe = self._work.probe
        if probe is None or answers.means is None:
            return None
        return float(probe.probability(answers.means[number : number + 1])[0])

    def _names(self, subject: Subject) -> list[str]:
        """Of a subject's pictures, without ``.png``."""
        who = (
            f"d{digest(subject.weight.tolist())}" if subject.unit is None else f"{subject.unit:05d}"
        )
        settings = self._work.settings
        return [f"{who}-{settings}-{n}" for n in range(self._work.config.images)]

    def _path(self, name: str) -> str:
        return f"{self._place}/{name}.png"

    def _describe(self, subject: Subject) -> str:
        who = "direction" if subject.unit is None else "neuron"
        facet = f", steered to {self._work.config.facet}" if self._work.config.facet else ""
        return (
            f"Made by a model, not an image of a dataset: drawn by {who} {subject.name} of "
            f"{self._work.layer.name}, {self._work.work.clip.model_id}{facet}"
        )
