"""A check after growth asks most views of the new shards alone, and finds what a check of everything finds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data import make_warehouse
from pipeline.base.storage import Store
from pipeline.tables.checked import read_checked
from pipeline.upkeep.check import Checks, check, check_unread, run_violations
from pipeline.upkeep.check_new import BY_SHARD, WHOLE, tables_of
from pipeline.upkeep.compact import compact
from pipeline.warehouse.stale import rests_on
from pipeline.warehouse.views import load_views

NEW, OLD, OTHER = 3, 1, 0
TABLES = ("examples", "stimuli", "embeddings", "activations", "shard_stats", "shard_samples")


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shards, in a folder ``grown``; in ``checked`` beside it three of them, which were checked."""
    folder = tmp_path_factory.mktemp("shards")
    make_warehouse(str(folder / "grown"), 4, 12, 2, concept_count=2)
    shutil.copytree(folder / "grown", folder / "checked")
    for manifest in (folder / "checked").glob(f"**/manifests/0000{NEW}.json"):
        manifest.unlink()
    assert not run_violations(check(folder / "checked"))
    return folder / "grown"


def _grow(grown: Path, place: Path) -> Path:
    """A copy of what was checked, with the new shard."""
    shutil.copytree(grown.parent / "checked", place)
    for manifest in grown.glob(f"**/manifests/0000{NEW}.json"):
        shutil.copy(manifest, place / manifest.relative_to(grown))
    return place


def _damage(place: Path, table: str, shard: int, how: str) -> None:
    """Rewrite a file of a shard, as if it had been written so: the manifest agrees."""
    (path,) = place.glob(f"dataset=*/**/{table}/**/0000{shard}*.parquet")
    rows = pq.ParquetFile(path).read()
    first = rows.slice(0, 1)
    if how == "row of another shard":
        (source,) = place.glob(f"dataset=*/**/{table}/**/0000{OTHER}*.parquet")
        first = pq.ParquetFile(source).read().slice(0, 1).cast(rows.schema)
    rows = rows.slice(1) if how == "row gone" else pa.concat_tables([first, rows])
    store, rel = Store(place), str(path.relative_to(place))
    written = store.write_parquet(rel, rows)
    for record in place.glob(f"**/manifests/0000{shard}.json"):
        said = json.loads(record.read_text())
        for file in said["files"]:
            if file["path"] == rel:
                file |= {"row_count": len(rows), **written._asdict()}
        store.write_record(str(record.relative_to(place)), said)


def _found(checks: Checks) -> list[tuple[str, int, list[list[str]]]]:
    return [
        (r.name, r.violation_count, [[*map(str, row)] for row in r.rows]) for r in checks.results
    ]


def test_every_check_view_is_asked_of_new_shards_or_has_a_reason():
    assert {*BY_SHARD} | WHOLE.keys() == {v.name for v in load_views() if v.topic == "checks"}
    assert not {*BY_SHARD} & WHOLE.keys()
    assert rests_on(BY_SHARD) == []  # they are asked without marts
    assert {*TABLES} <= tables_of(BY_SHARD)


@pytest.mark.slow
def test_a_new_shard_is_asked_alone(grown, tmp_path, told):
    place = _grow(grown, tmp_path / "warehouse")
    checks = check_unread(place)
    assert not run_violations(checks.results) and checks.new_shard_count == 1
    said = checks.asked_whole
    assert said.startswith(f"asked of 1 new shard alone: {', '.join(BY_SHARD)}; of all: ")
    assert "check_duplicates (an image may repeat one of any shard)" in said
    assert check_unread(place).asked_whole == ""  # nothing was asked
    assert "alone" not in told("check", "--warehouse", place, "--all")
    compact(place)  # other files hold what was checked
    assert check_unread(place).new_shard_count is None


damages = st.tuples(
    st.sampled_from(TABLES),
    st.sampled_from([NEW, OLD]),
    st.sampled_from(["row gone", "row twice", "row of another shard"]),
)


@settings(max_examples=4, derandomize=True)
@given(found=st.lists(damages, min_size=1, max_size=2, unique_by=lambda one: one[:2]))
@pytest.mark.slow
def test_what_is_found_is_what_a_check_of_everything_finds(grown, tmp_path_factory, found):
    place = _grow(grown, tmp_path_factory.mktemp("damaged") / "warehouse")
    for one in found:
        _damage(place, *one)
    remembered = read_checked(Store(place))["shards"]
    first = check_unread(place)
    again = check_unread(place)
    whole = check_unread(place, deep=True)
    assert _found(first) == _found(again) == _found(whole)
    if any(r.violation_count for r in whole.results if r.name in BY_SHARD):
        assert read_checked(Store(place))["shards"] == remembered


@pytest.mark.slow
def test_rows_of_an_old_shard_in_the_files_of_a_new_one(grown, tmp_path):
    place = _grow(grown, tmp_path / "warehouse")
    _damage(place, "shard_samples", NEW, "row of another shard")
    first = check_unread(place)
    assert first.new_shard_count is None  # it is not alone
    assert _found(first) == _found(check_unread(place, deep=True))
