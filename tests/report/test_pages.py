"""Pages run our own script and style alone, whatever users' text brings; and still do their work."""

from __future__ import annotations

import base64
import hashlib
import html
import re

import pytest
from browser import CHROMIUM, open_browser
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner
from waiting import wait_for

from pipeline.base.csv_cells import guard_cell, read_cell
from pipeline.base.page_policy import page_policy
from pipeline.cli.app import app
from pipeline.labelling.files import read_labels

LAYER = "visual.layer3.0"
PAGES = {
    "card.html": ("card", LAYER, 7),
    "report.html": ("report",),
    "sheet/index.html": ("label", "export", LAYER, 7, "--per-bin", 2),
}


@pytest.fixture(scope="module")
def pages(tiny_warehouse, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, arguments in PAGES.items():
        out = ("--out", folder / name.split("/")[0], "--warehouse", tiny_warehouse)
        run = CliRunner().invoke(app, [str(one) for one in (*arguments, *out)])
        assert run.exit_code == 0, run.output
    return folder


def policy_of(page: str) -> dict[str, list[str]]:
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    rules = (rule.split() for rule in html.unescape(policy).split(";"))
    return {name: values for name, *values in rules}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.slow
def test_a_page_allows_what_is_ours_by_its_hash_and_nothing_else(pages, name):
    page = (pages / name).read_text(encoding="utf-8")
    rules = policy_of(page)
    assert rules["default-src"] == ["'none'"]
    assert rules["img-src"] == ["data:"]
    assert rules["base-uri"] == rules["form-action"] == ["'none'"]
    assert page.index("Content-Security-Policy") < page.index("<style>"), "before all it is about"
    for kind, rule in (("script", "script-src"), ("style", "style-src-elem")):
        there = re.findall(rf"<{kind}\b[^>]*>(.*?)</{kind}>", page, re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in there]
        assert rules[rule] == ([f"'sha256-{h}'" for h in hashes] or ["'none'"])
    assert not re.search(
        r"<[^>]*\son[a-z]+\s*=", re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    )
    assert not re.search(r"(src|href)=\"?(https?:|//)", page)


def test_the_hashes_come_from_the_template():
    assert "script-src 'none'" in page_policy("<p>hello</p>")
    assert page_policy("<style>a</style>") != page_policy("<style>b</style>")


@given(st.text(st.sampled_from("'=+-@＝＋－＠\t\r\na1 "), max_size=6))
def test_a_guarded_cell_is_no_formula_and_reads_back(text):
    guarded = guard_cell(text)
    assert read_cell(guarded) == text
    assert not guarded or guarded[0] not in "=+-@＝＋－＠\t\r\n"


@pytest.mark.skipif(CHROMIUM is None, reason="opens the pages: install chromium")
@pytest.mark.slow
def test_in_a_browser(pages, tmp_path):
    pytest.importorskip("websockets", reason="speaks to chromium: pip install websockets")
    with open_browser(tmp_path) as browser:
        for name in PAGES:
            browser.open(pages / name)
            assert browser.told == [], name
            assert browser.ask("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
            assert name == "report.html" or browser.ask("document.images.length") > 0
            assert browser.ask("getComputedStyle(document.body).color") != "rgb(0, 0, 0)", "styled"

        typed = ["=1+1", "-2", "@cat", "'=x", "+\u00fc", " plain ", "\uff1d1"]
        browser.open(pages / "sheet/index.html")
        for number, text in enumerate(typed):
            browser.ask(
                f"document.querySelectorAll('input[name=label]')[{number}].value = {text!r}"
            )
        browser.ask("document.dispatchEvent(new Event('change'))")
        assert browser.ask("document.getElementById('count').textContent").startswith("7 of ")
        browser.ask("document.getElementById('save').click()")
        saved = tmp_path / "downloads/labels.csv"
        wait_for(saved.exists)
        labels = read_labels(saved, pages / "sheet")
        assert [row.label for row in labels.rows[:7]] == [text.strip() for text in typed]
        cells = [line.split(",") for line in saved.read_text(encoding="utf-8").splitlines()[1:]]
        assert not [cell for line in cells for cell in line if cell[:1] in tuple("=+-@\uff1d")]

        browser.open(pages / "report.html")
        units = "[...document.querySelectorAll('#all tbody tr')].map(r => +r.cells[1].textContent)"
        browser.ask("document.querySelectorAll('#all th button')[1].click()")
        ascending = browser.ask(units)
        assert ascending == sorted(ascending) and len(set(ascending)) > 2
        browser.ask("document.querySelectorAll('#all th button')[1].click()")
        descending = browser.ask(units)
        assert descending == sorted(descending, reverse=True) and descending[0] > ascending[-1]
        browser.ask("document.getElementById('more').click()")
        assert (len(ascending), len(browser.ask(units))) == (300, 512)
        browser.ask(
            "document.getElementById('only').value = ' 99 ', "
            "document.getElementById('only').dispatchEvent(new Event('input'))"
        )
        assert set(browser.ask(units)) == {99}, "found among all, also those not drawn before"
        assert browser.ask("document.getElementById('count').textContent").startswith("3 of 3")
        assert browser.ask("document.querySelectorAll('#all th')[1].ariaSort") == "descending"
        browser.call(
            "Emulation.setDeviceMetricsOverride",
            width=390,
            height=800,
            deviceScaleFactor=1,
            mobile=True,
        )
        assert browser.ask("document.documentElement.scrollWidth") <= 390, "readable on a telephone"
        browser.call("Emulation.clearDeviceMetricsOverride")

        browser.open(pages / "sheet/index.html")
        label = "[...document.querySelectorAll('input[name=label]')]"
        at = f"{label}.indexOf(document.activeElement)"
        shown = f"{label}.map(i => i.value).slice(0, 8).join()"
        browser.ask("localStorage.clear()")
        browser.open(pages / "sheet/index.html")
        assert browser.ask(at) == 0, "the first image waits for its word"
        browser.call("Input.insertText", text="cat")
        browser.press("Enter")
        assert browser.ask(at) == 1
        browser.press("Digit0", alt=True)
        assert (browser.ask(at), browser.ask(shown)) == (2, "cat,none,,,,,,"), "none of them"
        words = "[...document.querySelectorAll('#words button')].map(b => b.value).join()"
        assert browser.ask(words) == "none,cat"
        browser.press("Digit1", alt=True)
        browser.ask("document.querySelectorAll('button.none')[3].click()")
        browser.ask("document.querySelectorAll('#words button')[1].click()")
        assert (browser.ask(at), browser.ask(shown)) == (5, "cat,none,cat,none,cat,,,")
        browser.press("Enter", shift=True)
        assert browser.ask(at) == 4
        top = "document.activeElement.getBoundingClientRect().top"
        assert browser.ask(f"{top} > document.querySelector('header').offsetHeight"), "not hidden"

        hostile = (
            "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
            "<style>body { color: rgb(1, 2, 3) !important }</style>"
            "<iframe srcdoc=\"<script>parent.document.title='owned'</script>\"></iframe>"
            "<link rel=stylesheet href=http://127.0.0.1:9/x.css><img src=http://127.0.0.1:9/x.png>"
        )
        for name in PAGES:
            page = (pages / name).read_text(encoding="utf-8").replace("<main", f"{hostile}<main", 1)
            bad = tmp_path / "bad.html"
            bad.write_text(page, encoding="utf-8")
            browser.open(bad)
            assert browser.ask("document.title") != "owned"
            assert browser.ask("getComputedStyle(document.body).color") != "rgb(1, 2, 3)"
            refused = [line for line in browser.told if "violates" in line]
            assert len(refused) >= 5, browser.told
