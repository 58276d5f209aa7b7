"""One list of steps: whoever does them, they are these, in this order, and each can go to another process."""

from __future__ import annotations

import pickle

import pytest
from textures import write_textures

from pipeline.base.errors import ShardError
from pipeline.base.settings import (
    ExtractConfig,
    IngestConfig,
    IngestStep,
    LabelSettings,
    PipelineConfig,
)
from pipeline.base.steps import Here
from pipeline.jobs.job import run_job


class Told(Here):
    """Does steps here, as another process would get them, and remembers which."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def do(self, step):
        self.names.append(step.name)
        return super().do(pickle.loads(pickle.dumps(step)))


@pytest.fixture
def job(tmp_path):
    tars = write_textures(tmp_path / "tars", 2, 12)
    place = str(tmp_path / "warehouse")
    return PipelineConfig(
        place,
        "t",
        IngestStep("webdataset", (str(tars),)),
        IngestConfig(place, "t"),
        (ExtractConfig(place, "t", "RN-demo:random", ("visual.layer3.0",), run="r", device="cpu"),),
        labels=LabelSettings(label_null_repeats=0),
    )


def test_the_steps_of_a_job(job, tmp_path):
    worker = Told()
    done = run_job(job, worker)
    assert worker.names == ["ingest", "extract", "build marts", "check warehouse", "export summary"]
    assert [line.split()[0] for line in done.lines] == [
        "ingest", "extract", "build", "check", "summary",
    ]  # fmt: skip
    assert [page.path for page in done.pages] == ["summaries/t-r.md"]
    assert (tmp_path / "warehouse" / "summaries" / "t-r.md").exists()


def test_a_damaged_shard_ends_a_job_here(job, tmp_path):
    (tar, *_) = sorted((tmp_path / "tars").glob("*.tar"))
    tar.write_bytes(tar.read_bytes()[:20_000])
    worker = Told()
    with pytest.raises(ShardError):
        run_job(job, worker)
    assert worker.names == ["ingest"]
