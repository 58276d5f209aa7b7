"""Several shards written at once, as beside a GPU: the same files, and one that fails spoils no other."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from running import run_bytes, run_extract, run_manifests
from waiting import LIMIT_S

from pipeline.base.errors import ActivationError
from pipeline.extract import commit
from pipeline.extract.write import ShardWriter


@pytest.fixture
def three_writers(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setitem(commit.WRITERS, "cpu", 3)
    return monkeypatch


def written_alone(dataset: Path, **settings: int) -> dict[str, bytes]:
    run_extract(dataset, run="alone", **settings)
    files = run_bytes(dataset, "alone").items()
    return {path.replace("run_id=alone", "run_id=r"): data for path, data in files}


def test_shards_are_finished_side_by_side_and_as_one_after_the_other(
    dataset: Path, three_writers: pytest.MonkeyPatch
) -> None:
    finish, together = ShardWriter.finish, threading.Barrier(3)

    def meet(writer: ShardWriter) -> object:
        if writer.shard.ordinal < 3:
            together.wait(timeout=LIMIT_S)  # breaks unless three are there at once
        return finish(writer)

    three_writers.setattr(ShardWriter, "finish", meet)
    summary = run_extract(dataset, batch_size=5)
    assert (summary.read_count, summary.written_count) == (70, 69)
    together_written = run_bytes(dataset)
    three_writers.undo()
    assert together_written == written_alone(dataset, batch_size=5)


def test_after_an_error_no_writer_goes_on(dataset: Path, three_writers: pytest.MonkeyPatch) -> None:
    finish = ShardWriter.finish

    def fail(writer: ShardWriter) -> object:
        if writer.shard.ordinal == 1:
            raise ActivationError("No room.", "Make some.")
        return finish(writer)

    three_writers.setattr(ShardWriter, "finish", fail)
    with pytest.raises(ActivationError, match="No room"):
        run_extract(dataset)
    assert 1 not in [manifest["ordinal"] for manifest in run_manifests(dataset)]
    three_writers.setattr(ShardWriter, "finish", finish)
    run_extract(dataset)
    assert run_bytes(dataset) == written_alone(dataset)
