"""Files of an earlier format: their new columns are null, and everything else answers as before."""

from __future__ import annotations

import dataclasses

from pipeline.schema import FORMAT, TABLES, Column
from pipeline.warehouse import raw_view


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
    sql = raw_view(_Files(files), table, lambda rel: rel)
    first, second = sql.split("union all by name")
    assert "null::integer as mood" in first
    assert first.count("00000.parquet") == first.count("00002.parquet") == 1
    assert "null::integer as mood" not in second
    assert "mood" in second
    assert "00001.parquet" in second


def test_every_record_says_its_format(tmp_path):
    from pipeline.storage import Store

    store = Store(tmp_path)
    store.write_record("a.json", {"x": 1})
    record = store.read_json("a.json")
    assert (record["format"], record["x"]) == (FORMAT, 1)
