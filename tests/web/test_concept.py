"""Pages of concepts and categories say what the views say, whatever characters their names have."""

from __future__ import annotations

import re
from html import unescape

import pytest
from conftest import find_links
from strange_world import CONCEPTS

from pipeline.base.display import show
from pipeline.warehouse.connect import connect
from pipeline.web.concepts import TELLER_COUNT
from pipeline.web.links import ServerLinks
from pipeline.web.pages.concept import CARD_COUNT

pytestmark = pytest.mark.slow
LINKS = ServerLinks("v")


@pytest.fixture(scope="module")
def con(strange_warehouse):
    with connect(strange_warehouse) as connection:
        yield connection


@pytest.fixture(scope="module")
def run_ids(con):
    return [run_id for (run_id,) in con.execute("select run_id from runs order by 1").fetchall()]


@pytest.mark.parametrize(("concept", "category"), CONCEPTS)
def test_a_concept_says_how_many_neurons_and_images_it_has(
    strange, con, run_ids, concept, category
):
    for run_id in run_ids:
        this = {"run": run_id, "concept": concept, "category": category}
        where = "run_id = $run and concept = $concept and category = $category"
        ((neurons,),) = con.execute(
            f"select count(*) from neuron_labels where is_labelled and {where}", this
        ).fetchall()
        ((images,),) = con.execute(
            f"select count(distinct example_id) from run_concepts where {where}", this
        ).fetchall()
        answer = strange.get(LINKS.concept("strange", run_id, category, concept))
        page = unescape(answer.text)
        assert answer.status_code == 200
        assert f"{neurons} neuron" in page and f"{images} images show it" in page
        cards = re.findall(r'<article class="card', page)
        assert len(cards) == min(neurons, CARD_COUNT)
        assert (
            "<b>live" not in answer.text.replace('<b>live"', "")
            and "<script>alert" not in answer.text
        )
        assert re.search(rf"<h1[^>]*>{re.escape(show(concept))}</h1>", page)


def test_neurons_that_tell_a_concept_come_best_first_and_stand_for_another(strange, con, run_ids):
    concept, category = CONCEPTS[0]
    run_id = run_ids[0]
    expected = con.execute(
        """
        select layer, unit, auroc
        from neuron_concepts
        where
            run_id = $run and concept = $concept and category = $category
            and auroc > 0.5 and q_value <= 0.05
            and (layer, unit) not in (
                select (layer, unit) from neuron_labels
                where run_id = $run and is_labelled and concept = $concept and category = $category
            )
        order by auroc desc, lift desc, layer, unit
        limit $count
        """,
        {"run": run_id, "concept": concept, "category": category, "count": TELLER_COUNT},
    ).fetchall()
    page = strange.get(LINKS.concept("strange", run_id, category, concept)).text
    table = page.partition('class="tellers"')[2].partition("</table>")[0]
    found = re.findall(
        r'<th scope="row"><a [^>]*>unit (\d+)</a> <small>(\S+)</small>.*?<b>([\d.]+)</b>', table
    )
    assert expected and [(layer, int(unit), auroc) for unit, layer, auroc in found] == [
        (layer, unit, f"{auroc:.3f}") for layer, unit, auroc in expected
    ]


def test_a_category_lists_its_concepts_and_each_leads_to_its_page(strange, con, run_ids):
    for category in {category for _, category in CONCEPTS}:
        address = LINKS.category("strange", run_ids[0], category)
        answer = strange.get(address)
        assert answer.status_code == 200
        found = {link for link in find_links(answer.text) if "/concept/" in link}
        expected = {
            LINKS.concept("strange", run_ids[0], category, concept)
            for (concept,) in con.execute(
                """
                select distinct concept from run_concepts
                where run_id = $run and category = $category
                """,
                {"run": run_ids[0], "category": category},
            ).fetchall()
        }
        assert found == expected and expected
        assert all(strange.get(link).status_code == 200 for link in found)


def test_a_concept_leads_to_itself_in_the_other_run(strange, run_ids):
    concept, category = CONCEPTS[1]
    here, there = (LINKS.concept("strange", run_id, category, concept) for run_id in run_ids)
    found = find_links(strange.get(here).text)
    assert there in found and LINKS.page("compare", a=here, b=there) in found
    both = strange.get(LINKS.page("compare", a=here, b=there))
    assert both.status_code == 200 and {here, there} <= set(find_links(both.text))


def test_every_phrase_of_the_lexicon_is_on_the_page(strange, con, run_ids):
    page = unescape(strange.get(LINKS.concept("strange", run_ids[0], "region", "Japan")).text)
    rows = con.execute(
        "select language, phrase from lexicon "
        "where concept = 'Japan' and category = 'region' and rule is null"
    ).fetchall()
    assert len(rows) > 200
    for language, phrase in rows:
        block = re.search(rf'lang="{re.escape(language)}">([^<]*)</dd>', page)
        assert block and show(phrase) in block[1]


@pytest.mark.parametrize(
    "address",
    [
        "concept/region/no such",
        "concept/no/Japan",
        "category/none",
        "concept/region",
        "concept/a/b/c",
    ],
)
def test_what_is_not_known_is_told(strange, run_ids, address):
    answer = strange.get(f"/strange/{run_ids[0]}/{address}")
    assert answer.status_code == 404 and "<main" in answer.text
