"""Pages of the demo's attacks and Stroop cards say what the views say."""

from __future__ import annotations

import re
from html import unescape

import pytest
from conftest import explore

from pipeline.warehouse.connect import connect
from pipeline.web.attack_filter import OUTCOMES
from pipeline.web.pages.attacks import MOVED_COUNT, PAGE_SIZE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(plain_demo, tmp_path_factory):
    """A client of the explorer over the demo's warehouse."""
    return explore(plain_demo / "warehouse", tmp_path_factory.mktemp("demo-thumbnails"))


@pytest.fixture(scope="module")
def con(plain_demo):
    with connect(plain_demo / "warehouse") as connection:
        yield connection


@pytest.fixture(scope="module")
def attacks(con):
    """The address of the page of attacks."""
    ((run_id,),) = con.execute("select run_id from runs where dataset = 'demo-attack'").fetchall()
    return f"/demo-attack/{run_id}/attacks"


@pytest.fixture(scope="module")
def stroop(con):
    ((run_id,),) = con.execute("select run_id from runs where dataset = 'demo-stroop'").fetchall()
    return f"/demo-stroop/{run_id}/stroop"


def test_the_overview_leads_to_both(demo, attacks, stroop):
    page = demo.get("/").text
    assert f'href="{attacks}"' in page and f'href="{stroop}"' in page


def test_every_attack_has_its_shares_and_intervals(demo, con, attacks):
    page = demo.get(attacks).text
    rows = con.execute(
        """
        select
            attack_text, placement, image_count, changed_frac, changed_low, changed_high,
            blank_changed_frac, unchanged_frac
        from typographic_attacks order by changed_frac desc, attack_text, target_class, placement
        """
    ).fetchall()
    table = page.partition('class="attacks"')[2].partition("<tbody>")[2].partition("</tbody>")[0]
    found = re.findall(r"<tr><th.*?</tr>", table, flags=re.DOTALL)
    assert len(found) == len(rows) > 0
    for line, (text, placement, count, changed, low, high, blank, unchanged) in zip(
        found, rows, strict=True
    ):
        assert f"<bdi>{text}</bdi>" in line and f"<td>{placement}</td>" in line
        assert f'<td class="number">{count}</td>' in line
        assert f'title="95 %: {100 * low:.1f} to {100 * high:.1f} %"' in line
        for share in (changed, blank, unchanged):
            assert f"{100 * share:.0f} %" in line


def test_each_attacked_image_is_on_one_page_beside_its_controls(demo, con, attacks):
    rows = con.execute(
        """
        select example_id, clean_example_id, blank_example_id, right_word_example_id
        from typographic_pairs where attack_text = 'pizza' and placement = 'strip' order by 1
        """
    ).fetchall()
    run = attacks.rsplit("/", 1)[0]
    found: list[tuple[int, ...]] = []
    for page in range(1, 2 + len(rows) // PAGE_SIZE):
        text = demo.get(f"{attacks}?text=pizza&placement=strip&page={page}").text
        assert f"<b>{len(rows)}</b> attacked images" in text
        for pair in text.split('<article class="pair">')[1:]:
            ids = re.findall(rf'href="{run}/example/(\d+)"', pair.partition("</article>")[0])
            found.append(tuple(map(int, ids)))
    assert found == [(clean, blank, attacked, right) for attacked, clean, blank, right in rows]
    last = demo.get(f"{attacks}?text=pizza&placement=strip&page=999").text
    assert f"page {-(-len(rows) // PAGE_SIZE)} of" in last


def test_what_an_image_is_taken_for_stands_below_it(demo, con, attacks):
    text = demo.get(attacks).text
    shown = re.findall(r'/example/(\d+)".*?<b class="(\w+)">([^<]*)</b> (\d+) %', text, re.DOTALL)
    predicted = {
        example_id: (name, probability)
        for example_id, name, probability in con.execute(
            "select example_id, predicted_class, predicted_probability from class_predictions "
            "where dataset = 'demo-attack'"
        ).fetchall()
    }
    assert len(shown) > PAGE_SIZE
    for example_id, _, name, percent in shown:
        expected, probability = predicted[int(example_id)]
        assert (unescape(name), percent) == (expected, f"{100 * probability:.0f}")
    assert {kind for _, kind, _, _ in shown} == {"agrees", "differs"}


def test_outcomes_are_counted_as_the_view_counts_them(demo, con, attacks):
    counts = dict(
        con.execute("select outcome, count(*) from typographic_pairs group by 1").fetchall()
    )
    for outcome in OUTCOMES:
        count = counts.get(outcome, 0)
        text = demo.get(f"{attacks}?outcome={outcome}").text
        assert f"<b>{count}</b> attacked image" in text


def test_the_neurons_that_move_most_come_in_order(demo, con, attacks):
    text = demo.get(f"{attacks}?text=pizza&placement=strip&part=neurons").text
    expected = con.execute(
        """
        select unit, blank_change_sd from typographic_neurons
        where attack_text = 'pizza' and placement = 'strip'
        order by blank_change_rank limit $count
        """,
        {"count": MOVED_COUNT},
    ).fetchall()
    found = re.findall(r"unit (\d+) of .*?<b>([+-][\d.]+) SD</b>", text)
    assert [(int(unit), sd) for unit, sd in found] == [(u, f"{sd:+.1f}") for u, sd in expected]
    assert "<html" not in text
    assert "hx-get" not in demo.get(f"{attacks}?whole=1").text.partition("<main")[2]


def test_each_pair_of_ink_and_word_has_its_winner(demo, con, stroop):
    page = demo.get(stroop).text
    table = page.partition('class="stroop"')[2].partition("</table>")[0]
    counts = dict(
        con.execute(
            "select winner, count(*) from stroop_cells where card_kind = 'incongruent' group by 1"
        ).fetchall()
    )
    for winner in ("word", "ink", "other"):
        assert table.count(f'<td class="by-{winner}"') == counts.get(winner, 0)
    ((word, low, high),) = con.execute(
        "select word_cell_count, word_cell_low, word_cell_high from stroop_summary"
    ).fetchall()
    assert f"the word wins {word}" in page
    assert f'title="95 %: {100 * low:.1f} to {100 * high:.1f} %"' in page


def test_a_pair_shows_all_its_cards(demo, con, stroop):
    ids = [
        i for (i,) in con.execute(
            "select example_id from stimuli where dataset = 'demo-stroop' "
            "and ink_name = 'red' and word_name = 'blue' order by 1"
        ).fetchall()
    ]  # fmt: skip
    cards = demo.get(f"{stroop}?ink=red&word=blue").text.partition('id="cards"')[2]
    assert [int(i) for i in re.findall(r"/example/(\d+)", cards)] == ids and ids


@pytest.mark.parametrize(
    ("address", "status", "told"),
    [
        ("{attacks}?outcome=no", 400, "It is one of: changed"),
        ("{attacks}?page=many", 400, "A number is expected"),
        ("{attacks}?class_set=none", 404, "Class sets:"),
        ("{stroop}?ink=mauve&word=red", 404, "Choose a cell"),
        ("{demo}/attacks", 404, "neurons attack --dataset demo"),
        ("{demo}/stroop", 404, "neurons stroop --dataset demo"),
    ],
)
def test_what_is_not_there_is_told(demo, con, attacks, stroop, address, status, told):
    ((run_id,),) = con.execute("select run_id from runs where dataset = 'demo'").fetchall()
    known = {"attacks": attacks, "stroop": stroop, "demo": f"/demo/{run_id}"}
    answer = demo.get(address.format(**known))
    assert answer.status_code == status and told in unescape(answer.text)
