"""A build sorts the activations of a run where that pays: many shards lie unsorted, and few rows in each."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.data import make_warehouse
from pipeline.base.storage import Store
from pipeline.upkeep import settle
from pipeline.upkeep.compact import compact
from pipeline.warehouse.connect import take_whole_inventory

SHARDS = 4


@pytest.fixture
def place(tmp_path: Path) -> Path:
    make_warehouse(str(tmp_path), SHARDS, 12, 2)
    return tmp_path


def listed(place: Path) -> list[str]:
    inventory = take_whole_inventory(Store(place))
    return [run.run_id for run in settle.list_to_sort(inventory)]


def test_few_shards_are_left_as_they_are(place, monkeypatch):
    assert listed(place) == []
    monkeypatch.setattr(settle, "UNSORTED_SHARDS", SHARDS + 1)
    assert listed(place) == []
    monkeypatch.setattr(settle, "UNSORTED_SHARDS", SHARDS)
    assert listed(place) == ["bench"]


def test_shards_with_many_activations_are_left_as_they_are(place, monkeypatch):
    monkeypatch.setattr(settle, "UNSORTED_SHARDS", SHARDS)
    store = Store(place)
    rows = sum(file["row_count"] for file in take_whole_inventory(store).files_of("activations"))
    monkeypatch.setattr(settle, "ROWS_AT_ONCE", rows / SHARDS)  # what a build finds at each visit
    assert listed(place) == []
    monkeypatch.setattr(settle, "ROWS_AT_ONCE", rows / SHARDS + 1)
    assert listed(place) == ["bench"]


def test_what_is_listed_is_sorted_and_then_not_listed(place, monkeypatch):
    monkeypatch.setattr(settle, "UNSORTED_SHARDS", SHARDS)
    (told,) = settle.settle(take_whole_inventory(Store(place)))
    assert told.startswith("sorted ") and told.endswith(" activations of run bench of synthetic")
    assert listed(place) == []
    assert settle.settle(take_whole_inventory(Store(place))) == []


def test_shards_that_came_after_sorting_count_alone(place, monkeypatch):
    last = [*place.glob(f"**/manifests/{SHARDS - 1:05d}.json")]
    said = {file: file.read_bytes() for file in last}
    for file in last:
        file.unlink()
    compact(place)
    for file, data in said.items():
        file.write_bytes(data)
    monkeypatch.setattr(settle, "UNSORTED_SHARDS", 2)
    assert listed(place) == []
    monkeypatch.setattr(settle, "UNSORTED_SHARDS", 1)
    assert listed(place) == ["bench"]
