"""Sampled examples: SQL equals brute force over all examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import near
from sampled_world import KINDS, draw_values, make_world, place_run, priorities

from pipeline.extract.reservoir import SAMPLES_PER_BIN


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


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    kind=st.sampled_from(sorted(KINDS)),
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
    values = draw_values(rng, kind, (2, count), dtype)
    shards = np.sort(rng.integers(0, shard_count, count))
    ids = (shards.astype(np.int64) << 20) + np.arange(count)
    twice = rng.random(count) < 0.1
    world = make_world(axis, sd_bin_width=width, sd_bin_offset=offset)
    place_run(world, values, ids, shards, twice, top_k, only_signed)
    for unit, row in enumerate(values.astype(np.float64)):
        got = world.rows(
            "select sd_bin, example_id, activation, activation_sd, activation_z, bin_left_sd, "
            "bin_right_sd, sample_rank, sampled_frac "
            "from neuron_samples where unit = ? order by all",
            unit,
        )
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
            assert expected[example_id] == (sd_bin, value, rank, share)
            assert value_sd == value / sd
            assert z == (value - row.mean()) / sd
            assert left == near(offset) + near(width) * sd_bin
            assert right == near(offset) + near(width) * (sd_bin + 1)
            place = (near(z if axis == "z" else value_sd) - offset) / width
            assert sd_bin - place.error <= place.exact < sd_bin + 1 + place.error


@settings(deadline=None)
@given(ids=st.lists(st.integers(0, (1 << 63) - 1), min_size=1, max_size=50))
def test_priorities_are_the_same_in_sql_and_numpy(ids):
    query = "select sample_priority(id) from (select unnest(?::bigint[]) as id)"
    got = make_world().rows(query, ids)
    assert [p for (p,) in got] == priorities(np.array(ids, np.int64)).tolist()


@pytest.mark.slow
def test_priorities_are_spread_evenly_and_differ_below_4096_shards():
    ids = (np.arange(4096, dtype=np.int64)[:, None] << 20) + np.arange(64)
    found = priorities(ids.ravel())
    assert len(np.unique(found)) == ids.size
    shares = np.histogram(found, bins=64, range=(0, 2**32))[0] / ids.size
    assert abs(shares * 64 - 1).max() < 0.1
    flips = found[:, None] ^ priorities(ids.ravel()[:, None] ^ (1 << np.arange(32)))
    assert abs(np.unpackbits(flips.view(np.uint8)).mean() - 0.5) < 0.01


def test_a_run_without_samples_still_shows_its_tails():
    world = make_world()
    world.add("stg_runs", "top_k", 2)
    world.add("neuron_stats", "unit mean sd min max", (0, 0.0, 1.0, -5.0, 5.0))
    tops = [("positive", 1, 7, 4.5), ("positive", 2, 8, 3.5), ("negative", 1, 9, -2.5)]
    world.add("top_examples", "polarity example_rank example_id activation", *tops, unit=0)
    got = world.rows("select sd_bin, example_id, sampled_frac from neuron_samples order by 1")
    assert got == [(-3, 9, 1.0), (4, 7, 1.0)]
