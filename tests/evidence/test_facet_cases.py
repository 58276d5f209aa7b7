"""Neurons that were made for some forms answer in those; what is too little to test is not tested."""

from __future__ import annotations

import numpy as np
import pytest
from facet_world import FacetWorld

from pipeline.evidence.strata import SURROGATES

FORMS = ("photo", "line drawing", "rendered word")


def planted_world(**changes) -> FacetWorld:
    """Unit 0 answers to the concept in every form, 1 to photos of it, 2 to every photo, 3 to nothing."""
    generator = np.random.default_rng(8)
    world = FacetWorld(**changes)
    world.add_run()
    forms, shows = [], []
    for n in range(360):
        forms.append(FORMS[n % 3])
        shows.append(n % 9 < 3)  # a third of every form
        half = ("testing", "screening")[n // 9 % 2]
        world.add_image(forms[-1], half, ("berry",) if shows[-1] else ("other",))
    forms, shows = np.array(forms), np.array(shows)
    noise = generator.uniform(0.1, 1, (4, 360))
    noise[0] += 5 * shows
    noise[1] += 5 * (shows & (forms == "photo"))
    noise[2] += 5 * (forms == "photo")
    world.add_activations(noise)
    for unit in range(4):
        world.add_candidate(unit, "berry", 5.0)
        world.add_candidate(unit, "other", 1.0)
    label = (0, "berry", "thing", "stimulus")
    world.add("neuron_labels", "unit concept category origin", label)
    return world


@pytest.mark.slow
def test_planted_neurons_answer_in_the_forms_they_were_made_for():
    world = planted_world()
    world.compute()
    rows = {
        row[0]: row[1:]
        for row in world.rows(
            "select unit, multimodality_index, p_value, facet_count, failed_facets, facet_aurocs, is_label "
            "from neuron_multimodality where concept = 'berry' and candidate_rank = 1 order by unit"
        )
    }  # fmt: skip
    index, p, count, failed, aurocs, is_label = rows[0]
    assert (index, p, count, failed, is_label) == (1.0, 0.01, 3, [], True)
    assert aurocs == {"line drawing": 1.0, "photo": 1.0, "rendered word": 1.0}
    index, p, count, failed, aurocs, is_label = rows[1]
    assert failed == ["line drawing", "rendered word"]
    assert (aurocs["photo"], is_label) == (1.0, False)
    assert index < 0.7 and p > 0.05
    for unit in (2, 3):  # loving photos is no concept: within photos it tells nothing apart
        assert rows[unit][3] == ["line drawing", "photo", "rendered word"]
        assert rows[unit][0] < 0.7


@pytest.mark.slow
def test_a_facet_with_too_few_images_neither_passes_nor_fails():
    world = planted_world(facet_min_count=21)
    rows = world.compute()
    assert {row["positive_count"] for row in rows if row["concept"] == "berry"} == {20}
    query = "select multimodality_index, facet_count, failed_facets, untested_facets, p_value"
    assert world.rows(
        f"{query} from neuron_multimodality where unit = 0 and concept = 'berry'"
    ) == [(None, 0, [], sorted(FORMS), None)]
    assert world.rows("select * from multimodality_summary") == []
    query = "select distinct is_tested, is_failed, auroc from neuron_facets where concept = 'berry'"
    assert world.rows(query) == [(False, None, None)]
    assert world.rows("select count(*) from check_facets") == [(0,)]


def test_a_facet_where_everything_shows_the_concept_is_not_tested():
    world = FacetWorld(facet_min_count=1)
    world.add_run()
    for n in range(8):
        world.add_image("photo", "testing", ("a",))
        world.add_image("painting", "testing", ("a",) if n < 4 else ())
    world.add_activations(np.random.default_rng(0).random((1, 16)))
    world.add_candidate(0, "a")
    found = {row["stratum"]: row for row in world.compute()}
    assert found["photo"]["auroc"] is None and found["photo"]["surrogate_aurocs"] is None
    assert found["painting"]["auroc"] is not None
    assert len(found["painting"]["surrogate_aurocs"]) == SURROGATES


def test_nothing_to_test_is_no_row():
    world = FacetWorld()
    assert world.compute() == []
    world.add_run()
    world.add_image("photo")
    world.add_activations(np.ones((2, 1)))
    assert world.compute() == []
    world.add_candidate(0, "a")
    assert world.compute() == []
    assert world.rows("select count(*) from neuron_multimodality") == [(0,)]


def test_languages_of_rendered_words():
    world = FacetWorld()
    world.add_run()
    shows, languages = [], []
    for n in range(160):
        language = ("en", "de-AT", "fr", "de")[n % 4]
        shows.append(n % 20 < 8)
        languages.append(language[:2])
        world.add_image("rendered word", "testing", ("love",) if shows[-1] else (), language)
    world.add_image("photo", "testing", ("love",))
    shows, languages = np.array([*shows, True]), np.array([*languages, ""])
    noise = np.random.default_rng(9).uniform(0.1, 1, (2, 161))
    noise[0] += 5 * shows
    noise[1] += 5 * (shows & (languages != "fr"))
    world.add_activations(noise)
    for unit in (0, 1):
        world.add_candidate(unit, "love")
    world.compute()
    query = "select stratum, positive_count, other_count, auroc from neuron_facets where unit = 1"
    found = {row[0]: row[1:] for row in world.rows(f"{query} and dimension = 'word language'")}
    assert set(found) == {"de", "en", "fr"}
    assert found["de"] == (32, 48, 1.0)
    assert found["en"] == (16, 24, 1.0)
    assert found["fr"][2] < 0.75
    rows = world.rows(
        "select unit, language_index, language_count, weakest_language, multimodality_index, facet_count "
        "from neuron_multimodality order by unit"
    )  # fmt: skip
    assert rows[0][1:] == (1.0, 3, "de", None, 1)  # one form is no test of forms
    assert rows[1][1:4] == (found["fr"][2], 3, "fr")


def test_languages_of_texts():
    world = FacetWorld()
    world.add_run()
    shown = []
    for n in range(120):
        example = world.add_image(None, "testing", ("Japan",) if n % 4 == 0 else (), origin="texts")
        shown.append(n % 4 == 0)
        world.add("text_tokens", "base_language", "en", "en", example_id=example)
        if n < 60:
            world.add("text_tokens", "base_language", "ja", example_id=example)
        if n % 4 == 0:
            languages = ["en", "ja"] if n % 8 == 0 and n < 60 else ["en"]
            thing = {"example_id": example, "concept": "Japan", "category": "thing"}
            world.add("named_concepts", "languages", languages, origin="texts", **thing)
    noise = np.random.default_rng(10).uniform(0.1, 1, (1, 120))
    noise[0] += 5 * np.array(shown)
    world.add_activations(noise)
    world.add_candidate(0, "Japan", origin="texts")
    found = {row["stratum"]: row for row in world.compute()}
    assert set(found) == {"en", "ja"}
    assert {row["dimension"] for row in found.values()} == {"text language"}
    assert {row["facet_origin"] for row in found.values()} == {"texts"}
    assert (found["en"]["positive_count"], found["en"]["other_count"]) == (30, 90)
    assert found["en"]["auroc"] == 1.0
    # In Japanese half of the images that show it do not name it: they count among the others.
    assert (found["ja"]["positive_count"], found["ja"]["other_count"]) == (8, 52)
    assert found["ja"]["auroc"] < 1.0
    assert world.rows("select count(*) from check_facets") == [(0,)]
