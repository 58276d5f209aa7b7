"""A run's report: one page without a network, with what the views say."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from urllib.parse import unquote

import pytest
from report_world import EVIL, Page, assert_self_contained, make_picture

from pipeline.base.display import show
from pipeline.base.storage import Store
from pipeline.report import report_words
from pipeline.report.gather_report import gather_report
from pipeline.report.run_report import Baselines, DoubtfulList, Multimodality, ReportNeuron
from pipeline.report.run_report_html import FIRST_LINES, render_report
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_run


@pytest.fixture
def world(tiny_warehouse):
    """A connection whose views can be replaced, and a store; ten neurons of it are labelled."""
    with connect(tiny_warehouse) as con:
        con.execute(
            """
            create or replace temp table shown as
            select * replace (
                unit % 10 = 0 as is_labelled,
                if(unit % 10 = 0, if(unit < 50, 'dog', 'red'), null) as concept,
                if(unit % 10 = 0, if(unit < 50, 'animal', 'color'), null) as category,
                if(unit % 10 = 0, 'texts', null) as origin,
                if(unit % 10 = 0, 0.5 + unit / 250, null) as score,
                if(unit % 10 = 0, 0.01e0, null) as q_value,
                if(unit % 10 = 0, 'cat', null) as runner_up,
                if(unit % 10 = 0, (unit % 7) / 10, null) as margin,
                if(unit % 10 = 0, 1 + unit % 3, null) as agreement,
                if(unit % 10 = 0, unit // 10 % 4, null)::bigint as supported_count,
                if(unit % 10 = 0, 4, null)::bigint as measured_count,
                if(unit % 10 = 0, null, 'not significant') as reason
            )
            from neuron_labels where layer like 'visual.layer3%' and unit < 100;
            create or replace view neuron_labels as from shown
            """
        )
        yield con, Store(tiny_warehouse)


def the_run(con):
    """``dataset`` and ``run_id`` of the only run."""
    run = find_run(con)
    return run.dataset, run.run_id


def test_a_report_holds_what_the_views_say(world):
    con, store = world
    report = gather_report(con, store, *the_run(con))
    assert report.neuron_count == 100
    assert report.labelled_count == 10
    assert report.categories == (("animal", 5), ("color", 5))
    assert report.reasons == (("not significant", 90),)
    expected = con.execute(
        """
        select concept, min_by(unit, (-supported_count, -agreement, -score)) from shown
        where is_labelled
        group by concept order by max((supported_count, agreement, score)) desc
        """
    ).fetchall()
    assert [(n.evidence.concept, n.evidence.unit) for n in report.convincing] == expected
    doubtful = {g.title: [n.evidence.unit for n in g.neurons] for g in report.doubtful}
    worst = con.execute(
        "select unit from shown where is_labelled order by margin, unit limit 6"
    ).fetchall()
    assert doubtful["Supported by fewest independent scores"] == [0, 40, 80, 10, 50, 90]
    assert doubtful["Smallest AUROC"] == [0, 10, 20, 30, 40, 50]
    assert doubtful["Smallest margin over the runner-up"] == [unit for (unit,) in worst]
    assert "Weakest form (Halle Berry test)" not in doubtful  # there are no forms here
    assert any("random" in warning for warning in report.warnings)
    assert [(n.unit, n.is_labelled) for n in report.neurons] == [
        (unit, unit % 10 == 0) for unit in range(100)
    ]
    for neuron in report.convincing:
        ids = con.execute(
            "select example_id from top_examples where layer = $layer and unit = $unit and "
            "polarity = 'positive' order by example_rank limit 6",
            {"layer": neuron.evidence.layer, "unit": neuron.evidence.unit},
        ).fetchall()
        assert [(p.example_id,) for p in neuron.pictures] == ids
        shows = con.execute(
            "select example_id from run_concepts where concept = $concept and category = $category",
            {"concept": neuron.evidence.concept, "category": neuron.evidence.category},
        ).fetchall()
        assert {(p.example_id,) for p in neuron.pictures if p.is_labelled} <= set(shows)
    assert any(p.is_labelled for n in report.convincing for p in n.pictures)
    assert all(p.is_marked for n in report.convincing for p in n.pictures), "its layer pools by max"


def test_a_page_says_so_and_escapes_what_users_wrote(world):
    con, store = world
    report = gather_report(con, store, *the_run(con))
    evidence = replace(
        report.convincing[0].evidence,
        layer="<layer>", unit=5, concept=EVIL, category="<b>", runner_up="<img src=x>",
        multimodality_index=0.75, weakest_facet="<u>photo</u>", facet_count=3, is_thin=True,
    )  # fmt: skip
    neuron = ReportNeuron(evidence, None, (make_picture(1),))
    summary = Multimodality(
        "<layer>", "stimulus", "all", 100, 40, 7, 1, 30, 20, 10, *[0.25] * 3, *[1.5] * 3
    )
    report = replace(
        report,
        coverage=replace(report.coverage, reject_reasons="<em>bad</em> 3", languages=["en", "<q>"]),
        convincing=(neuron,),
        doubtful=(DoubtfulList("Smallest AUROC", (neuron,)),),
        categories=((EVIL, 4), ("animal", 3)),
        multimodality=(summary, replace(summary, category="<i>animal</i>")),
        warnings=("<s>careful</s>",),
    )
    html = render_report(report)
    page = assert_self_contained(html)
    assert html.count("<script") == 1, "ours"
    for evil in ("<script>alert", "<img src=x", "<u>", "<em>", "<q>", "<i>", "<s>", "<layer"):
        assert evil not in html
    assert " ".join(show(EVIL).split()) in page.text
    assert "7 of the 40 tested rest on a form with fewer than 3 images" in page.text
    assert "(thin: a form of fewer than 3 images)" in page.text
    assert "The model's weights are random: it has learned nothing" in page.text
    assert "are to be expected by chance" in page.text
    for told in ("index 0.750 over 3 forms", "30", "0.25", "1.50", "untrained", "<s>careful</s>"):
        assert told in page.text
    assert "10 of 100 neurons" in page.text


def test_how_many_labels_are_chance_is_told_beside_the_most_convincing():
    def told(labelled, chance, score=0.9, is_random=False):
        figures = Baselines(
            *(1000, labelled, 0, labelled / 1000, 100, 0.0, 0.05, chance, score, "dog", 0.6)
        )
        return " ".join(report_words.describe_chance(figures, is_random))

    assert told(500, 25.0) == (
        "Of its 500 labels about 25 are to be expected by chance; these are the best of them, and "
        "look better than a new one would."
    )
    assert "about 9.5 are to be expected by chance: half of them or more" in told(12, 9.5)
    assert "Believe none of these by its numbers alone" in told(12, 9.5)
    weak = "excites a labelled neuron more than another in 61% of pairs (chance: 50%; one constant"
    assert weak in told(500, 25.0, score=0.61)
    assert "it has learned nothing" in told(500, 25.0, is_random=True)
    assert told(0, 0.0) == ""


@pytest.mark.slow
def test_the_command_writes_one_page(tiny_warehouse, tmp_path, told):
    out = tmp_path / "pages" / "report.html"
    assert f"Page: {out}" in told("report", "--warehouse", tiny_warehouse, "--out", out)
    page = assert_self_contained(out.read_text(encoding="utf-8"))
    with connect(tiny_warehouse) as con:
        image_count, text_count = con.execute(
            "select image_count, text_count from run_coverage"
        ).fetchall()[0]
    assert f"from {image_count:,} images" in page.text
    assert f"{text_count:,} in 1 languages: en" in page.text
    assert "RANDOM weights" in page.text
    assert out.stat().st_size < 1_000_000
    wrong = told("report", "--warehouse", tiny_warehouse, "--out", tmp_path / "r.png", code=2)
    assert "Expected .html" in wrong


def test_neurons_are_linked_to_their_cards(world, tmp_path):
    con, store = world
    report = gather_report(con, store, *the_run(con))
    cards = {(layer, unit): f"r-cards/{layer}-{unit}.html" for layer, unit in report.shown}
    linked = [a for a in Page(render_report(report, cards)).addresses() if a.startswith("r-cards/")]
    assert set(linked) == set(cards.values())
    assert len(cards) >= 2


def test_the_command_writes_the_cards_too(tiny_warehouse, tmp_path, told):
    out = tmp_path / "r.html"
    told("report", "--warehouse", tiny_warehouse, "--out", out, "--cards")
    linked = [a for a in Page(out.read_text(encoding="utf-8")).addresses() if "-cards/" in a]
    written = {f"r-cards/{one.name}" for one in tmp_path.glob("r-cards/*.html")}
    assert {unquote(address) for address in linked} == written


@pytest.mark.slow
def test_a_run_without_labels_and_tars_that_are_gone(world):
    con, store = world
    con.execute("create temp table gone as select * replace ('/gone/' || shard as url) from shards")
    con.execute("create or replace view shards as from gone")
    where = the_run(con)
    shown = [p for one in gather_report(con, store, *where).convincing for p in one.pictures]
    assert {picture.image.getpixel((2, 2)) for picture in shown} == {(228, 232, 236)}
    con.execute(
        "update shown set is_labelled = false, concept = null, category = null, reason = 'none'"
    )
    report = gather_report(con, store, *where)
    assert (report.convincing, report.doubtful, report.categories) == ((), (), ())
    told = assert_self_contained(render_report(report)).text
    assert told.count("No neuron is labelled.") == 3


@pytest.mark.slow
def test_a_list_of_many_neurons_is_light_and_holds_every_one(world):
    con, store = world
    report = gather_report(con, store, *the_run(con))
    one = next(row for row in report.neurons if row.is_labelled)
    evil = replace(one, concept=EVIL, unit=40_000)
    many = tuple(replace(row, unit=number) for number, row in enumerate(report.neurons * 350))
    neurons = (*many[:35_000], evil)
    cards = {(evil.layer, evil.unit): "cards/evil.html", (many[0].layer, 0): "cards/0.html"}
    page = render_report(replace(report, neurons=neurons), cards)
    without = render_report(replace(report, neurons=neurons[:FIRST_LINES]), cards)
    assert len(page) - len(without) < 35_000 * 45, "bytes for each line that the script draws"
    assert page.count("<tr><td>") == without.count("<tr><td>") == FIRST_LINES
    assert 'id="rest"' not in without
    (rest,) = re.findall(r'<pre id="rest" hidden>(.*?)</pre>', page, re.DOTALL)
    head, *lines = unescape(rest).split("\n")
    names, rows = head.split("\t"), [line.split("\t") for line in lines]
    assert len(rows) == len(neurons) - FIRST_LINES
    for row, neuron in zip(rows, neurons[FIRST_LINES:], strict=True):
        layer, unit, label, category, *figures = row
        assert (names[int(layer)], int(unit)) == (neuron.layer, neuron.unit)
        expected = neuron.concept if neuron.is_labelled else f"none: {neuron.reason}"
        assert names[int(label)] == show(expected)
        assert names[int(category)] == (neuron.category or "")
        assert len(figures) == (6 if neuron is evil else 5 if neuron.is_labelled else 0)
    assert rows[-1][-1] == "cards/evil.html"
    Page(page)  # EVIL opens no element
