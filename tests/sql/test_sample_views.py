"""Sampled examples and P(category | activation): SQL equals brute force over all examples."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from pipeline.extract.reservoir import SAMPLES_PER_BIN
from pipeline.extract.reservoir import priorities as torch_priorities
from pipeline.extract.sketch import sketch
from pipeline.tables.schema import TABLES
from pipeline.warehouse.views import find_view, load_statements

NEURON = "dataset varchar, model_id varchar, run_id varchar, layer varchar, unit integer"
GIVEN = {
    "stg_runs": "dataset varchar, model_id varchar, run_id varchar, top_k bigint",
    "neuron_stats": f"{NEURON}, mean double, sd double, min float, max float",
    "layer_axes": "dataset varchar, run_id varchar, layer varchar, axis varchar",
    "top_examples": f"{NEURON}, polarity varchar, example_rank bigint, example_id bigint, "
    "activation float",
    "run_concepts": "dataset varchar, run_id varchar, example_id bigint, half varchar, "
    "concept varchar, category varchar, origin varchar",
    "neuron_labels": f"{NEURON}, concept varchar, category varchar, is_labelled boolean",
    "image_texts": "dataset varchar, example_id bigint, text_kind varchar",
    "stg_stimuli": "dataset varchar, example_id bigint, concept varchar",
    "stg_examples": "dataset varchar, example_id bigint, half varchar",
    "stg_layers": "dataset varchar, run_id varchar, layer varchar, tower varchar",
}
PLACE = ("d", "m", "r", "l")


def priorities(ids):
    return torch_priorities(torch.from_numpy(ids)).numpy().astype(np.uint32)


def make_connection(width=1.0, offset=0.0, axis="sd"):
    con = duckdb.connect(":memory:", config={"threads": 1})
    for name, columns in GIVEN.items():
        con.execute(f"create table {name} ({columns})")
    for name in ("shard_samples", "human_labels"):
        table = TABLES[name]
        columns = [f"{part} varchar" for part in table.partitions]
        columns += [f"{column.name} {column.duckdb}" for column in table.columns]
        con.execute(f"create table raw_{name} ({', '.join(columns)})")
    con.execute(
        "create table settings as select $width::double as sd_bin_width, "
        "$offset::double as sd_bin_offset, ['caption'] as text_kinds",
        {"width": width, "offset": offset},
    )
    con.execute("".join(load_statements()))
    for name in ("neuron_samples", "human_labels", "conditional_probabilities"):
        con.execute(f"create view {name} as {find_view(name).body}")
    insert(con, "stg_layers", [("d", "r", "l", "visual")])
    insert(con, "layer_axes", [("d", "r", "l", axis)])
    return con


def insert(con, table, rows):
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        con.executemany(f"insert into {table} values ({marks})", rows)


def place_run(con, values, ids, shards, twice, top_k, only_signed):
    """What a run leaves behind of one layer, from the real sketches of its shards."""
    insert(con, "stg_runs", [("d", "m", "r", top_k)])
    wide = values.astype(np.float64)
    for unit, row in enumerate(wide):
        insert(con, "neuron_stats", [(*PLACE, unit, row.mean(), row.std(), row.min(), row.max())])
        for polarity, sign in (("positive", 1), ("negative", -1)):
            order = [i for i in np.lexsort((ids, -sign * row)) if not twice[i]]
            best = [i for i in order if not only_signed or sign * row[i] > 0][:top_k]
            insert(con, "top_examples", [
                (*PLACE, unit, polarity, rank, int(ids[i]), float(row[i]))
                for rank, i in enumerate(best, 1)
            ])  # fmt: skip
    for shard in np.unique(shards):
        inside = np.flatnonzero(shards == shard)
        arrays = (
            torch.from_numpy(a) for a in (values[:, inside].copy(), ids[inside], twice[inside])
        )
        samples = sketch(*arrays, top_k, only_signed).samples
        counts = samples.counts[samples.unit, samples.bin + 32]
        columns = (samples.unit, samples.bin, counts, samples.example_id, samples.activation)
        insert(con, "raw_shard_samples", [
            ("d", "r", "l", unit, int(shard), bin_, count, example_id, value)
            for unit, bin_, count, example_id, value in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ])  # fmt: skip


def octave(values):
    wide = np.asarray(values, np.float64)
    places = 1 + np.searchsorted(2.0 ** np.arange(-14, 17), np.abs(wide), side="right")
    return (np.sign(wide) * places).astype(int)


def smallest_thresholds(row, ids, shards, twice, origin, sd, width, offset):
    """SD bin of each example; smallest threshold of the (shard, octave)s that meet each, or infinity."""
    whole = ~twice
    floors = {
        shard: octave([row[shards == shard].std() / 2 * (1 + 1e-9)])[0] - 1
        for shard in np.unique(shards)
    }
    sd_bins = np.floor(((row - origin) / sd - offset) / width).astype(int)
    found = {int(b): np.inf for b in np.unique(sd_bins)}
    for shard, floor in floors.items():
        inside = np.flatnonzero((shards == shard) & whole)
        bins = octave(row[inside])
        bins = np.sign(bins) * np.maximum(np.abs(bins), floor)
        for bin_ in np.unique(bins):
            members = inside[bins == bin_]
            if len(members) <= SAMPLES_PER_BIN:
                continue
            threshold = int(np.sort(priorities(ids[members]))[SAMPLES_PER_BIN - 1])
            lowest = np.abs(bins[np.sign(bins) == np.sign(bin_)]).min() == abs(bin_)
            near = 0.0 if lowest else 2.0 ** (abs(bin_) - 16)
            far = 2.0 ** (abs(bin_) - 15) if abs(bin_) < 32 else np.inf
            left, right = (near, far) if bin_ > 0 else (-far, -near) if bin_ else (0.0, 0.0)
            low, high = (
                np.floor(((edge - origin) / sd - offset) / width)
                for edge in (max(left, row.min()), min(right, row.max()))
            )
            for sd_bin in found:
                if low <= sd_bin <= high:
                    found[sd_bin] = min(found[sd_bin], threshold)
    return sd_bins, found


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    kind=st.sampled_from(["normal", "rectified", "heavy", "tied", "shifted"]),
    dtype=st.sampled_from([np.float16, np.float32]),
    count=st.integers(2, 600),
    shard_count=st.integers(1, 4),
    only_signed=st.booleans(),
    width=st.sampled_from([1.0, 0.5, 0.3, 2.0]),
    offset=st.sampled_from([0.0, 0.25, -3.1]),
    top_k=st.sampled_from([1, 10, 1000]),
    axis=st.sampled_from(["sd", "z"]),
)
def test_the_sample_of_a_bin_is_all_of_it_below_a_threshold(
    seed, kind, dtype, count, shard_count, only_signed, width, offset, top_k, axis
):
    """So it is uniform: priorities know nothing of activations."""
    rng = np.random.default_rng(seed)
    shape = (2, count)
    values = (
        {
            "normal": lambda: rng.normal(size=shape),
            "rectified": lambda: np.maximum(rng.normal(size=shape), 0),
            "heavy": lambda: rng.standard_t(1.5, shape),
            "tied": lambda: rng.integers(-2, 3, shape).astype(float),
            "shifted": lambda: rng.normal(-3, 0.5, shape),
        }[kind]()
        .clip(-6e4, 6e4)
        .astype(dtype)
    )
    shards = np.sort(rng.integers(0, shard_count, count))
    ids = (shards.astype(np.int64) << 20) + np.arange(count)
    twice = rng.random(count) < 0.1
    con = make_connection(width, offset, axis)
    place_run(con, values, ids, shards, twice, top_k, only_signed)
    for unit, row in enumerate(values.astype(np.float64)):
        got = con.execute(
            "select sd_bin, example_id, activation, activation_sd, activation_z, bin_left_sd, "
            "bin_right_sd, sample_rank, sampled_frac "
            "from neuron_samples where unit = $unit order by all",
            {"unit": unit},
        ).fetchall()
        sd = row.std()
        if sd == 0:
            assert got == []
            continue
        whole = np.flatnonzero(~twice)
        origin = row.mean() if axis == "z" else 0.0
        place = (row, ids, shards, twice, origin, sd, width, offset)
        sd_bins, found = smallest_thresholds(*place)
        strongest = sorted(row[whole], reverse=True)
        ends = (strongest[:top_k], strongest[::-1][:top_k])
        if only_signed:
            ends = ([v for v in ends[0] if v > 0], [v for v in ends[1] if v < 0])
        limits = [0.0 if len(end) < top_k else end[-1] for end in ends]
        limits = [np.floor(((limit - origin) / sd - offset) / width) for limit in limits]
        expected = {}
        for sd_bin in np.unique(sd_bins[whole]):
            members = whole[sd_bins[whole] == sd_bin]
            is_complete = (ends[0] and sd_bin > limits[0]) or (ends[1] and sd_bin < limits[1])
            threshold = np.inf if is_complete else found[sd_bin]
            order = np.lexsort((ids[members], priorities(ids[members])))
            kept = [i for i in members[order] if priorities(ids[i : i + 1])[0] < threshold]
            share = 1.0 if threshold == np.inf else threshold / 2**32
            for rank, i in enumerate(kept, 1):
                expected[int(ids[i])] = (int(sd_bin), float(row[i]), rank, share)
        assert len(got) == len(expected)
        for sd_bin, example_id, value, value_sd, z, left, right, rank, share in got:
            assert expected[example_id] == (sd_bin, value, rank, pytest.approx(share))
            assert value_sd == pytest.approx(value / sd)
            assert z == pytest.approx((value - row.mean()) / sd)
            assert left - 1e-9 <= (z if axis == "z" else value_sd) <= right + 1e-9
            assert right - left == pytest.approx(width)


@settings(deadline=None)
@given(ids=st.lists(st.integers(0, (1 << 63) - 1), min_size=1, max_size=50))
def test_priorities_are_the_same_in_sql_and_numpy(ids):
    con = make_connection()
    got = con.execute(
        "select sample_priority(id) from (select unnest($ids::bigint[]) as id)", {"ids": ids}
    ).fetchall()
    assert [p for (p,) in got] == priorities(np.array(ids, np.int64)).tolist()


def test_priorities_are_spread_evenly_and_differ_below_4096_shards():
    ids = (np.arange(4096, dtype=np.int64)[:, None] << 20) + np.arange(64)
    found = priorities(ids.ravel())
    assert len(np.unique(found)) == ids.size
    shares = np.histogram(found, bins=64, range=(0, 2**32))[0] / ids.size
    assert abs(shares * 64 - 1).max() < 0.1
    flips = found[:, None] ^ priorities(ids.ravel()[:, None] ^ (1 << np.arange(32)))
    assert abs(np.unpackbits(flips.view(np.uint8)).mean() - 0.5) < 0.01


def test_a_run_without_samples_still_shows_its_tails():
    con = make_connection()
    insert(con, "stg_runs", [("d", "m", "r", 2)])
    insert(con, "neuron_stats", [(*PLACE, 0, 0.0, 1.0, -5.0, 5.0)])
    tops = [("positive", 1, 7, 4.5), ("positive", 2, 8, 3.5), ("negative", 1, 9, -2.5)]
    insert(con, "top_examples", [(*PLACE, 0, *row) for row in tops])
    got = con.execute("select sd_bin, example_id, sampled_frac from neuron_samples order by 1")
    assert got.fetchall() == [(-3, 9, 1.0), (4, 7, 1.0)]


def test_conditional_probabilities_of_given_rows():
    con = make_connection()
    insert(con, "stg_runs", [("d", "m", "r", 1)])
    insert(con, "neuron_stats", [(*PLACE, 0, 1.0, 2.0, 0.0, 9.0)])
    values = {1: 0.0, 2: 1.0, 3: 1.5, 4: 2.5, 5: 3.0, 6: 4.1}  # SD bins 0 0 0 1 1 2
    insert(con, "raw_shard_samples", [
        ("d", "r", "l", 0, 0, int(octave([v])[0]) if v else 0, 1, i, v) for i, v in values.items()
    ])  # fmt: skip
    insert(con, "stg_examples", [("d", i, "screening" if i == 5 else "testing") for i in values])
    insert(con, "image_texts", [("d", i, "caption") for i in (1, 2, 4, 5, 6)])
    insert(con, "image_texts", [("d", 3, "page"), ("d", 4, "caption")])
    insert(con, "stg_stimuli", [("d", 2, "cat"), ("d", 6, "Japan"), ("d", 1, None)])
    shown = [
        (2, "testing", "cat", "animal", "texts"),
        (2, "testing", "dog", "animal", "texts"),
        (4, "testing", "Japan", "region", "texts"),
        (5, "screening", "Japan", "region", "texts"),
        (6, "testing", "Japan", "region", "texts"),
        (6, "testing", "Chile", "region", "texts"),
        (2, "testing", "cat", "animal", "stimulus"),
        (6, "testing", "Japan", "region", "stimulus"),
        (6, "testing", "cat", "animal", "similarity"),
    ]
    insert(con, "run_concepts", [("d", "r", *row) for row in shown])
    insert(con, "neuron_labels", [(*PLACE, 0, "Japan", "region", True)])
    human = [
        (1, "politics", "ann", 0.0),
        (4, "politics", "ann", 2.5),
        (6, "sport", "ann", 4.1),
        (6, "politics", "bob", 4.1),
        (99, "politics", "ann", 5.9),  # not sampled, and still in its bin
        (98, "politics", "ann", None),
    ]
    insert(con, "raw_human_labels", [
        ("d", "r", "l", 0, i, category, labeller, None, None, value)
        for i, category, labeller, value in human
    ])  # fmt: skip
    got = con.execute(
        "select origin, labeller, concept, category, sd_bin, sample_count, hit_count "
        "from conditional_probabilities order by all"
    ).fetchall()
    assert got == [
        ("human", "ann", None, "politics", 0, 1, 1),
        ("human", "ann", None, "politics", 1, 1, 1),
        ("human", "ann", None, "politics", 2, 2, 1),
        ("human", "ann", None, "sport", 0, 1, 0),
        ("human", "ann", None, "sport", 1, 1, 0),
        ("human", "ann", None, "sport", 2, 2, 1),
        ("human", "bob", None, "politics", 2, 1, 1),
        ("similarity", None, None, "animal", 0, 3, 0),
        ("similarity", None, None, "animal", 1, 1, 0),
        ("similarity", None, None, "animal", 2, 1, 1),
        ("stimulus", None, "Japan", "region", 0, 1, 0),
        ("stimulus", None, "Japan", "region", 2, 1, 1),
        ("stimulus", None, None, "animal", 0, 1, 1),
        ("stimulus", None, None, "animal", 2, 1, 0),
        ("stimulus", None, None, "region", 0, 1, 0),
        ("stimulus", None, None, "region", 2, 1, 1),
        ("texts", None, "Japan", "region", 0, 2, 0),
        ("texts", None, "Japan", "region", 1, 1, 1),
        ("texts", None, "Japan", "region", 2, 1, 1),
        ("texts", None, None, "animal", 0, 2, 1),
        ("texts", None, None, "animal", 1, 1, 0),
        ("texts", None, None, "animal", 2, 1, 0),
        ("texts", None, None, "region", 0, 2, 0),
        ("texts", None, None, "region", 1, 1, 1),
        ("texts", None, None, "region", 2, 1, 1),
    ]
    for hits, trials, share, low, high in con.execute(
        "select hit_count, sample_count, probability, probability_low, probability_high "
        "from conditional_probabilities"
    ).fetchall():
        exact = binomtest(hits, trials).proportion_ci(0.95, "wilson")
        assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-12)
        assert share == hits / trials
    edges = con.execute(
        "select distinct sd_bin, bin_left_sd, bin_right_sd from conditional_probabilities "
        "order by all"
    ).fetchall()
    assert edges == [(0, 0.0, 1.0), (1, 1.0, 2.0), (2, 2.0, 3.0)]
    circular = "select distinct origin, is_circular from conditional_probabilities order by all"
    assert {told for _, told in con.execute(circular).fetchall()} == {False}
    con.execute("update stg_layers set tower = 'text'")
    assert con.execute(circular).fetchall() == [
        ("human", False),
        ("similarity", False),
        ("stimulus", True),
        ("texts", True),
    ]
