"""Views of the Halle Berry test: given rows, expected rows."""

from __future__ import annotations

import numpy as np
import pytest
from facet_world import FacetWorld

from pipeline.concepts.facets import FACET_CLASSES, FACET_PROMPTS, FACET_TEMPLATES


def score(world: FacetWorld, example: int, run: str = "r", **logits: float) -> None:
    """Zero-shot scores of the facets named; spaces are written as underscores."""
    total = sum(np.exp(value) for value in logits.values())
    world.insert("raw_class_scores", [
        ("d", run, "facets", example, FACET_PROMPTS[name.replace("_", " ")], value, np.exp(value) / total)
        for name, value in logits.items()
    ])  # fmt: skip


# --- facets ------------------------------------------------------------------------------------


def test_what_is_known_goes_before_what_is_guessed():
    world = FacetWorld()
    world.add_run()
    known = world.add_image("edge map")
    guessed = world.add_image()
    tied = world.add_image()
    world.add_image()  # nobody knows
    repeated = world.add_image("photo", is_duplicate=True)
    score(world, known, photo=3.0, map=0.0)
    score(world, guessed, photo=0.0, line_drawing=np.log(3))
    score(world, tied, photo=1.0, map=1.0)
    score(world, repeated, photo=1.0, map=0.0)
    world.insert("raw_class_scores", [("d", "r", "mine", guessed, "photograph", 99.0, 1.0)])
    rows = world.rows(
        "select example_id, facet, facet_origin, score from example_facets order by 1"
    )
    assert rows == [
        (known, "edge map", "stimulus", None),
        (guessed, "line drawing", "similarity", pytest.approx(0.75)),
        (tied, "map", "similarity", pytest.approx(0.5)),
    ]


def test_guesses_belong_to_the_run_whose_model_made_them():
    world = FacetWorld()
    world.add_run()
    world.add_run("s")
    example = world.add_image(runs=("r", "s"))
    score(world, example, "s", photo=1.0, map=0.0)
    assert world.rows("select run_id, facet from example_facets") == [("s", "photo")]


def test_prompts_can_be_used():
    from pipeline.clip.zero_shot import check_prompts

    check_prompts(FACET_CLASSES, FACET_TEMPLATES)
    made = {
        "photo",
        "colour drawing",
        "flat drawing",
        "line drawing",
        "silhouette",
        "rendered word",
    }
    assert made | {"3d rendering"} <= set(FACET_PROMPTS)


def test_known_and_guessed_facets_are_never_mixed():
    """The same concept in known photos and drawings, and in guessed ones: two rows, four strata."""
    world = FacetWorld(facet_min_count=1)
    world.add_run()
    for n in range(80):
        shows = ("a",) if n % 8 < 4 else ()
        facet = ("photo", "line drawing")[n % 2]
        if n < 40:
            world.add_image(facet, concepts=shows)
        else:
            example = world.add_image(None, concepts=shows)
            score(world, example, **{facet.replace(" ", "_"): 2.0, "map": 0.0})
    generator = np.random.default_rng(0)
    shows = np.array([n % 8 < 4 for n in range(80)])
    matrix = generator.uniform(0.1, 1, (1, 80))
    matrix[0, :40] += 5 * shows[:40]  # it answers where the facet is known, and not elsewhere
    world.add_activations(matrix)
    world.add_candidate(0, "a")
    world.compute()
    rows = world.rows(
        "select facet_origin, multimodality_index, facet_count, positive_counts from neuron_multimodality "
        "order by all"
    )
    assert [row[0] for row in rows] == ["similarity", "stimulus"]
    assert rows[1][1:] == (1.0, 2, {"photo": 10, "line drawing": 10})
    assert rows[0][1] < 0.9 and rows[0][2:] == (2, {"photo": 10, "line drawing": 10})
    query = "select facet_origin, neuron_count, tested_count, multimodal_95_count"
    assert world.rows(f"{query} from multimodality_summary where category = 'all' order by 1") == [
        ("similarity", 1, 1, 0),
        ("stimulus", 1, 1, 1),
    ]


# --- candidates --------------------------------------------------------------------------------


def candidates(world: FacetWorld) -> list[tuple[object, ...]]:
    return world.rows(
        "select unit, candidate_rank, concept, category, origin from facet_candidates order by all"
    )


def test_candidates_are_the_choice_and_the_three_best():
    world = FacetWorld()
    world.add_candidate(0, "by z", 9.0)
    world.add_candidate(0, "chosen", 2.0, top=(2, -6.0))
    world.add_candidate(0, "rarer", 8.0, top=(1, -9.0))  # fewer top examples than label_min_count
    world.add_candidate(0, "second", 7.0, top=(5, -5.0))
    world.add_candidate(0, "fifth", 6.0)
    world.add_candidate(0, "inhibits", 30.0, auroc=0.5)
    world.add_candidate(0, "its own opinion", 30.0, origin="similarity")
    for n in range(4):  # nothing can be its label: three
        world.add_candidate(1, f"c{n}", 5.0 - n)
    assert candidates(world) == [
        (0, 1, "chosen", "thing", "stimulus"),
        (0, 2, "by z", "thing", "stimulus"),
        (0, 3, "rarer", "thing", "stimulus"),
        (0, 4, "second", "thing", "stimulus"),
        (1, 1, "c0", "thing", "stimulus"),
        (1, 2, "c1", "thing", "stimulus"),
        (1, 3, "c2", "thing", "stimulus"),
    ]


def test_a_concept_of_two_origins_is_one_candidate_and_of_two_categories_two():
    world = FacetWorld()
    world.add_candidate(0, "orange", 5.0, origin="texts")
    world.add_candidate(0, "orange", 5.0, origin="stimulus")
    world.add_candidate(0, "orange", 4.0, category="colour", origin="texts")
    world.add_candidate(1, "orange", 6.0, origin="texts")
    world.add_candidate(1, "orange", 5.0, origin="stimulus", top=(3, -4.0))
    assert candidates(world) == [
        (0, 1, "orange", "thing", "stimulus"),
        (0, 2, "orange", "colour", "texts"),
        (1, 1, "orange", "thing", "stimulus"),
    ]


def test_ties_are_broken_by_name():
    world = FacetWorld()
    for concept in "dbca":
        world.add_candidate(0, concept)
    assert [row[2] for row in candidates(world)] == ["a", "b", "c"]


# --- figures of given rows ---------------------------------------------------------------------

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
    names = (
        "d",
        run,
        "l",
        unit,
        rank,
        concept,
        category,
        "stimulus",
        dimension,
        stratum,
        "stimulus",
    )
    row = (*names, 3 if drawn else 2, 10, auroc, drawn, 3, 10, 0.5)
    world.insert("raw_facet_aurocs", [row])


def world_with_runs(*random: str, units: int = 10) -> FacetWorld:
    world = FacetWorld()
    for run in ("r", *random):
        world.add_run(run, is_random=run != "r")
        world.insert("stg_layers", [("d", run, f"model-{run}", "l", units, "visual")])
    return world


def test_a_text_tower_has_no_candidates():
    """It sees no form of an image."""
    world = FacetWorld()
    world.insert(
        "stg_layers", [("d", "r", "model-r", name, 1, name) for name in ("visual", "text")]
    )
    for layer in ("visual", "text"):
        world.add_candidate(0, "cat", layer=layer)
    assert world.rows("select layer from facet_candidates") == [("visual",)]


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
    others = [("other", 10, "visual"), ("l", 11, "visual")]
    world.insert("stg_layers", [("d", "s", "model-s", *layer) for layer in others])
    add_neuron(world, 0, 0.96, run="s")
    query = "select distinct untrained_run_count from multimodality_summary where run_id = 'r'"
    assert world.rows(query) == [(0,)]


# --- the check ---------------------------------------------------------------------------------


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
