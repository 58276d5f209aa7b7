"""Every view of ``sql/`` is the same before and after merging, to the last bit, killed in the middle or not."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import kills
from bench.data import synthesise_activations, synthetic_output, write_run
from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.tables.merged import PARTIALS, read_merged
from pipeline.upkeep import build as build_module
from pipeline.upkeep import vacuum as vacuum_module
from pipeline.upkeep.build import build
from pipeline.upkeep.merge import merge_run
from pipeline.upkeep.vacuum import vacuum
from pipeline.warehouse.connect import connect
from pipeline.warehouse.views import load_views

pytestmark = pytest.mark.slow

SHARDS, SIZE, UNITS = 9, 24, 3
"""Merged by twos: to one of eight shards, in three levels, and one beside it."""

Answers = dict[str, list[tuple[Any, ...]]]


def merge(place: Path) -> None:
    assert merge_run(Store(place), kills.FOLDER).merge_count == 7


def merge_and_vacuum(place: Path) -> None:
    merge(place)
    vacuum(Store(place))
    folder = place / kills.FOLDER
    left = [file.name for table in PARTIALS for file in folder.glob(f"{table}/*/0*.parquet")]
    assert left == ["00008.parquet"] * len(PARTIALS)


def merge_and_be_killed(place: Path) -> None:
    assert kills.run_step("merge", place, kill_at=40) == -signal.SIGKILL
    record = read_merged(Store(place), kills.FOLDER)
    assert record is not None and 0 < len(record["merges"]) < 7


def ask(place: Path) -> Answers:
    """Every view, with marts that rest on the statistics as they lie there."""
    build(place, LabelSettings(label_null_repeats=1, concept_min_count=1))
    with connect(place) as connection:
        return {
            view.name: connection.execute(f"select * from {view.name} order by all").fetchall()
            for view in load_views()
        }


@pytest.fixture(scope="module")
def still() -> Any:
    """A build that merges nothing more, and a vacuum that does not wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_module, "settle", lambda *_: [])
        patch.setattr(vacuum_module, "KEEP", timedelta(seconds=-1))
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        yield


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("parts") / "warehouse"
    values = synthesise_activations(SHARDS * SIZE, UNITS, 0.4)
    values[:, 2] = torch.where(values[:, 2] > 0, 1.0, 0.0).half()  # ties
    write_run(str(place), values, SIZE, synthetic_output(UNITS), concept_count=3, merge_width=2)
    return place


@pytest.fixture(scope="module")
def expected(parts: Path, still: None, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    return ask(Path(shutil.copytree(parts, tmp_path_factory.mktemp("before") / "warehouse")))


@pytest.mark.parametrize("change", [merge_and_vacuum, merge_and_be_killed])
def test_every_view_answers_the_same(
    parts: Path, expected: Answers, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    place = Path(shutil.copytree(parts, tmp_path / "warehouse"))
    change(place)
    found = ask(place)
    assert [view for view in expected if found[view] != expected[view]] == []
    assert {"neuron_labels", "neuron_enrichments", "top_examples"} <= {
        n for n, rows in found.items() if rows
    }
