"""A job as a list of steps: what is done is said once; who does it decides on progress and retries.

The command line's `Here` does a step where it is; the flows make a task of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import ExtractConfig, LabelSettings

Result = TypeVar("Result")


@dataclass(frozen=True)
class BuildAim:
    """What a build is to write."""

    warehouse: str
    """Folder or URL."""
    labels: LabelSettings | None = None
    """Parameters of the labelling views; those of the last build if None."""


@dataclass(frozen=True)
class Step(Generic[Result]):
    """One thing to do. Doing it again does what is left."""

    name: str
    """What it is called where steps are listed: ``build marts``."""
    title: str
    """What its progress counts: ``Marts of warehouse``."""
    work: Callable[..., Result]
    """Called with ``progress``. A ``partial`` of a function of a module, so that it can go to another
    process."""
    device: str | None = None
    """Where a model runs; None if none does."""
    extraction: ExtractConfig | None = None
    """Of an extraction, which can also be done in slices of its shards."""
    build: BuildAim | None = None
    """Of a build, whose parts can also be made one by one before it."""


class Worker(Protocol):
    """Who does steps."""

    failures: list[BaseException]
    """Shards that could not be done, where the rest of a job goes on without them."""

    def do(self, step: Step[Result]) -> Result:
        """Do a step.

        Raises:
            NeuronsError: It could not be done.
        """

    def attempt(self, step: Step[Result]) -> Result | None:
        """Do a step that may fail for some shards; None if the job goes on without them."""

    def raise_failures(self) -> None:
        """Raise what has failed so far, if anything has."""


class Here:
    """Does steps in this process. The first failure ends the job; nothing is tried again.

    Args:
        progress: Told of every step.
    """

    def __init__(self, progress: ProgressCallback | None = None) -> None:
        self._progress = progress
        self.failures: list[BaseException] = []

    def do(self, step: Step[Result]) -> Result:
        """Do it now."""
        return step.work(progress=self._progress)

    def attempt(self, step: Step[Result]) -> Result | None:
        """The same: a failure ends the job."""
        return self.do(step)

    def raise_failures(self) -> None:
        """Nothing has failed, or it was raised."""
