"""Extraction against what its two halves could give together, and against a script without us."""

from __future__ import annotations

import copy
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import torch
import webdataset as wds

from bench.data import PHOTO_SIZES, SMALL_SIZES, Shards, ingest_shards
from bench.timing import Report, Row, cpu, measure_in_turn, wall
from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import ExtractConfig
from pipeline.base.storage import Store
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.model import Clip, load_clip
from pipeline.extract.account import RunSummary
from pipeline.extract.encode import Encoder, Pending
from pipeline.extract.open import choose_outputs
from pipeline.extract.plan import ShardPlan, plan_shard
from pipeline.extract.run import choose_decoder, extract
from pipeline.extract.seat import worker_count
from pipeline.extract.stream import stream_batches
from pipeline.tables.datasets import read_dataset


@dataclass(frozen=True)
class Case:
    """One model on one set of shards."""

    title: str
    model: str
    shards: Shards
    batch_size: int
    naive_target: str
    layer: str = "goh2021"


DECODING = Case("decoding dominates", "RN-demo:random", Shards(2, 400, PHOTO_SIZES), 64, ">= 2")
MODEL = Case("the model dominates", "RN50:random", Shards(2, 80, SMALL_SIZES), 16, ">= 1")


class Halves:
    """One case's images through decoding alone, the model alone, and all of it."""

    def __init__(self, case: Case, warehouse: str) -> None:
        self.case = case
        self.paths = ingest_shards(warehouse, case.shards)
        self.config = ExtractConfig(
            warehouse, "bench", case.model, (case.layer,), batch_size=case.batch_size
        )
        self.clip = load_clip(case.model, self.config.device)
        self._store = Store(warehouse)
        self._spec = ImageSpec.from_model(self.clip.model)
        self._outputs = choose_outputs(self.config, self.clip)
        self._batches = [batch for batch in self._stream() if batch.examples]
        self._runs = count()

    def _plans(self) -> Iterator[ShardPlan]:
        for shard in read_dataset(self._store, "bench").shards:
            yield plan_shard(self._store, "bench", shard, with_texts=False)

    def _stream(self) -> Iterator[Any]:
        decoder = choose_decoder(self.config, self._spec, self.clip.device)
        workers = worker_count(self.config)
        return stream_batches(self._plans(), decoder, self.case.batch_size, workers)

    def decode(self) -> None:
        """Our stream with nobody behind it."""
        for _ in self._stream():
            pass

    def forward(self) -> None:
        """Batches that lie in memory through the model, hooks and pooling included."""
        encoder = Encoder(self.clip, self._outputs, self._spec, self.config)
        waiting: deque[Pending] = deque()
        with encoder.hooked():
            for batch in self._batches:
                waiting.append(encoder.encode(batch))
                if len(waiting) > 2:
                    waiting.popleft().wait()
            while waiting:
                waiting.popleft().wait()

    def everything(self) -> None:
        """The whole pipeline into a new run: planned, extracted, written, committed."""
        self.extract_anew()

    def extract_anew(self, progress: ProgressCallback | None = None) -> RunSummary:
        """One extraction under a name of its own."""
        return extract(replace(self.config, run=f"bench-{next(self._runs)}"), progress)


def _identity(value: Any) -> Any:
    return value


def naive_script(
    clip: Clip, paths: list[str], batch_size: int, workers: int, out: Path
) -> Callable[[], None]:
    """What one would write without us: open_clip's transform, webdataset, a hook, torch.save.

    The model is laid out in memory as open_clip hands it over, not as ``load_clip`` does.
    """
    model = copy.deepcopy(clip.model).to(memory_format=torch.contiguous_format)
    module = model.visual.layer4[-1].act3

    def run() -> None:
        pooled: list[torch.Tensor] = []
        keys: list[str] = []

        def keep(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            pooled.append(inputs[0].amax((2, 3)).cpu())

        handle = module.register_forward_pre_hook(keep)
        dataset = (
            wds.WebDataset(paths, shardshuffle=False, empty_check=False)
            .decode("pil")
            .to_tuple("jpg", "__key__")
            .map_tuple(clip.preprocess, _identity)
            .batched(batch_size)
        )
        loader = wds.WebLoader(dataset, batch_size=None, num_workers=workers)
        with torch.inference_mode():
            for images, batch_keys in loader:
                model.encode_image(images.to(clip.device))
                keys += batch_keys
        handle.remove()
        torch.save({"keys": keys, "activations": torch.cat(pooled)}, out)

    return run


def report_case(case: Case, rounds: int) -> Report:
    """Rates of one case, and the two ratios."""
    cores = os.cpu_count() or 1
    images = case.shards.count
    with tempfile.TemporaryDirectory() as folder:
        halves = Halves(case, folder)
        out = Path(folder) / "naive.pt"
        stages: dict[str, Callable[[], None]] = {
            "decode": halves.decode,
            "forward": halves.forward,
            "pipeline": halves.everything,
        }
        for workers in (0, cores):
            name = f"naive, {workers} workers"
            stages[name] = naive_script(halves.clip, halves.paths, case.batch_size, workers, out)
        measure_in_turn({k: stages[k] for k in ("decode", "forward", "pipeline")}, 1)  # warm up
        costs = measure_in_turn(stages, rounds)
        place = halves.clip.device.type
    yield f"extraction, {case.title}: {case.model}, {images} JPEGs, batches of {case.batch_size}"
    for name, taken in costs.items():
        note = f"CPU {cpu(taken) / images * 1e3:.2f} ms an image"
        yield Row(name, images / wall(taken), "images/s", note)
    decode, forward, ours = (costs[name] for name in ("decode", "forward", "pipeline"))
    shared = place == "cpu"  # decoding and the model share the cores: their times add up
    perfect = wall(decode) + wall(forward) if shared else max(wall(decode), wall(forward))
    how = "1 / (1/decode + 1/forward)" if shared else "min(decode, forward)"
    yield Row("perfect overlap", images / perfect, "images/s", how)
    note = "medians of wall time"
    if shared:
        note += f"; of CPU time: {(cpu(decode) + cpu(forward)) / cpu(ours):.2f}"
    yield Row("pipeline / perfect overlap", perfect / wall(ours), "x", note, ">= 0.90")
    naive = min((name for name in costs if name.startswith("naive")), key=lambda n: wall(costs[n]))
    note = f"to the {naive}; CPU {cpu(costs[naive]) / cpu(ours):.2f}"
    yield Row("pipeline / naive", wall(costs[naive]) / wall(ours), "x", note, case.naive_target)


def report(quick: bool) -> Report:
    """Both cases."""
    if quick:
        small = Shards(2, 8, SMALL_SIZES)
        yield from report_case(replace(DECODING, shards=small), 1)
        yield from report_case(replace(MODEL, model="RN-demo:random", shards=small), 1)
    else:
        yield from report_case(DECODING, 3)
        yield from report_case(MODEL, 3)
