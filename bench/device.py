"""Extraction on an accelerator: the model alone, decoding alone, all of it, and where the time goes."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace

import torch

from bench.data import Shards
from bench.extraction import Case, Halves
from bench.timing import Report, Row, cpu, measure_in_turn, wall
from pipeline.base.progress import NoProgress
from pipeline.extract.tower import Tower

WEB_SIZES = ((500, 375), (400, 300), (640, 480), (320, 426))
"""Width and height in pixels of images as encyclopaedias and image search show them."""


@dataclass(frozen=True)
class Load:
    """One model at one precision, as it is or compiled."""

    model: str
    layer: str
    precision: str
    batch_size: int
    shards: Shards
    preprocess: str = "fast"
    compile: bool = False


def loads(quick: bool) -> list[Load]:
    """What is measured: on a GPU the models people use, elsewhere one small model to see it run."""
    if quick or not torch.cuda.is_available():
        small = Shards(2, 8, WEB_SIZES)
        return [Load("RN-demo:random", "goh2021", "float32", 16, small)]
    few, many = Shards(4, 500, WEB_SIZES), Shards(8, 1000, WEB_SIZES)
    return [
        Load("RN50x4:random", "goh2021", "float32", 128, few, "device"),
        Load("RN50x4:random", "goh2021", "bfloat16", 256, many),
        Load("RN50x4:random", "goh2021", "bfloat16", 256, many, "device"),
        Load("RN50x4:random", "goh2021", "bfloat16", 256, many, "device", compile=True),
        Load("ViT-L-14:random", "vit-mlp", "bfloat16", 256, many, "device"),
        Load("ViT-L-14:random", "vit-mlp", "bfloat16-weights", 256, many, "device"),
        Load("ViT-L-14:random", "vit-mlp", "bfloat16-weights", 256, many, "device", compile=True),
        Load("ViT-B-32:random", "vit-mlp", "bfloat16", 512, many, "device"),
        Load("ViT-B-32:random", "vit-mlp-all", "bfloat16", 512, few, "device"),
    ]


class ShardEnds(NoProgress):
    """Notes when shards were done, in seconds of the performance counter."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def advance(self, count: int, note: str = "") -> None:
        """The line about a shard comes when its manifest is written."""
        if note:
            self.ends.append(time.perf_counter())


class OnDevice(Halves):
    """The halves of `bench.extraction`, and the model alone on pixels that lie on the device."""

    def __init__(self, load: Load, warehouse: str) -> None:
        case = Case("", load.model, load.shards, load.batch_size, "", load.layer)
        super().__init__(case, warehouse)
        self.config = replace(
            self.config,
            precision=load.precision,
            preprocess=load.preprocess,
            compile=load.compile,
        )
        self._tower = Tower(self.clip, self.config)
        height, width = self._spec.size_px
        shape = (load.batch_size, 3, height, width)
        self._pixels = torch.randn(shape, device=self.clip.device).to(
            memory_format=torch.channels_last
        )
        self.seconds: dict[str, float] = {}
        self.steady_rate = 0.0

    def model_alone(self) -> None:
        """As many images as there are, without hooks, copies or a writer."""
        whole = self.case.batch_size if self.config.compile else 0
        with torch.inference_mode(), self._tower.arithmetic():
            for start in range(0, self.case.shards.count, self.case.batch_size):
                left = min(self.case.batch_size, self.case.shards.count - start)
                self._tower.encode(self._pixels[: max(left, whole)])
        if self.clip.device.type == "cuda":
            torch.cuda.synchronize()

    def everything(self) -> None:
        """The whole pipeline into a new run; what its stages took is kept, and how fast it was at last.

        The first shard has the start in it (kernels are chosen, memory is taken, nothing is decoded
        ahead): what a long run does is measured from its end to the end of the last one, images/s.
        """
        shards = ShardEnds()
        summary = self.extract_anew(shards)
        later = self.case.shards.count - self.case.shards.shard_size
        self.steady_rate = later / (shards.ends[-1] - shards.ends[0])
        self.seconds = {}
        for manifest in summary.manifests:
            for stage, taken in manifest["seconds"].items():
                self.seconds[stage] = self.seconds.get(stage, 0.0) + taken


def report_load(load: Load, rounds: int) -> Report:
    """Rates of one model, and what the pipeline reaches of the model alone."""
    images = load.shards.count
    with tempfile.TemporaryDirectory() as folder:
        halves = OnDevice(load, folder)
        stages = {
            "model alone": halves.model_alone,
            "model, hooks and copies": halves.forward,
            "decode": halves.decode,
            "pipeline": halves.everything,
        }
        if load.compile:  # which each of these would do anew
            del stages["model, hooks and copies"]
        measure_in_turn(stages, 1)  # warm up
        costs = measure_in_turn(stages, rounds)
        place = halves.clip.device
        if place.type == "cuda":
            place_name = torch.cuda.get_device_name(place)
            memory = f"{torch.cuda.max_memory_allocated(place) / 2**30:.1f} GiB at most"
        else:
            place_name, memory = "CPU", ""
    precision = load.precision + (", compiled" if load.compile else "")
    how = ", ".join(
        (load.layer, precision, f"decode {load.preprocess}", f"batches of {load.batch_size}")
    )
    yield f"device: {load.model}, {how}, {images} JPEGs, on {place_name} {memory}".rstrip()
    for name, taken in costs.items():
        note = f"CPU {cpu(taken) / images * 1e3:.2f} ms an image"
        yield Row(name, images / wall(taken), "images/s", note)
    spent = ", ".join(f"{name} {taken:.2f} s" for name, taken in halves.seconds.items())
    alone, decode, ours = (wall(costs[n]) for n in ("model alone", "decode", "pipeline"))
    yield Row("pipeline / model alone", alone / ours, "x", f"stages: {spent}")
    note = f"{halves.steady_rate:.0f} images/s"
    steady = halves.steady_rate / (images / alone)
    yield Row("pipeline after its first shard / model alone", steady, "x", note, ">= 0.90")
    yield Row("pipeline / slower of model and decode", max(alone, decode) / ours, "x")


def report(quick: bool) -> Report:
    """Every load."""
    for load in loads(quick):
        yield from report_load(load, 1 if quick else 2)
