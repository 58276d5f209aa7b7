"""Files of an earlier format: their new columns are null, and everything else answers as before."""

from __future__ import annotations

import dataclasses
import tarfile
from pathlib import Path

import pytest

from pipeline.base.storage import FORMAT, Store
from pipeline.tables.columns import Column
from pipeline.tables.manifests import keep_formats
from pipeline.tables.merged import merged_path
from pipeline.tables.schema import TABLES
from pipeline.upkeep.merge import merge_run
from pipeline.warehouse.connect import connect
from pipeline.warehouse.raw_views import raw_view


class _Files:
    def __init__(self, files):
        self.files = files

    def files_of(self, table):
        return [file for file in self.files if file["table"] == table]


def test_a_column_that_came_later_is_null_for_earlier_files_alone():
    table = TABLES["texts"]
    later = Column("mood", "int32", "", "a column of tomorrow", since=FORMAT)
    table = dataclasses.replace(table, columns=(*table.columns, later))
    files = [
        {
            "table": "texts",
            "path": f"dataset=d/texts/{n:05d}.parquet",
            "format": written,
            "row_count": 1,
        }
        for n, written in enumerate((1, FORMAT, 1))
    ]
    sql = raw_view(_Files(files), table)
    first, second = sql.split("union all by name")
    assert "null::integer as mood" in first
    assert first.count("00000.parquet") == first.count("00002.parquet") == 1
    assert "null::integer as mood" not in second
    assert "mood" in second
    assert "00001.parquet" in second


def test_every_record_says_its_format(tmp_path):
    store = Store(tmp_path)
    store.write_record("a.json", {"x": 1})
    record = store.read_json("a.json")
    assert (record["format"], record["x"]) == (FORMAT, 1)


def unpack(folder: Path, written: int) -> str:
    name = f"warehouse-format-{written}.tar.gz"
    with tarfile.open(Path(__file__).parents[1] / "data" / name) as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # since Python 3.11.4
        tar.extractall(folder)
    return str(folder)


@pytest.fixture(scope="module")
def old_warehouse(tmp_path_factory) -> str:
    """Sixteen pictures and a broken one, through nano: made by version 0.1.0, before records had a format."""
    return unpack(tmp_path_factory.mktemp("old"), 1)


def test_a_warehouse_of_the_first_format_answers_as_it_did(old_warehouse):
    with connect(old_warehouse) as connection:
        counts = connection.execute(
            """
            select
                (select count(*) from examples), (select count(*) from texts),
                (select count(*) from rejects), (select count(*) from activations),
                (select count(*) from top_examples), (select count(*) from neuron_samples)
            """
        ).fetchall()[0]
        sums = connection.execute(
            """
            select
                (select sum(activation::double) from activations),
                (select sum(mean) from neuron_stats)
            """
        ).fetchall()[0]
    assert counts == (16, 16, 1, 3581, 5632, 3584)
    assert sums == pytest.approx((2222.1543382406235, 138.8756844624877), rel=1e-9)


RUN = "dataset=old/run_id=8bf112d8418d"


@pytest.mark.slow
def test_a_warehouse_of_the_second_format_answers_as_it_did_merged_or_not(tmp_path):
    """The same pictures, before peaks were kept: their places are null, in merges of today too."""
    store = Store(unpack(tmp_path, 2))
    query = """
        select
            (select count(*) from activations), (select count(*) from top_examples),
            (select count(*) from neuron_samples), (select count(peak_row) from top_examples),
            (select count(*) from examples where is_turned),
            (select sum(activation::double) from activations),
            (select sum(mean) from neuron_stats),
            (select sum(activation::double * example_rank) from top_examples)
    """
    expected = (3581, 1763, 3584, 0, 0, 2222.1543382406235, 138.8756844624877)
    expected += (2648.2290682792664,)
    for is_merged in (False, True):
        with connect(store.url) as connection:
            (found,) = connection.execute(query).fetchall()
        assert found == pytest.approx(expected, rel=1e-9)
        if not is_merged:
            nothing = {"width": 2, "merges": [], "files": [], "retired": []}
            store.write_record(merged_path(RUN), nothing, with_copy=True)
            assert merge_run(store, RUN).merge_count == 1


@pytest.mark.parametrize("written", [1, 2])
def test_a_record_that_is_written_again_leaves_its_files_their_format(written):
    old = {"table": "shard_top", "path": "a.parquet", "format": 1}
    plain = {"table": "shard_top", "path": "b.parquet"}
    kept = keep_formats([old, plain], written)
    assert [file["format"] for file in kept] == [1, written]
    assert keep_formats([old, plain], FORMAT) == [old, plain]
