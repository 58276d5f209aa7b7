"""What the model takes an image for, zero-shot: of the concepts of its run, or of given classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pipeline.base.errors import ConfigError
from pipeline.base.settings import CONCEPT_TEMPLATES
from pipeline.base.storage import Store
from pipeline.clip.model import Clip
from pipeline.clip.zero_shot import embed_classes, score_classes
from pipeline.tables.datasets import run_folder
from pipeline.tables.measured import SimilarityRecord
from pipeline.tables.records import read_record

if TYPE_CHECKING:
    import duckdb

    from pipeline.warehouse.find import FoundRun


@dataclass(frozen=True)
class Classes:
    """What is chosen from."""

    names: tuple[str, ...]
    embeddings: torch.Tensor
    """Float32 ``[C, D]``, L2 norm 1, in the order of the names."""
    told: str
    """Whose choice they are, for a person."""

    def score(self, clip: Clip, images: torch.Tensor) -> torch.Tensor:
        """Probabilities over the classes, float32 ``[N, C]``, of embeddings ``[N, D]``."""
        return score_classes(clip, images, self.embeddings)[1]


def choose_classes(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    run: FoundRun,
    clip: Clip,
    classes: tuple[str, ...],
    templates: tuple[str, ...],
) -> Classes:
    """The classes that are given, or the tested concepts of the run; those that it has read already are not
    embedded again.

    Raises:
        ConfigError: No class is given and the run tests none, or the classes or templates cannot work.
    """
    record = f"{run_folder(run.dataset, run.run_id)}/similarity.json"
    known = read_record(store, record, SimilarityRecord) if store.exists(record) else None
    prompts = templates or (tuple(known["identity"]["templates"]) if known else CONCEPT_TEMPLATES)
    if classes:
        return Classes(classes, embed_classes(clip, classes, prompts), "your classes")
    where = {"dataset": run.dataset, "run_id": run.run_id}
    rows = connection.execute(
        """
        select distinct concept from tested_concepts
        where dataset = $dataset and run_id = $run_id
        order by concept
        """,
        where,
    ).fetchall()
    names = tuple(name for (name,) in rows)
    if len(names) < 2:
        raise ConfigError(
            f"Run {run.run_id!r} of {run.dataset!r} tests {len(names)} concepts: nothing to choose from.",
            "Say what the image could show: --class A --class B.",
        )
    told = f"{len(names)} concepts that the run is tested for"
    if known and not templates:
        rows = connection.execute(
            """
            select concept, embedding from raw_concept_embeddings
            where dataset = $dataset and run_id = $run_id
            """,
            where,
        ).fetchall()
        stored = dict(rows)
        if set(names) <= set(stored):
            return Classes(names, torch.tensor([stored[name] for name in names]), told)
    return Classes(names, embed_classes(clip, names, prompts), told)
