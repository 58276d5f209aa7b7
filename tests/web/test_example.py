"""The page of an image says what the views know of it, and nothing that its texts say is run."""

from __future__ import annotations

import re
from html import unescape

import pytest

from pipeline.base.display import show
from pipeline.warehouse.connect import connect
from pipeline.web.api.answers import get_example
from pipeline.web.examples import NEURON_COUNT
from pipeline.web.links import ServerLinks
from pipeline.web.pages.example import example_page
from pipeline.web.view import View

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def con(strange_warehouse):
    with connect(strange_warehouse) as connection:
        yield connection


@pytest.fixture(scope="module")
def runs(con):
    """Addresses of the runs, by id."""
    ids = con.execute("select run_id from runs order by 1").fetchall()
    return {run_id: f"/strange/{run_id}" for (run_id,) in ids}


def test_all_that_is_known_of_an_image_stands_on_its_page(strange, con, runs):
    run_id, run = next(iter(runs.items()))
    rows = con.execute("select * from examples order by example_id limit 6").fetchall()
    names = [column[0] for column in con.description]
    for row in (dict(zip(names, values, strict=True)) for values in rows):
        this = {"id": row["example_id"]}
        text = strange.get(f"{run}/example/{row['example_id']}").text
        told = [row["shard"], row["shard_key"], row["image_sha256"], row["half"]]
        told += [f"{row['image_offset']:,}", f"{row['image_bytes']:,}", str(row["width_px"])]
        told += [
            t
            for (t,) in con.execute(
                "select text from texts where example_id = $id", this
            ).fetchall()
        ]
        shown = con.execute(
            "select distinct concept, category from run_concepts where example_id = $id and run_id = $run",
            {**this, "run": run_id},
        ).fetchall()
        assert shown
        told += [name for pair in shown for name in pair]
        page = unescape(text)
        for each in told:
            assert show(each) in page


def test_what_is_not_known_of_a_file_is_said(con, runs):
    with con.cursor() as cursor:
        cursor.execute("create temp table nameless as from examples")
        for name in ("width_px", "height_px", "mime_type", "image_offset", "image_bytes"):
            cursor.execute(f"update nameless set {name} = null")
        cursor.execute("alter table nameless rename to examples")
        page = example_page(View(cursor, ServerLinks("")), "strange", next(iter(runs)), 5)
        record = get_example(View(cursor, ServerLinks("")), "strange", next(iter(runs)), 5)
    assert "<dt>size</dt><dd>not known</dd>" in page
    assert "<dt>type</dt><dd>not known, – bytes</dd>" in page
    assert (record.width_px, record.mime_type) == (None, None)


def test_neurons_of_each_layer_come_by_their_activation_on_its_axis(strange, con, runs):
    for run_id, run in runs.items():
        page = strange.get(f"{run}/example/5").text
        ((layer,),) = con.execute(
            "select layer from layers where run_id = $run", {"run": run_id}
        ).fetchall()
        ((axis,),) = con.execute(
            "select axis from layer_axes where run_id = $run", {"run": run_id}
        ).fetchall()
        expected = con.execute(
            """
            select unit, (activation - if($axis = 'z', mean, 0)) / sd as strength
            from activations inner join neuron_stats using (dataset, run_id, layer, unit)
            where run_id = $run and example_id = 5 and sd > 0
            order by strength desc, unit limit $count
            """,
            {"run": run_id, "count": NEURON_COUNT, "axis": axis},
        ).fetchall()
        assert expected[-1][1] > 0, "else what is not stored counts too"
        shown = {"sd": r"(-?[\d.]+) SD", "z": r"z (-?[\d.]+)"}[axis]
        found = re.findall(rf"unit (\d+), {shown}", page)
        assert [(int(unit), float(strength)) for unit, strength in found] == [
            (unit, float(f"{strength:.1f}")) for unit, strength in expected
        ]
        assert page.count(f"{layer}/") >= NEURON_COUNT


def test_texts_are_shown_and_never_run(strange, con, runs):
    for run in runs.values():
        for example_id in range(5):
            text = strange.get(f"{run}/example/{example_id}").text
            for tag in ("<b>bold", "<img src=x", "<script>alert", "<i>", "\u202e", "\x1b"):
                assert tag not in text
            assert 'dir="auto"' in text
    assert 'lang="ar"' in strange.get(f"{run}/example/0").text
    assert 'lang="und"' not in "".join(strange.get(f"{run}/example/{n}").text for n in range(5))


def test_a_copy_leads_to_the_first_and_the_first_to_its_copies(strange, con, runs):
    pairs = con.execute(
        "select example_id, group_id from image_groups where group_size = 2 and member_rank = 2"
    ).fetchall()
    assert len(pairs) == 2
    for copy, first in pairs:
        for run in runs.values():
            assert f'href="{run}/example/{first}"' in strange.get(f"{run}/example/{copy}").text
            assert f'href="{run}/example/{copy}"' in strange.get(f"{run}/example/{first}").text


def test_an_image_leads_to_the_one_before_and_the_next(strange, con, runs):
    run = next(iter(runs.values()))
    ids = [i for (i,) in con.execute("select example_id from examples order by 1").fetchall()]
    border = next(n for n, i in enumerate(ids) if i - ids[n - 1] > 1 and n)  # of two shards
    for n in (0, 1, border, len(ids) - 1):
        text = strange.get(f"{run}/example/{ids[n]}").text
        steps = dict(re.findall(rf'href="{run}/example/(\d+)" data-(prev|next)', text))
        around = {
            "prev": ids[n - 1] if n else None,
            "next": ids[n + 1] if n + 1 < len(ids) else None,
        }
        assert steps == {str(i): side for side, i in around.items() if i is not None}


def test_what_is_not_there_is_told(strange, runs):
    run = next(iter(runs.values()))
    for address, told in (
        (f"{run}/example/99999999", "has no example 99999999"),
        ("/strange/nothing/example/0", "There is no run"),
        ("/nothing/here/example/0", "There is no dataset"),
    ):
        answer = strange.get(address)
        assert answer.status_code == 404 and told in unescape(answer.text)
    for address, status in ((f"{run}/example/no-number", 400), (f"{run}/a/0/b/c/d", 404)):
        answer = strange.get(address)
        assert answer.status_code == status and "<main" in answer.text
