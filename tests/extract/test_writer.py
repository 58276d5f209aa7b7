from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from moments import merged, moments_of

from pipeline.base.errors import ActivationError
from pipeline.base.storage import Store
from pipeline.clip.hooks import Layer, LayerSpec
from pipeline.extract.activation_file import write_activations
from pipeline.extract.kept import choose_kept, count_kept
from pipeline.extract.results import LayerOutput, Results
from pipeline.extract.sketch import MOMENTS
from pipeline.extract.write import ShardWriter
from pipeline.tables.datasets import Shard
from pipeline.tables.schema import TABLES
from pipeline.warehouse.views import sql_folder

SHARD = Shard(7, "shard", "/nowhere.tar", 0)
FIRST = SHARD.example_id(0)
MACROS = duckdb.connect(":memory:")
MACROS.execute((sql_folder() / "macros/kept.sql").read_text())


def make_output(units: int, store: str = "all", dtype: torch.dtype = torch.float16) -> LayerOutput:
    spec = LayerSpec("visual.some.act", "input", "max")
    return LayerOutput(Layer(spec, "visual", "ReLU", "flat", units, False), store, dtype)


def draw(units: int, count: int, share: float = 0.5, dtype: Any = np.float16) -> torch.Tensor:
    """``[count, units]``; about ``share`` of the values are above zero, some are exactly zero."""
    rng = np.random.default_rng(0)
    signs = np.where(rng.random((count, units)) < share, 1, rng.choice([0, -1], (count, units)))
    return torch.from_numpy((np.abs(rng.normal(size=(count, units))) * signs).astype(dtype))


def write_shard(
    folder: Path,
    values: torch.Tensor,
    output: LayerOutput,
    budget: int = 1 << 30,
    batch: int = 16,
    duplicates: tuple[int, ...] = (),
    threads: ThreadPoolExecutor | None = None,
) -> tuple[Store, list[dict[str, Any]]]:
    store = Store(folder)
    twice = torch.tensor(duplicates, dtype=torch.int64) + FIRST
    writer = ShardWriter(store, "run", SHARD, (output,), twice, 5, budget, threads)
    for start in range(0, len(values), batch):
        part = values[start : start + batch]
        ids = torch.arange(start, start + len(part)) + FIRST
        vectors = torch.arange(len(part) * 3).view(-1, 3).half() + start
        finite = torch.ones(len(part), dtype=torch.bool)
        writer.add(Results(ids, {output.layer.name: part}, vectors, finite))
    files = writer.finish()
    assert writer.added_count == len(values)
    assert writer.canonical_count == len(values) - len(duplicates)
    return store, files


def read(store: Store, files: list[dict[str, Any]], table: str) -> pa.Table:
    paths = [store.path(file["path"]) for file in files if file["table"] == table]
    return pa.concat_tables([pq.ParquetFile(path).read() for path in paths])


def expected_rows(values: torch.Tensor, keep: str) -> list[tuple[int, int, float]]:
    matrix = values.T.double()
    mask = torch.ones_like(matrix, dtype=torch.bool) if keep == "all" else matrix > 0
    units, columns = mask.nonzero(as_tuple=True)
    found = matrix[units, columns].tolist()
    return list(zip(units.tolist(), (columns + FIRST).tolist(), found, strict=True))


def rows_of(table: pa.Table) -> list[tuple[int, int, float]]:
    return list(zip(*(table[n].to_pylist() for n in table.column_names), strict=True))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("keep", ["positive", "all"])
@pytest.mark.parametrize(("units", "count"), [(1, 1), (300, 37), (130, 1500), (3, 0)])
def test_values_come_back_exactly(
    tmp_path: Path, units: int, count: int, keep: str, dtype: Any
) -> None:
    values = draw(units, count, dtype=dtype)
    output = make_output(units, keep, values.dtype)
    store, files = write_shard(tmp_path, values, output)
    table = read(store, files, "activations")
    assert rows_of(table) == expected_rows(values, keep)
    assert table.schema.field("activation").type == (
        pa.float16() if dtype == np.float16 else pa.float32()
    )
    for name in ("embeddings", "shard_stats", "shard_histograms", "shard_top", "shard_samples"):
        assert read(store, files, name).schema.equals(TABLES[name].arrow_schema())
    embeddings = read(store, files, "embeddings")
    assert embeddings["example_id"].to_pylist() == list(range(FIRST, FIRST + count))
    assert embeddings["embedding"].to_pylist() == [
        [n - n % 16 + 3 * (n % 16) + i for i in range(3)] for n in range(count)
    ]
    for file in files:
        size = Path(store.path(file["path"])).stat().st_size
        assert file["bytes"] == size
        assert file["row_count"] == pq.ParquetFile(store.path(file["path"])).metadata.num_rows


def test_file_layout(tmp_path: Path) -> None:
    """DESIGN.md section 5: what readers of single neurons rely on."""
    values = draw(300, 1000)
    store, files = write_shard(tmp_path, values, make_output(300, "all"))
    (file,) = [f for f in files if f["table"] == "activations"]
    assert file["path"] == ("run/activations/layer=visual.some.act%3Ainput%3Amax/00007.parquet")
    parquet = pq.ParquetFile(store.path(file["path"]))
    assert parquet.schema_arrow == TABLES["activations"].arrow_schema()
    groups = [parquet.metadata.row_group(n) for n in range(parquet.num_row_groups)]
    assert [group.num_rows for group in groups] == [128_000, 128_000, 44_000]
    for n, group in enumerate(groups):
        unit, example_id, activation = (group.column(i) for i in range(3))
        assert {column.compression for column in (unit, example_id, activation)} == {"ZSTD"}
        assert "RLE_DICTIONARY" in unit.encodings
        assert unit.has_dictionary_page
        assert not example_id.has_dictionary_page and not activation.has_dictionary_page
        assert "DELTA_BINARY_PACKED" in example_id.encodings
        assert set(activation.encodings) == {"PLAIN", "RLE"}
        assert (unit.statistics.min, unit.statistics.max) == (128 * n, min(128 * n + 127, 299))
        assert example_id.statistics.has_min_max
        assert activation.statistics is None or not activation.statistics.has_min_max


def test_small_shards_have_more_units_in_a_row_group(tmp_path: Path) -> None:
    store, files = write_shard(tmp_path, draw(600, 50), make_output(600, "all"))
    path = next(f["path"] for f in files if f["table"] == "activations")
    metadata = pq.ParquetFile(store.path(path)).metadata
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [30_000]


def test_more_than_65536_units_have_a_wider_column(tmp_path: Path) -> None:
    values = torch.zeros(65_537, 1, dtype=torch.float16)
    values[65_536] = 1.5
    for count, kind in ((65_537, pa.uint32()), (65_536, pa.uint16())):
        write_activations(Store(tmp_path), "f", values[-count:], torch.tensor([3]), "positive")
        table = pq.read_table(tmp_path / "f")
        assert table.schema.field("unit").type == kind
        assert rows_of(table) == [(count - 1, 3, 1.5)]


def test_bytes_per_activation(tmp_path: Path) -> None:
    """Of a rectified layer with one in five above zero: sizes are exact, so this is no timing."""
    values = draw(256, 2000, share=0.2)
    _, files = write_shard(tmp_path, values, make_output(256, "positive"))
    size = next(f["bytes"] for f in files if f["table"] == "activations")
    assert size / values.numel() < 0.6  # raw float16: 2.0


@pytest.mark.parametrize("keep", ["positive", "all"])
def test_parts_hold_the_same_as_one_file(tmp_path: Path, keep: str) -> None:
    values = draw(40, 200)
    output = make_output(40, keep)
    duplicates = (3, 77, 150)
    one_store, one = write_shard(tmp_path / "one", values, output, duplicates=duplicates)
    budget = 40 * 2 * 60  # 60 examples: every fourth batch of 16 passes it
    store, many = write_shard(tmp_path / "many", values, output, budget, duplicates=duplicates)
    parts = [f["path"].rsplit("/", 1)[1] for f in many if f["table"] == "activations"]
    assert parts == ["00007.parquet", "00007-1.parquet", "00007-2.parquet", "00007-3.parquet"]
    assert sorted(rows_of(read(store, many, "activations"))) == expected_rows(values, keep)
    for table in ("embeddings", "shard_top", "shard_histograms", "shard_samples"):
        assert read(store, many, table) == read(one_store, one, table)
    stats, one_stats = read(store, many, "shard_stats"), read(one_store, one, "shard_stats")
    sums = ["activation_sum", "activation_sum_sq", *MOMENTS[8:]]
    assert stats.drop(sums) == one_stats.drop(sums)
    for unit, row in enumerate(values.T.numpy()):
        whole, union = (
            moments_of(row),
            merged([moments_of(row[i : i + 64]) for i in range(0, 200, 64)]),
        )
        for table, exact in ((one_stats, whole), (stats, union)):
            assert [table[name][unit].as_py() for name in sums] == exact.sums()
    assert stats["duplicate_count"].to_pylist() == [3] * 40
    assert not set(read(store, many, "shard_top")["example_id"].to_pylist()) & {
        FIRST + n for n in duplicates
    }


def test_threads_write_the_same_bytes(tmp_path: Path) -> None:
    values = draw(40, 200)
    write_shard(tmp_path / "one", values, make_output(40), budget=40 * 2 * 60)
    with ThreadPoolExecutor(3) as threads:
        write_shard(tmp_path / "some", values, make_output(40), 40 * 2 * 60, threads=threads)
    one, some = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.parquet")}
        for folder in (tmp_path / "one", tmp_path / "some")
    )
    assert one == some and len(one) == 2 * 4 + 4


def test_parts_of_an_interrupted_attempt_are_removed(tmp_path: Path) -> None:
    values = draw(40, 200)
    write_shard(tmp_path, values, make_output(40), budget=40 * 2 * 20)
    assert len(list(tmp_path.rglob("00007-*.parquet"))) > 8
    _, files = write_shard(tmp_path, values, make_output(40), budget=40 * 2 * 110)
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")}
    assert there == {file["path"] for file in files}
    assert len([path for path in there if "00007-1." in path]) == 2  # activations, embeddings


def test_shard_without_examples(tmp_path: Path) -> None:
    store, files = write_shard(tmp_path, draw(4, 0), make_output(4))
    assert {file["table"] for file in files} == {
        "activations",
        "embeddings",
        "shard_stats",
        "shard_histograms",
        "shard_top",
        "shard_samples",
    }
    stats = read(store, files, "shard_stats").to_pylist()
    assert len(stats) == 4
    for row in stats:
        assert (row["example_count"], row["activation_sum"]) == (0, 0.0)
        assert row["activation_min"] is None and row["activation_max"] is None
    for table in ("activations", "embeddings", "shard_histograms", "shard_top", "shard_samples"):
        assert len(read(store, files, table)) == 0


def test_partials_in_parquet(tmp_path: Path) -> None:
    values = torch.tensor([[2.0, -1.0], [0.0, -1.0], [2.0, 5.0], [9.0, 0.5]]).half()
    store, files = write_shard(tmp_path, values, make_output(2), duplicates=(3,))
    assert read(store, files, "shard_stats").to_pylist() == [
        {
            "unit": 0,
            "shard_ordinal": 7,
            "example_count": 4,
            "duplicate_count": 1,
            "zero_count": 1,
            "positive_count": 3,
            "activation_sum": 13.0,
            "activation_sum_sq": 89.0,
            "activation_min": 0.0,
            "activation_max": 9.0,
            "central_sum_2": 46.75,  # of -1.25, -3.25, -1.25, 5.75
            "central_sum_3": 151.875,
            "central_sum_4": 1209.578125,
            "positive_sum": 13.0,
            "positive_sum_sq": 89.0,
        },
        {
            "unit": 1,
            "shard_ordinal": 7,
            "example_count": 4,
            "duplicate_count": 1,
            "zero_count": 0,
            "positive_count": 2,
            "activation_sum": 3.5,
            "activation_sum_sq": 27.25,
            "activation_min": -1.0,
            "activation_max": 5.0,
            "central_sum_2": 24.1875,  # of -1.875, -1.875, 4.125, -0.375
            "central_sum_3": 56.953125,
            "central_sum_4": 314.2705078125,
            "positive_sum": 5.5,
            "positive_sum_sq": 25.25,
        },
    ]
    top = read(store, files, "shard_top").to_pylist()
    assert [
        (r["polarity"], r["unit"], r["example_rank"], r["example_id"] - FIRST, r["activation"])
        for r in top
    ] == [
        ("positive", 0, 1, 0, 2.0),
        ("positive", 0, 2, 2, 2.0),
        ("positive", 0, 3, 1, 0.0),
        ("positive", 1, 1, 2, 5.0),
        ("positive", 1, 2, 0, -1.0),
        ("positive", 1, 3, 1, -1.0),
        ("negative", 0, 1, 1, 0.0),
        ("negative", 0, 2, 0, 2.0),
        ("negative", 0, 3, 2, 2.0),
        ("negative", 1, 1, 0, -1.0),
        ("negative", 1, 2, 1, -1.0),
        ("negative", 1, 3, 2, 5.0),
    ]
    counts = read(store, files, "shard_histograms").to_pylist()
    assert sum(row["example_count"] for row in counts) == 8
    assert {row["bin"] for row in counts if row["unit"] == 0} == {0, 65, 73}


def test_beyond_float16_names_the_layer_and_offers_float32(tmp_path: Path) -> None:
    exact = torch.tensor([[1.0, 2.0], [3.0, 70_000.0]])
    with pytest.raises(ActivationError) as caught:
        write_shard(tmp_path, exact.half(), make_output(2))
    text = str(caught.value)
    assert "'visual.some.act:input:max'" in text and "'shard'" in text
    assert str(FIRST + 1) in text and "--activation-dtype float32" in text
    assert not list(tmp_path.rglob("*.parquet"))
    output = make_output(2, dtype=torch.float32)
    store, files = write_shard(tmp_path, exact, output)
    assert rows_of(read(store, files, "activations"))[-1] == (1, FIRST + 1, 70_000.0)


def strongest_rows(
    values: torch.Tensor, share: float, is_rectified: bool
) -> list[tuple[int, int, float]]:
    """Each neuron's strongest share of ``[N, U]``, rounded up; of equal ones the first examples."""
    count = math.ceil(Fraction(str(share)) * len(values))
    rows = []
    for unit, column in enumerate(values.T.double().tolist()):
        order = sorted(range(len(column)), key=lambda n: (-column[n], n))[:count]
        kept = [n for n in sorted(order) if column[n] > 0 or not is_rectified]
        rows += [(unit, FIRST + n, column[n]) for n in kept]
    return rows


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("is_rectified", [False, True])
@pytest.mark.parametrize(
    ("share", "count"), [(0.1, 43), (0.07, 100), (0.5, 7), (0.01, 3), (0.9, 0)]
)
def test_a_share_is_of_the_whole_shard_in_however_many_parts(
    tmp_path: Path, share: float, count: int, is_rectified: bool, dtype: Any
) -> None:
    values = (draw(130, count, dtype=dtype) * 4).round() / 4  # many ties
    layer = make_output(130, f"top:{share}", values.dtype)
    output = replace(layer, layer=replace(layer.layer, is_rectified=is_rectified))
    wanted = strongest_rows(values, share, is_rectified)
    for name, budget, batch in (("one", 1 << 30, 16), ("parts", 9000, 7), ("each", 1, 1)):
        store, files = write_shard(tmp_path / name, values, output, budget, batch)
        kept = [file for file in files if file["table"] == "activations"]
        assert len(kept) == 1 and kept[0]["row_count"] == len(wanted)
        assert rows_of(read(store, files, "activations")) == wanted


@pytest.mark.parametrize("is_rectified", [False, True])
def test_partials_do_not_depend_on_what_is_kept(tmp_path: Path, is_rectified: bool) -> None:
    values = draw(40, 300)
    kept = "positive" if is_rectified else "all"
    tables = {}
    for store_as in (kept, "none", "top:0.2"):
        layer = make_output(40, store_as)
        output = replace(layer, layer=replace(layer.layer, is_rectified=is_rectified))
        store, files = write_shard(tmp_path / store_as, values, output, duplicates=(3, 9))
        tables[store_as] = {
            name: read(store, files, name)
            for name in (
                "embeddings",
                "shard_stats",
                "shard_histograms",
                "shard_top",
                "shard_samples",
            )
        }
    assert not list((tmp_path / "none/run").glob("activations/**/*.parquet"))
    assert tables["none"] == tables["top:0.2"] == tables[kept]


@given(st.integers(1, 999_999), st.integers(0, 1 << 20))
def test_a_share_counts_alike_here_and_in_the_views(millionths: int, count: int) -> None:
    """Exactly the share, rounded up, whatever floats make of the product."""
    share = f"{millionths / 1e6:.6f}"
    kept = choose_kept(f"top:{share}", True)
    wanted = -(-millionths * count // 1_000_000)
    assert count_kept(kept, count) == wanted
    ((found,),) = MACROS.execute("select kept_count(?, ?)", [kept, count]).fetchall()
    assert found == wanted
