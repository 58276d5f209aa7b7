"""Moments of a neuron: SQL over the partials of shards equals SciPy over all activations."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.base.storage import FORMAT
from pipeline.extract.sketch import HISTOGRAM_BINS, MOMENTS, Partials, sketch
from pipeline.tables.schema import TABLES
from pipeline.warehouse.views import find_view, load_statements

KINDS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "rectified": lambda rng, n: np.maximum(rng.normal(-1, 1, n), 0),
    "far from zero": lambda rng, n: rng.normal(2.73, 0.051, n),
    "at the end of float16": lambda rng, n: rng.normal(60000, 40, n).clip(0, 65504),
    "one last bit": lambda rng, n: np.where(np.arange(n) == n // 2, 2.732, 2.73),
    "one image": lambda rng, n: np.where(np.arange(n) == n // 2, 7.0, 0.0),
    "constant": lambda rng, n: np.full(n, 0.1),
    "never positive": lambda rng, n: -np.abs(rng.normal(size=n)),
}


def open_partials(values: np.ndarray[Any, Any], shards: np.ndarray[Any, Any]) -> Any:
    """``neuron_stats`` over the sketches of shards, of one layer; values are ``[U, N]``."""
    con = duckdb.connect(config={"threads": 1})
    for name in ("shard_stats", "shard_histograms"):
        table = TABLES[name]
        columns = [f"{part} varchar" for part in table.partitions]
        columns += [f"{column.name} {column.duckdb}" for column in table.columns]
        con.execute(f"create table raw_{name} ({', '.join(columns)})")
    con.execute("create table stg_runs as select 'd' as dataset, 'r' as run_id, 'm' as model_id")
    con.execute("".join(load_statements()))
    for name in ("stg_neuron_moments", "neuron_histograms", "neuron_stats"):
        con.execute(f"create view {name} as {find_view(name).body}")
    for shard in np.unique(shards):
        inside = np.ascontiguousarray(values[:, shards == shard])
        ids, again = torch.arange(inside.shape[1]), torch.zeros(inside.shape[1], dtype=torch.bool)
        place_shard(con, int(shard), sketch(torch.from_numpy(inside), ids, again, 5, False))
    return con


def place_shard(con: Any, shard: int, partials: Partials) -> None:
    names = ", ".join(MOMENTS)
    marks = ", ".join("?" * len(MOMENTS))
    con.executemany(
        f"insert into raw_shard_stats (dataset, run_id, layer, unit, shard_ordinal, {names}) "
        f"values ('d', 'r', 'l', ?, {shard}, {marks})",
        [(unit, *column) for unit, column in enumerate(partials.moments.T.tolist())],
    )
    units, bins = partials.histogram.numpy().nonzero()
    counts = partials.histogram.numpy()[units, bins]
    rows = zip(units.tolist(), (bins - HISTOGRAM_BINS).tolist(), counts.tolist(), strict=True)
    con.executemany(
        f"insert into raw_shard_histograms values ('d', 'r', 'l', ?, {shard}, ?, ?)", list(rows)
    )


def sparsity(row: np.ndarray[Any, Any]) -> float | None:
    """Vinje & Gallant 2000."""
    response = np.maximum(row, 0)
    if not response.any() or len(row) < 2:
        return None
    share = response.mean() ** 2 / (response**2).mean()
    return float((1 - share) / (1 - 1 / len(row)))


@settings(max_examples=25, deadline=None)
@example(seed=0, count=2, shard_count=2, dtype=np.float16)
@given(
    seed=st.integers(0, 1 << 32),
    count=st.integers(2, 400),
    shard_count=st.integers(1, 5),
    dtype=st.sampled_from([np.float16, np.float32]),
)
def test_moments_equal_scipy_however_the_shards_are_cut(seed, count, shard_count, dtype):
    rng = np.random.default_rng(seed)
    values = np.stack([make(rng, count) for make in KINDS.values()]).astype(dtype)
    con = open_partials(values, rng.integers(0, shard_count, count))
    rows = con.execute(
        "select mean, sd, skewness, kurtosis, sparsity from neuron_stats order by unit"
    ).fetchall()
    for row, (mean, sd, skewness, kurtosis, sparse) in zip(
        values.astype(np.float64), rows, strict=True
    ):
        assert mean == pytest.approx(row.mean(), rel=1e-12, abs=1e-12)
        assert sd == pytest.approx(0 if np.ptp(row) == 0 else row.std(), rel=1e-9)
        assert sparse == (
            None if sparsity(row) is None else pytest.approx(sparsity(row), rel=1e-7, abs=1e-12)
        )
        if np.ptp(row) == 0:
            assert (skewness, kurtosis) == (None, None)
            continue
        away = row - row.mean()  # SciPy refuses data that are nearly constant
        scale = np.abs(away).max()
        assert skewness == pytest.approx(scipy.stats.skew(away / scale), rel=1e-7, abs=1e-7)
        assert kurtosis == pytest.approx(scipy.stats.kurtosis(away / scale), rel=1e-7, abs=1e-7)


def test_selective_neurons_stand_out():
    """By each of the three, the neuron that answers to one image comes first."""
    rng = np.random.default_rng(0)
    values = np.stack([make(rng, 400) for make in KINDS.values()]).astype(np.float16)
    con = open_partials(values, rng.integers(0, 3, 400))
    selective = list(KINDS).index("one image")
    (figures,) = con.execute(
        "select skewness, kurtosis, sparsity from neuron_stats where unit = $unit",
        {"unit": selective},
    ).fetchall()
    assert figures[2] == pytest.approx(1)
    assert figures[0] == pytest.approx(398 / 399**0.5)
    for place in ("far from zero", "at the end of float16"):
        (least,) = con.execute(
            "select sparsity from neuron_stats where unit = $unit",
            {"unit": list(KINDS).index(place)},
        ).fetchall()[0]
        assert least < 0.001


def test_a_shard_that_knows_no_central_moments_leaves_the_neuron_without():
    """As a run that was begun by an earlier version and is finished by this one."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 90)).astype(np.float16)
    con = open_partials(values, np.arange(90) % 3)
    (before,) = con.execute("select list(sd order by unit) from neuron_stats").fetchall()[0]
    later = [column.name for column in TABLES["shard_stats"].columns if column.since == FORMAT]
    assert later == list(MOMENTS[8:])
    unknown = ", ".join(f"{name} = null" for name in later)
    con.execute(f"update raw_shard_stats set {unknown} where unit = 0 and shard_ordinal = 1")
    rows = con.execute("select sd, skewness, kurtosis, sparsity from neuron_stats order by unit")
    first, second = rows.fetchall()
    assert first[1:] == (None, None, None)
    assert first[0] == pytest.approx(before[0], rel=1e-9)
    assert None not in second
