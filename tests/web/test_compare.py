"""Two neurons side by side, and whatever else stands in the address of a comparison."""

from __future__ import annotations

import re
from html import unescape

import pytest
from conftest import find_links
from hypothesis import given
from hypothesis import strategies as st
from strange_world import CONCEPTS

from pipeline.base.errors import ConfigError
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import Neuron
from pipeline.web.links import ConceptPlace, ServerLinks, read_address

pytestmark = pytest.mark.slow
LINKS = ServerLinks("v")
NAMES = st.text(min_size=1).filter(lambda text: text.isprintable() and text.strip("."))


@given(NAMES, NAMES, st.integers(0, 10**8 - 1))
def test_the_address_of_a_neuron_is_read_as_that_neuron(run_id, layer, unit):
    layer = layer.replace("~", ":")
    neuron = Neuron("compare", run_id, layer, unit)  # a dataset whose name is a page's
    assert read_address(LINKS.neuron(neuron, whole=1)) == neuron


@given(NAMES, NAMES, NAMES)
def test_the_address_of_a_concept_is_read_as_that_concept(run_id, category, concept):
    place = ConceptPlace("d", run_id, category, concept)
    assert read_address(LINKS.concept(*place)) == place
    assert read_address(f"http://127.0.0.1:8600{LINKS.concept(*place)}") == place


@given(st.text())
def test_any_other_text_is_refused_by_us(text):
    try:
        found = read_address(text)
    except ConfigError as error:
        assert "is not the address" in error.message
    else:
        assert isinstance(found, Neuron | ConceptPlace)


@pytest.fixture(scope="module")
def con(strange_warehouse):
    with connect(strange_warehouse) as connection:
        yield connection


@pytest.fixture(scope="module")
def pair(con):
    """Two neurons of one layer that share top images, and how many."""
    (row,) = con.execute(
        """
        select a.dataset, a.run_id, a.layer, a.unit, b.unit as other, count(*) as shared
        from top_examples as a
        inner join top_examples as b using (dataset, run_id, layer, polarity, example_id)
        where a.unit < b.unit and polarity = 'positive' and a.unit < 20 and b.unit < 20
        group by all order by shared desc, a.run_id, a.unit, other limit 1
        """
    ).fetchall()
    dataset, run_id, layer, unit, other, shared = row
    place = (dataset, run_id, layer)
    return Neuron(*place, unit), Neuron(*place, other), shared


def test_both_neurons_and_what_they_share_are_on_the_page(strange, con, pair):
    first, second, shared = pair
    answer = strange.get(LINKS.page("compare", a=LINKS.neuron(first), b=LINKS.neuron(second)))
    page = unescape(answer.text)
    assert answer.status_code == 200 and shared > 0
    assert f"{shared} image" in page and "among the strongest of both" in page
    assert {LINKS.neuron(first), LINKS.neuron(second)} <= set(find_links(answer.text))
    ids = re.findall(r'\bid="([^"]+)"', answer.text)
    assert len(ids) == len(set(ids)), "no id twice"
    for neuron in (first, second):
        ((skewness,),) = con.execute(
            "select skewness from neuron_stats where run_id = $run_id and layer = $layer "
            "and unit = $unit and dataset = $dataset",
            neuron.parameters,
        ).fetchall()
        assert f"<td>{skewness:.3g}</td>" in page


def test_a_neuron_leads_to_a_choice_of_others_and_each_opens(strange, pair):
    address = LINKS.neuron(pair[0])
    assert LINKS.page("compare", a=address) in find_links(strange.get(address).text)
    page = strange.get(LINKS.page("compare", a=address))
    found = [link for link in find_links(page.text) if link.startswith("/compare?")]
    assert found and all("b=" in link for link in found)
    assert strange.get(found[0]).status_code == 200
    assert strange.get("/compare").status_code == 200


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("http://example.org/", "", 400),
        ("//evil.example/a/b/c/0", "x", 400),
        ("javascript:alert(1)", "x", 400),
        ("/strange/none/layer/0", "", 404),
        ("{neuron}", "/strange/none/layer/0", 404),
        ("{neuron}", "{concept}", 400),
        ("{neuron}", "http://[", 400),
        ("/strange/{run}/concept/a/b", "", 404),
    ],
)
def test_bad_addresses_are_told(strange, pair, first, second, status):
    concept, category = CONCEPTS[0]
    known = {
        "neuron": LINKS.neuron(pair[0]),
        "concept": LINKS.concept("strange", pair[0].run_id, category, concept),
        "run": pair[0].run_id,
    }
    asked = {"a": first.format(**known), "b": second.format(**known)}
    answer = strange.get("/compare", params=asked)
    assert answer.status_code == status and "<main" in answer.text
