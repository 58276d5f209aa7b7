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
def run(plain_demo) -> str:
    """The address of the demo's run."""
    with connect(plain_demo / "warehouse") as con:
        ((run_id,),) = con.execute("select run_id from runs where dataset = 'demo'").fetchall()
    return f"/demo/{run_id}"


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, address):
    """A tab in which nothing may go wrong, and which may ask the explorer alone."""
    context = chromium.new_context(base_url=address, viewport={"width": 1280, "height": 900})
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


PAGES = ["/", "{run}", "{run}/{layer}", "{run}/{layer}?view=table", "{run}/{layer}/29", "/words"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("place", PAGES)
def test_a_page_has_no_serious_fault_of_accessibility_and_fits(page, run, place, theme):
    page.emulate_media(color_scheme=theme)
    for width in (390, 768, 1440) if theme == "light" else (1440,):
        page.set_viewport_size({"width": width, "height": 900})
        _open(page, place.format(run=run, layer=LAYER))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(page).response["violations"]
    serious = [
        (one["id"], [node["target"] for node in one["nodes"]][:3])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


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
    assert first.locator("th").inner_text() == "0"
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
    assert page.locator(".panel").count() == 11 and page.locator(".panel.late").count() == 0
    page.goto(f"{run}/{LAYER}")
    page.locator(".filters input[name=q]").fill("japan")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(re.compile("q=japan"))
    sync_api.expect(page.locator(".card").first).to_contain_text("Japan")
    context.close()
