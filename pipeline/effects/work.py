"""What the layers of one measurement share: the run, its model, and the tested concepts as it reads them."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from pipeline.base.effect_settings import EffectConfig
from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import CONCEPT_TEMPLATES
from pipeline.base.storage import Store
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import Clip
from pipeline.clip.replay import Replay
from pipeline.clip.zero_shot import check_prompts, embed_classes
from pipeline.effects.measure import Prompts
from pipeline.evidence.classify import load_run_model
from pipeline.tables.datasets import run_folder
from pipeline.tables.measured import EffectIdentity, SimilarityRecord
from pipeline.tables.records import read_record
from pipeline.tables.runs import RunRecord, read_run


class Work:
    """A measurement of one run: what its layers share.

    Args:
        store: The warehouse.
        connection: Of ``pipeline.connect``.
        config: What is asked.
        concepts: All that are tested, sorted.
        progress: Told of every block.
    """

    def __init__(
        self,
        store: Store,
        connection: duckdb.DuckDBPyConnection,
        config: EffectConfig,
        concepts: Sequence[str],
        progress: ProgressCallback,
    ) -> None:
        self.store, self.connection, self.config = store, connection, config
        self.concepts, self.progress = concepts, progress
        self.folder = run_folder(config.dataset, config.run)
        self.run: RunRecord = read_run(store, self.folder)
        self.templates = config.templates or self._known_templates()
        check_prompts(concepts, self.templates)
        self._clip: Clip | None = None
        self._prompts: Prompts | None = None

    def _known_templates(self) -> tuple[str, ...]:
        """Those that ``neurons similarity`` read the run's images with."""
        rel = f"{self.folder}/similarity.json"
        if not self.store.exists(rel):
            return CONCEPT_TEMPLATES
        return tuple(read_record(self.store, rel, SimilarityRecord)["identity"]["templates"])

    @property
    def clip(self) -> Clip:
        """The run's model."""
        if self._clip is None:
            self._clip = load_run_model(self.run, self.config.model, self.config.device)
        return self._clip

    @property
    def prompts(self) -> Prompts:
        """The tested concepts."""
        if self._prompts is None:
            embeddings = embed_classes(self.clip, self.concepts, self.templates)
            self._prompts = Prompts(tuple(self.concepts), embeddings.to(self.clip.device))
        return self._prompts

    def identity(self, layer: str) -> EffectIdentity:
        """What decides its effects, besides what is known of each neuron."""
        return {
            "weights_sha256": self.run["identity"]["weights_sha256"],
            "layer": layer,
            "concepts": list(self.concepts),
            "templates": list(self.templates),
            "levels": sorted(self.config.levels),
            "hidden": self.config.hidden,
            "shown": self.config.shown,
            "seed": self.config.seed,
        }

    def replay(self, layer: str) -> Replay:
        """What follows a layer."""
        return Replay(self.clip, resolve_layers(self.clip, (layer,))[0])
