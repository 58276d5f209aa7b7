"""Two users of one model in one process: threads of a notebook, a web page, a flow."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from running import make_config, read_run
from waiting import LIMIT_S

from pipeline.clip.hooks import capture_layers
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import load_clip
from pipeline.clip.zero_shot import embed_classes
from pipeline.extract.run import extract

TABLES = ("activations", "embeddings", "shard_stats", "shard_top")


def at_once(*jobs):
    """Run jobs in threads that begin together; their results, in order."""
    barrier = threading.Barrier(len(jobs))

    def run(job):
        barrier.wait(timeout=LIMIT_S)
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [
            future.result(timeout=LIMIT_S) for future in [pool.submit(run, job) for job in jobs]
        ]


@pytest.mark.parametrize(
    "others",
    [
        {"layers": ("visual.layer1.0.act3",)},  # the same model, other hooks
        {"model": "ViT-small:random", "layers": ("visual.transformer.resblocks.0",)},
    ],
    ids=["one model", "two models"],
)
@pytest.mark.slow
def test_extractions_in_two_threads_give_what_they_give_one_after_the_other(
    dataset: Path, others: dict[str, object]
) -> None:
    changes = [{"batch_size": 3}, {"batch_size": 5, **others}]

    def jobs(names: str):
        return [
            lambda name=name, change=change: extract(make_config(dataset, run=name, **change))
            for name, change in zip(names, changes, strict=True)
        ]

    for job in jobs("ab"):
        job()
    summaries = at_once(*jobs("cd"))
    assert [summary.written_count for summary in summaries] == [69, 69]
    for alone, together in ("ac", "bd"):
        for table in TABLES:
            assert read_run(dataset, table, alone) == read_run(dataset, table, together)


def test_texts_wait_until_the_hooks_are_gone() -> None:
    clip = load_clip("ViT-small:random")
    layers = resolve_layers(clip, ("ln_final", "transformer.resblocks.0.mlp.gelu"))
    expected = embed_classes(clip, ["cat", "dog"], ["{}"])
    is_done = threading.Event()

    def embed():
        result = embed_classes(clip, ["cat", "dog"], ["{}"])
        is_done.set()
        return result

    with ThreadPoolExecutor(1) as pool:
        with capture_layers(clip, layers) as captured:
            future = pool.submit(embed)
            assert not is_done.wait(0.2)  # it takes its turn
            assert captured.pooled == {}
        assert torch.equal(future.result(timeout=LIMIT_S), expected)


def test_a_pass_of_another_thread_is_not_captured() -> None:
    """Who has the network from ``pipeline.load_clip`` holds no lock."""
    clip = load_clip("ViT-small:random")
    layers = resolve_layers(clip, ("visual.ln_post",))
    noise = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    with capture_layers(clip, layers) as captured, torch.inference_mode():
        thread = threading.Thread(target=clip.model.encode_image, args=(noise,))
        thread.start()
        thread.join(LIMIT_S)
        assert captured.pooled == {}
        clip.model.encode_image(noise)
        assert list(captured.pooled) == ["visual.ln_post:output:max"]
