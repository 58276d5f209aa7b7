"""Files of an earlier format: their new columns are null, and everything else answers as before."""

from __future__ import annotations

import dataclasses
import tarfile
from pathlib import Path

import pytest

from pipeline.base.storage import FORMAT
from pipeline.tables.columns import Column
from pipeline.tables.schema import TABLES
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
        {"table": "texts", "path": f"dataset=d/texts/{n:05d}.parquet", "format": written}
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
    from pipeline.base.storage import Store

    store = Store(tmp_path)
    store.write_record("a.json", {"x": 1})
    record = store.read_json("a.json")
    assert (record["format"], record["x"]) == (FORMAT, 1)


@pytest.fixture(scope="module")
def old_warehouse(tmp_path_factory) -> str:
    """Sixteen pictures and a broken one, through nano: made by version 0.1.0, before records had a format."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(Path(__file__).parents[1] / "data" / "warehouse-format-1.tar.gz") as tar:
        tar.extractall(folder, filter="data")
    return str(folder)


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
