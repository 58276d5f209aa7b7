"""The files of a layer: which block of neurons is measured, what of it is still true, what is new.

A file is of a block of neurons and named by what it was made from, so what an interrupted attempt has
finished is not done again, and of a block only what is new or has another label is measured.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.base.faults import faults_told
from pipeline.base.settings import digest
from pipeline.clip.replay import Replay
from pipeline.effects.choose import NeuronPlan, Plan, plan_neurons
from pipeline.effects.measure import measure_block
from pipeline.effects.work import Work
from pipeline.extract.images import Images
from pipeline.tables.manifests import FileEntry, adopt_file, make_entry
from pipeline.tables.measured import EffectIdentity, EffectRecord
from pipeline.tables.schema import TABLES
from pipeline.warehouse.find import FoundLayer

BLOCK_UNITS = 64
"""Neurons whose rows are in one file."""

KINDS = ("effects", "concept_effects")
"""Tables, each with a file of every block."""


class LayerWork:
    """One layer: its blocks, and which of them are measured.

    Args:
        work: What the layers share.
        layer: Which.
        identity: What decides its effects.
        places: Folders of its files, one of each of `KINDS`.
        old: The record of what was measured in the same way before, if anything was.
    """

    def __init__(
        self,
        work: Work,
        layer: FoundLayer,
        identity: EffectIdentity,
        places: list[str],
        old: EffectRecord | None,
    ) -> None:
        self.work, self.identity, self.places = work, identity, places
        self.layer, self.new_count = layer, 0
        self._old = {(f["table"], f["ordinal"]): f for f in (old["files"] if old else [])}
        before = old["units"] if old else []
        self.plan: Plan = plan_neurons(work.connection, layer, work.config, work.concepts, before)
        self._replay: Replay | None = None
        self._images: Images | None = None

    def measure(self) -> list[FileEntry]:
        """The files of all blocks."""
        blocks: dict[int, list[NeuronPlan]] = {}
        for neuron in self.plan.neurons:
            blocks.setdefault(neuron.unit // BLOCK_UNITS, []).append(neuron)
        progress = self.work.progress
        progress.start(f"effects of {self.layer.layer}", len(self.plan.neurons))
        try:
            files = []
            for block, neurons in blocks.items():
                files += self._block(block, neurons)
                progress.advance(len(neurons), f"units {neurons[0].unit} to {neurons[-1].unit}")
        finally:
            progress.finish()
        return files

    def _block(self, block: int, neurons: list[NeuronPlan]) -> list[FileEntry]:
        store = self.work.store
        made_from = digest([self.identity, [neuron.made_from for neuron in neurons]])
        kept = [self._old.get((kind, block)) for kind in KINDS]
        if all(file is not None and file.get("made_from") == made_from for file in kept):
            return [file for file in kept if file is not None]
        paths = [f"{place}/{block:05d}-{made_from}.parquet" for place in self.places]
        adopted = [adopt_file(store, *pair) for pair in zip(KINDS, paths, strict=True)]
        found = [file for file in adopted if file is not None]
        if len(found) < len(KINDS):
            tables = self._measure(block, neurons)
            found = []
            for kind, rel, table in zip(KINDS, paths, tables, strict=True):
                written = store.write_parquet(rel, table)
                found.append(make_entry(kind, rel, len(table), written))
        return [
            {**file, "layer": self.layer.layer, "ordinal": block, "made_from": made_from}
            for file in found
        ]

    def _measure(self, block: int, neurons: list[NeuronPlan]) -> list[pa.Table]:
        """The tables of a block: rows that are still true, and new ones."""
        old = [self._old.get((kind, block)) for kind in KINDS]
        before = [self._read(file) for file in old if file is not None]
        known: dict[int, str] = {}
        if len(before) == len(KINDS):
            pairs = before[0].select(["unit", "made_from"]).to_pylist()
            known = {pair["unit"]: pair["made_from"] for pair in pairs}
        same = [p.unit for p in neurons if known.get(p.unit) == p.made_from]
        new = [p for p in neurons if p.unit not in same]
        self.new_count += len(new)
        config = self.work.config
        if self._replay is None:
            self._replay = self.work.replay(self.layer.layer)
        if self._images is None:
            self._images = self._load()
        made = (
            measure_block(
                self._replay,
                self.work.prompts,
                new,
                self.identity["levels"],
                self._images,
                config.seed,
                config.batch_size,
            )
            if new
            else ()
        )
        tables = []
        for number, kind in enumerate(KINDS):
            parts = [made[number]] if made else []
            if same:
                table = before[number]
                parts.append(table.filter(pc.is_in(table["unit"], pa.array(same, pa.int32()))))
            keys = [name for name in TABLES[kind].key if name in parts[0].column_names]
            tables.append(pa.concat_tables(parts).sort_by([(key, "ascending") for key in keys]))
        return tables

    def _load(self) -> Images:
        """All images of the layer's neurons."""
        ids = {i for p in self.plan.neurons for i in (*p.hidden, *p.shown)}
        return Images(
            self.work.connection,
            self.work.store,
            self.layer.dataset,
            self.work.run["identity"],
            self.work.clip,
            ids,
        )

    def _read(self, file: FileEntry) -> pa.Table:
        with faults_told(self.work.store.url), self.work.store.open(file["path"]) as opened:
            return pq.read_table(opened, page_checksum_verification=True)
