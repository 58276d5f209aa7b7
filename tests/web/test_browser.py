"""The explorer in a real browser, over the demo's warehouse: Chromium, driven by Playwright."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from browser import CHROMIUM
from served import serve

from pipeline.warehouse.connect import connect

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="drives a browser: pip install playwright"
)
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="opens pages: install chromium"),
]

LAYER = "visual.layer4.0.act3:input:max"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
TIME_MS = 240_000
"""A slow and busy machine is no fault."""

sync_api.expect.set_options(timeout=TIME_MS)


@pytest.fixture(scope="module")
def address(plain_demo, tmp_path_factory) -> Iterator[str]:
    with serve(plain_demo / "warehouse", tmp_path_factory.mktemp("thumbnails")) as address:
        yield address


@pytest.fixture(scope="module")
def runs(plain_demo) -> dict[str, str]:
    """The addresses of the demo's runs, by dataset."""
    with connect(plain_demo / "warehouse") as con:
        rows = con.execute("select dataset, run_id from runs").fetchall()
    return {dataset: f"/{dataset}/{run_id}" for dataset, run_id in rows}


@pytest.fixture(scope="module")
def run(runs) -> str:
    """The address of the demo's first run."""
    return runs["demo"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, address):
    """A tab in which nothing may go wrong, and which may ask the explorer alone."""
    context = chromium.new_context(
        base_url=address,
        viewport={"width": 1280, "height": 900},
        reduced_motion="reduce",  # a colour on its way to another is none to be measured
    )
    context.set_default_timeout(TIME_MS)
    tab, faults = context.new_page(), []
    tab.on(
        "console",
        lambda told: faults.append(told.text) if told.type in ("error", "warning") else None,
    )
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("requestfailed", lambda asked: faults.append(f"{asked.failure}: {asked.url}"))
    tab.on(
        "response",
        lambda got: faults.append(f"{got.status} {got.url}") if got.status >= 400 else None,
    )
    hosts = set()
    tab.on("request", lambda asked: hosts.add(urlsplit(asked.url).netloc))
    tab.faults = faults
    yield tab
    _settle(tab)
    context.close()
    left = [fault for fault in faults if "ERR_ABORTED" not in fault]  # left before all had come
    assert left == []
    assert hosts - {""} == {urlsplit(address).netloc}, "no request to another host"


def _settle(page) -> None:
    page.locator("[aria-busy=true]").first.wait_for(state="detached")
    page.wait_for_load_state("networkidle")


def _open(page, address: str) -> None:
    page.goto(address)
    _settle(page)


PAGES = [
    "/", "{demo}", "{demo}/{layer}", "{demo}/{layer}?view=table", "{demo}/{layer}/29", "/words",
    "{demo}/example/0", "{demo}/concept/region/Japan", "{demo}/category/region", "{attack}/attacks",
    "{stroop}/stroop", "/compare?a={demo}/{layer}/29&b={demo}/{layer}/192", "/search?q=japon",
    "/list?list={list}:29,192&name=two", "{demo}/{layer}/map", "/api",
    "/sql?query=select+unit,+concept+from+neuron_labels+order+by+q_value+limit+5",
]  # fmt: skip
"""One of every kind."""


def _fill(place: str, runs: dict[str, str]) -> str:
    names = {name.removeprefix("demo-"): address for name, address in runs.items()}
    return place.format(layer=LAYER, list=f"{runs['demo'][1:]}/{LAYER}", **names)


@pytest.mark.parametrize("place", PAGES)
def test_a_page_fits_and_has_no_serious_fault_of_accessibility(page, runs, place):
    _open(page, _fill(place, runs))
    for width in (390, 768, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        found = axe.Axe().run(page).response["violations"]
        serious = [
            (theme, one["id"], [node["target"] for node in one["nodes"]][:3])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == []


@pytest.mark.parametrize("words", ["Japan", "japon", "日本", "Япония"])
def test_a_search_finds_a_neuron_in_any_language_while_one_types(page, run, words):
    _open(page, "/")
    page.keyboard.press("/")
    page.keyboard.type(words)
    first = page.locator("#suggestions a").first
    sync_api.expect(first).to_contain_text("Japan")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/demo/" in url or "q=" in url)
    _settle(page)
    sync_api.expect(page.locator("main")).to_contain_text("Japan")


def test_starred_neurons_are_a_list_that_the_address_keeps(page, run):
    for unit in (29, 192):
        _open(page, f"{run}/{LAYER}/{unit}")
        page.keyboard.press("s")
    page.get_by_role("link", name="List").click()
    page.wait_for_url(re.compile("list="))
    _settle(page)
    cards = page.locator(".card")
    assert {"Japan", "guitar"} == set(cards.locator(".card-line b").all_inner_texts())
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    text = download.value.path().read_text(encoding="utf-8")
    assert "Japan" in text and "guitar" in text and text.count("\n") == 3


def test_a_query_is_asked_by_keys_and_leads_to_neurons(page, run):
    _open(page, "/sql")
    page.locator("textarea").fill(
        "select dataset, run_id, layer, unit, concept from neuron_labels "
        "where dataset = 'demo' and unit = 29"
    )
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile("query="))
    link = page.locator("table a", has_text="29").first
    link.click()
    page.wait_for_url(re.compile(r"/29$"))


def test_a_filter_changes_the_list_and_the_address_and_back_undoes_it(page, run):
    _open(page, f"{run}/{LAYER}")
    count = page.locator("#found [role=status] b")
    assert count.inner_text() == "768"
    page.locator("select[name=category]").select_option("region")
    page.wait_for_url(re.compile("category=region"))
    sync_api.expect(count).not_to_have_text("768")
    regions = count.inner_text()
    page.locator(".filters input[name=q]").fill("japan")
    page.wait_for_url(re.compile("q=japan"))
    sync_api.expect(page.locator(".card").first).to_contain_text("Japan")
    address = page.url
    page.reload()
    _settle(page)
    assert page.url == address
    sync_api.expect(page.locator(".card").first).to_contain_text("Japan")
    page.go_back()
    page.wait_for_url(lambda url: "q=japan" not in url)
    sync_api.expect(count).to_have_text(regions)


def test_a_table_is_sorted_by_its_headings_and_turned_by_keys(page, run):
    _open(page, f"{run}/{LAYER}?view=table&sort=unit")
    first = page.locator(".list tbody tr").first
    assert first.locator("th").inner_text().strip() == "0"
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile("page=2"))
    sync_api.expect(page.locator(".list tbody tr").first.locator("th")).to_have_text("48")
    page.get_by_role("link", name="max SD").click()
    page.wait_for_url(re.compile("sort=max_sd"))
    assert "page=" not in page.url
    sync_api.expect(page.locator("th[aria-sort=descending]")).to_have_text("max SD")


def test_keys_lead_from_neuron_to_neuron_and_up(page, run):
    _open(page, f"{run}/{LAYER}/29")
    sync_api.expect(page.locator("h1")).to_have_text("Japan")
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile(r"/30$"))
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(re.compile(r"/29$"))
    page.keyboard.press("?")
    sync_api.expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    sync_api.expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.type("u")
    assert page.url.endswith("/29"), "keys are letters where people write"
    page.locator("h1").click()
    page.keyboard.press("u")
    page.wait_for_url(lambda url: not url.endswith("/29"))


def test_the_panels_come_and_a_bin_shows_its_images(page, run):
    _open(page, f"{run}/{LAYER}/29")
    assert page.locator(".panel.late").count() == 0
    bins = page.locator("#histogram [data-bin]")
    assert bins.count() > 3
    bins.nth(2).focus()
    page.keyboard.press("Enter")
    assert page.locator(".bin-images:visible").count() == 1
    told = bins.nth(2).get_attribute("title")
    sync_api.expect(page.locator(".bin-images:visible h3")).to_contain_text(told)
    images = page.locator(".bin-images:visible img")
    assert images.count() > 0
    images.first.scroll_into_view_if_needed()
    sync_api.expect(images.first).not_to_have_js_property("naturalWidth", 0)


def test_every_figure_says_what_it_means(page, run):
    _open(page, f"{run}/{LAYER}/29")
    page.get_by_text("polysemanticity").first.wait_for()
    term = page.locator("#statistics [data-tip]").first
    term.focus()
    tip = page.locator("#tip")
    sync_api.expect(tip).to_be_visible()
    assert len(tip.inner_text()) > 20
    tip.get_by_text("more").click()
    page.wait_for_url(re.compile("/words#"))


def test_a_frame_of_another_page_holds_a_panel(chromium, address, run):
    """A paper or a notebook of another host may show it; the page itself may not be framed."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(TIME_MS)
    page = context.new_page()
    source = f"{address}{run}/{LAYER}/29?panel=top&embed=true"
    page.set_content(f'<iframe src="{source}" width="900" height="400"></iframe>')
    frame = page.frame_locator("iframe")
    sync_api.expect(frame.locator("#top img").first).to_be_visible()
    assert frame.locator("nav").count() == 0
    page.set_content(f'<iframe src="{address}{run}" width="900" height="400"></iframe>')
    page.wait_for_timeout(500)
    assert page.frames[1].url.startswith("chrome-error:")
    context.close()


def test_a_page_without_scripts_shows_all(chromium, address, run):
    context = chromium.new_context(java_script_enabled=False, base_url=address)
    context.set_default_timeout(TIME_MS)
    page = context.new_page()
    page.goto(f"{run}/{LAYER}/29?whole=1")
    assert page.locator(".panel").count() == 12 and page.locator(".panel.late").count() == 0
    page.goto(f"{run}/{LAYER}")
    page.locator(".filters input[name=q]").fill("japan")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(re.compile("q=japan"))
    sync_api.expect(page.locator(".card").first).to_contain_text("Japan")
    context.close()
