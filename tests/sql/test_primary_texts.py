"""An image's primary text: extraction, SQL and the rule in words choose the same one."""

from __future__ import annotations

import json
import random
import string

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import ingest_paths, make_image, write_tar
from sql_world import empty_world

from pipeline.base.storage import Store
from pipeline.extract.plan import TEXT_ORDER, primary_texts
from pipeline.sources.texts.source_text import TEXT_KINDS
from pipeline.tables.datasets import Shard
from pipeline.tables.schema import TABLES
from pipeline.warehouse.connect import connect
from pipeline.warehouse.images import read_primary_texts

LANGUAGES = ("en", "en-GB", "simple", "und", "de", "ja", "enm", "e", "eo")


def place(row: dict[str, object]) -> tuple[object, ...]:
    """The rule, in Python."""
    language = str(row["language"])
    return (
        TEXT_ORDER.index(str(row["text_kind"])),
        language.split("-")[0] not in ("en", "simple"),
        language != "und",
        language,
        row["text_rank"],
        row["text"],
    )


rows = st.lists(
    st.fixed_dictionaries(
        {
            "example_id": st.integers(0, 3),
            "language": st.sampled_from(LANGUAGES),
            "text_kind": st.sampled_from(TEXT_ORDER),
            "text_rank": st.integers(1, 2),
            "text": st.text(string.ascii_letters + "é日", min_size=1, max_size=3),
        }
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(rows=rows, seed=st.integers(0, 99))
@pytest.mark.slow
def test_extraction_and_the_view_choose_by_the_same_rule(rows, seed, tmp_path_factory):
    """Also where nothing but the text itself tells two apart, in any order of rows."""
    table = TABLES["texts"]
    random.Random(seed).shuffle(rows)
    texts = pa.Table.from_pylist(
        [row | {"page_title": None} for row in rows], schema=table.arrow_schema()
    )
    expected: dict[int, tuple[object, ...]] = {}
    for row in sorted(rows, key=place):
        expected.setdefault(
            row["example_id"], tuple(row[n] for n in ("language", "text_kind", "text_rank", "text"))
        )

    store = Store(tmp_path_factory.mktemp("texts"))
    store.write_parquet("dataset=d/texts/00000.parquet", texts)
    read = primary_texts(store, "dataset=d", Shard(0, "s", "s.tar", 0))
    assert read == {example: entry[-1] for example, entry in expected.items()}

    world = empty_world(("primary_texts",))
    world.insert("stg_texts", rows)
    got = world.rows("select example_id, language, text_kind, text_rank, text from primary_texts")
    assert {example: tuple(entry) for example, *entry in got} == expected


def test_every_kind_of_text_has_a_place():
    assert sorted(TEXT_ORDER) == sorted(TEXT_KINDS)


def test_the_primary_text_of_a_warehouse_is_what_top_and_cards_show(tmp_path):
    entries = [
        {"language": "de", "text_kind": "caption", "text": "Zug", "page_title": None},
        {"language": "und", "text_kind": "caption", "text": "?", "page_title": None},
        {"language": "simple", "text_kind": "caption", "text": "a train", "page_title": None},
        {"language": "en", "text_kind": "alt", "text": "alt", "page_title": None},
    ]
    samples = [
        {"__key__": "a", "jpg": make_image(1), "json": json.dumps({"texts": entries}).encode()},
        {"__key__": "b", "jpg": make_image(2)},
    ]
    ingest_paths(tmp_path, "webdataset", write_tar(tmp_path / "in/0.tar", samples))
    with connect(tmp_path / "warehouse") as con:
        assert read_primary_texts(con, "d", [0, 1, 2]) == {0: "a train"}
        kinds = con.execute("select language, text_kind from primary_texts").fetchall()
    assert kinds == [("simple", "caption")]
