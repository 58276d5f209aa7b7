"""The Halle Berry test: figures of given AUROCs, their summary, and the check."""

from __future__ import annotations

import numpy as np
import pytest
from facet_world import FacetWorld
from sql_world import columns_of

SURROGATES = [n / 100 for n in range(1, 100)]


def add_result(
    world: FacetWorld,
    unit: int,
    stratum: str,
    auroc: float | None,
    surrogates: list[float] | None = None,
    rank: int = 1,
    concept: str = "a",
    category: str = "thing",
    dimension: str = "facet",
    run: str = "r",
) -> None:
    """A row of raw_facet_aurocs."""
    drawn = None if auroc is None else surrogates or SURROGATES
    candidate = (run, unit, rank, concept, category, "stimulus", dimension, stratum, "stimulus")
    figures = (3 if drawn else 2, 10, auroc, drawn, 3, 10, 0.5)
    names = [c for c in columns_of("raw_facet_aurocs") if c not in ("dataset", "layer")]
    world.add("raw_facet_aurocs", " ".join(names), (*candidate, *figures))


def world_with_runs(*random: str, units: int = 10) -> FacetWorld:
    world = FacetWorld()
    for run in ("r", *random):
        world.add_run(run, is_random=run != "r")
        world.add_layer(run, units=units)
    return world


def test_p_counts_the_surrogates_that_reach_the_auroc():
    world = world_with_runs()
    third = [1 / 3] * 99  # not a float32: it must tie with itself all the same
    cases = [(1.0, None, 0.01), (0.99, None, 0.02), (0.5, None, 0.51), (0.0, None, 1.0)]
    cases += [(1 / 3, third, 1.0), (1 / 3 + 1e-6, third, 0.01)]
    for unit, (auroc, surrogates, _) in enumerate(cases):
        add_result(world, unit, "photo", auroc, surrogates)
    rows = world.rows("select unit, p_value, is_failed, is_tested from neuron_facets order by unit")
    assert [row[1] for row in rows] == pytest.approx([p for *_, p in cases])
    assert [row[2] for row in rows] == [False, False, True, True, True, True]
    assert all(row[3] for row in rows)


def test_a_high_auroc_that_chance_reaches_too_is_a_failure():
    world = world_with_runs()
    add_result(world, 0, "photo", 0.9, [0.95] * 5 + [0.1] * 94)  # p = 0.06
    add_result(world, 0, "map", 0.9, [0.95] * 4 + [0.1] * 95)  # p = 0.05
    add_result(world, 0, "logo", None)
    query = "select failed_facets, untested_facets, facet_count, multimodality_index, weakest_facet"
    assert world.rows(f"{query} from neuron_multimodality") == [
        (["photo"], ["logo"], 2, 0.9, "map")
    ]


def test_the_index_of_a_surrogate_is_its_smallest():
    world = world_with_runs()
    up, down = SURROGATES, SURROGATES[::-1]
    add_result(world, 0, "photo", 0.7, up)
    add_result(world, 0, "map", 0.45, down)
    add_result(world, 0, "de", 0.6, up, dimension="word language")
    add_result(world, 0, "en", 0.5, up, dimension="word language")
    add_result(world, 0, "fr", 0.1, up, dimension="text language")
    (row,) = world.rows(
        "select surrogate_indices, p_value from surrogate_indices where dimension = 'facet'"
    )
    expected = np.minimum(up, down)
    assert row[0] == pytest.approx(expected, abs=1e-7)
    assert row[1] == pytest.approx(
        (1 + (expected.astype(np.float32) >= np.float32(0.45)).sum()) / 100
    )
    assert world.rows(
        "select multimodality_index, weakest_facet, language_index, weakest_language, language_count, "
        "facet_aurocs, positive_counts from neuron_multimodality"
    ) == [(0.45, "map", 0.5, "en", 2, {"map": 0.45, "photo": 0.7}, {"map": 3, "photo": 3})]


def add_neuron(world, unit, index, concept="a", category="thing", rank=1, run="r", shift=0.0):
    """A candidate with two facets; the index is that of the second."""
    surrogates = [min(1.0, s + shift) for s in SURROGATES]
    if rank == 1:
        world.add_candidate(unit, concept, category=category, run=run)
    for stratum, auroc in (("photo", 1.0), ("map", index)):
        add_result(world, unit, stratum, auroc, surrogates, rank, concept, category, run=run)


def test_the_summary_counts_neurons_once_beside_chance_and_untrained_models():
    world = world_with_runs("s", "t")
    add_neuron(world, 0, 0.96)
    add_neuron(world, 0, 0.99, concept="b", rank=2)  # its second candidate does not count
    add_neuron(world, 1, 0.9, shift=0.15)
    add_neuron(world, 2, 0.79)
    add_neuron(world, 3, 0.85, concept="c", category="region")
    world.add_candidate(4, "d", category="region")  # never tested
    add_neuron(world, 0, 0.92, run="s")
    add_neuron(world, 1, 0.82, run="s", category="region")
    world.add_candidate(0, "a", run="t")  # an untrained run where nothing could be tested
    # the thresholds stand between values: float32 of 0.8 is above 0.8
    chance = [np.float32(s) for s in SURROGATES]
    shifted = [np.float32(min(1.0, s + 0.15)) for s in SURROGATES]

    def mean(threshold, *drawn):
        return sum(np.mean([s >= threshold for s in one]) for one in drawn)

    rows = {row[0]: row[1:] for row in world.rows(
        "select category, neuron_count, tested_count, multimodal_80_count, multimodal_90_count, "
        "multimodal_95_count, permuted_80_count, permuted_90_count, permuted_95_count, "
        "untrained_run_count, untrained_80_count, untrained_90_count, untrained_95_count "
        "from multimodality_summary where run_id = 'r'"
    )}  # fmt: skip
    everyone = (chance, shifted, chance, chance)
    assert rows["all"][:5] == (5, 4, 3, 2, 1)
    assert rows["all"][5:8] == pytest.approx([mean(t, *everyone) for t in (0.8, 0.9, 0.95)])
    assert rows["all"][8:] == (2, 1.0, 0.5, 0.0)
    assert rows["thing"][:5] == (3, 3, 2, 2, 1)
    assert rows["thing"][5:8] == pytest.approx([mean(t, *everyone[:3]) for t in (0.8, 0.9, 0.95)])
    assert rows["thing"][8:] == (2, 0.5, 0.5, 0.0)
    assert rows["region"][:5] == (2, 1, 1, 0, 0)
    assert rows["region"][8:] == (2, 0.5, 0.0, 0.0)
    (random,) = world.rows(
        "select neuron_count, multimodal_80_count, untrained_run_count, untrained_80_count "
        "from multimodality_summary where run_id = 's' and category = 'all'"
    )
    assert random == (2, 2, 0, None)


def test_without_an_untrained_model_there_is_nothing_to_compare_with():
    world = world_with_runs()
    add_neuron(world, 0, 0.96)
    query = "select category, untrained_run_count, untrained_95_count from multimodality_summary"
    assert world.rows(f"{query} order by all") == [("all", 0, None), ("thing", 0, None)]


def test_another_layer_or_width_is_no_comparison():
    world = world_with_runs()
    add_neuron(world, 0, 0.96)
    world.add_run("s", is_random=True)
    world.add_layer("s", "other")
    world.add_layer("s", units=11)
    add_neuron(world, 0, 0.96, run="s")
    query = "select distinct untrained_run_count from multimodality_summary where run_id = 'r'"
    assert world.rows(query) == [(0,)]


@pytest.mark.parametrize(
    "harm",
    [
        "positive_count = positive_count + 1",
        "screening_other_count = screening_other_count + 1",
        "auroc = 1.5",
        "auroc = 'nan'",
        "auroc = null",
        "surrogate_aurocs = null",
        "surrogate_aurocs = surrogate_aurocs[:98]",
        "surrogate_aurocs = list_append(surrogate_aurocs[:98], 2.0)",
        "stratum = 'sculpture'",
    ],
)
def test_the_check_finds_what_does_not_add_up(harm):
    world = FacetWorld(facet_min_count=1)
    world.add_run()
    for n in range(12):
        half = ("testing", "screening")[n // 2 % 2]
        world.add_image("photo", half, ("a",) if n % 2 else ())
    world.add_activations(np.random.default_rng(0).random((1, 12)))
    world.add_candidate(0, "a")
    world.compute()
    assert world.rows("select count(*) from check_facets") == [(0,)]
    world.con.execute(f"update raw_facet_aurocs set {harm}")
    assert world.rows("select count(*) from check_facets") == [(1,)]
