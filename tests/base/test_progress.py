from __future__ import annotations

import logging
from pathlib import Path

import pytest
from making import make_samples, read_manifests, read_rows, snapshot, write_tar

from pipeline.base.progress import BarProgress, LogProgress, NoProgress, ProgressCallback
from pipeline.base.settings import IngestConfig, IngestStep
from pipeline.sources.ingest import ingest


def start(tmp_path: Path, progress: ProgressCallback) -> None:
    config = IngestConfig(str(tmp_path / "warehouse"), "d")
    ingest(config, IngestStep("webdataset", (str(tmp_path / "in"),)), progress)


def test_log_has_a_line_a_shard(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for n in range(2):
        write_tar(tmp_path / f"in/0000{n}.tar", make_samples(3, 3 * n))
    with caplog.at_level(logging.INFO, "pipeline"):
        start(tmp_path, LogProgress())
    first, *lines, last = (record.getMessage() for record in caplog.records)
    assert first == "shards: begins, 2 in all"
    assert lines == [f"shards {n + 1}/2: 0000{n} done, 3 examples, 0 rejects" for n in range(2)]
    assert last.startswith("shards: 2 in ")


def test_a_bar_goes_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tar(tmp_path / "in/00000.tar", make_samples(3))
    start(tmp_path, BarProgress())
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "shards" in shown.err
    assert "1/1" in shown.err


class Killed(NoProgress):
    """Stops the run after one shard, as Ctrl-C would."""

    def advance(self, count: int, note: str = "") -> None:
        raise KeyboardInterrupt


def test_a_stopped_ingest_ends_like_one_that_was_not(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for n in range(3):
            write_tar(tmp_path / name / f"in/0000{n}.tar", make_samples(3, 2 * n))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            start(tmp_path / "a", Killed())
    assert len(read_manifests(tmp_path / "a")) == 1
    start(tmp_path / "a", NoProgress())
    start(tmp_path / "b", NoProgress())
    assert len(read_rows(tmp_path / "a", "duplicates")) == 2
    assert snapshot(tmp_path / "a", with_times=False) == snapshot(tmp_path / "b", with_times=False)
