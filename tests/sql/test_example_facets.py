"""The facet of an image, and the concepts that a neuron is asked for in every facet."""

from __future__ import annotations

import numpy as np
import pytest
from facet_world import FacetWorld

from pipeline.concepts.facets import FACET_CLASSES, FACET_PROMPTS, FACET_TEMPLATES


def score(world: FacetWorld, example: int, run: str = "r", **logits: float) -> None:
    """Zero-shot scores of the facets named; spaces are written as underscores."""
    total = sum(np.exp(value) for value in logits.values())
    scores = [
        (FACET_PROMPTS[name.replace("_", " ")], value, np.exp(value) / total)
        for name, value in logits.items()
    ]
    place = {"run_id": run, "class_set": "facets", "example_id": example}
    world.add("raw_class_scores", "class_name logit probability", *scores, **place)


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
    other = ("mine", guessed, "photograph", 99.0, 1.0)
    world.add("raw_class_scores", "class_set example_id class_name logit probability", other)
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


def test_a_text_tower_has_no_candidates():
    """It sees no form of an image."""
    world = FacetWorld()
    world.add("stg_layers", "layer tower", ("visual", "visual"), ("text", "text"))
    for layer in ("visual", "text"):
        world.add_candidate(0, "cat", layer=layer)
    assert world.rows("select layer from facet_candidates") == [("visual",)]
