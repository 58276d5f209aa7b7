"""A site of files: the same bytes whoever makes it, no link into nowhere, within its bound, from the disk."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from browser import CHROMIUM, open_browser
from PIL import Image
from waiting import wait_for

from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.progress import NoProgress
from pipeline.base.site_settings import SiteOptions
from pipeline.web.site.make import Site, make_site
from pipeline.web.site.work import MAX_PAGE_BYTES, PAGE_ASSETS

pytestmark = pytest.mark.slow

LAYER, NEURONS = "goh2021", "0,3,5"


def make(warehouse: Path, out: Path, **more: object) -> Site:
    asked = {"layer": LAYER, "neurons": NEURONS, "processes": 1, "examples": 3} | more
    return make_site(str(warehouse), out, SiteOptions(**asked), NoProgress())


def read_all(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*")) if path.is_file()
    }  # fmt: skip


@pytest.fixture(scope="module")
def site(tiny_warehouse, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    make(tiny_warehouse, out)
    return out


class Page(HTMLParser):
    """What a page leads to and loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.images: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.ids |= {values.get("id") or ""}
        if tag == "img":
            self.images.append(values)
        for name, value in attributes:
            if (tag, name) in {("a", "href"), ("header", "data-up"), ("body", "data-words")}:
                self.links.append(value or "")
            elif name in ("src", "srcset", "data-index", "action") or (tag, name) == (
                "link",
                "href",
            ):
                self.loads.append(value or "")


def pages_of(folder: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}


def test_two_processes_write_the_same_bytes(site, tiny_warehouse, tmp_path):
    made = make(tiny_warehouse, tmp_path / "site", processes=2)
    assert read_all(tmp_path / "site") == read_all(site)
    assert made.neuron_count == 3 and made.fresh_count == 0
    assert made.total_bytes < sum(map(len, read_all(site).values()))


def test_what_is_there_is_not_made_again(site, tiny_warehouse, tmp_path):
    out = tmp_path / "site"
    shutil.copytree(site, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*~*/?.html")}
    jobs = make(tiny_warehouse, out)
    assert jobs.fresh_count == jobs.job_count == 6
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*~*/?.html")}
    (lost,) = out.rglob("*~*/3.html")
    lost.unlink()
    assert make(tiny_warehouse, out).fresh_count == 5
    assert read_all(out) == read_all(site)


def test_other_neurons_replace_those_that_are_not_meant_any_more(site, tiny_warehouse, tmp_path):
    out = tmp_path / "site"
    shutil.copytree(site, out)
    make(tiny_warehouse, out, neurons="3,7", images="none")
    assert {path.name for path in out.rglob("*~*/?.html")} == {"3.html", "7.html"}
    assert not list(out.rglob("*.webp")), "images that an older record names"


@pytest.mark.parametrize("kill_at", [6, 14])
def test_killed_in_the_middle_it_goes_on(site, tiny_warehouse, tmp_path, kill_at):
    out = tmp_path / "site"
    code = f"""
from bench.dying import die_at
from test_site import make
die_at({kill_at}, "replace")
make({str(tiny_warehouse)!r}, __import__("pathlib").Path({str(out)!r}))
"""
    here = Path(__file__).parent
    paths = [str(here), str(here.parent / "worlds"), str(here.parent.parent)]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{code}"], capture_output=True
    )
    assert done.returncode == -9, done.stderr.decode()
    assert read_all(out) != read_all(site)
    make(tiny_warehouse, out)
    assert read_all(out) == read_all(site), "and nothing else is left"


def test_every_link_and_image_is_a_file_of_the_site(site):
    pages = pages_of(site)
    images = [path for path in pages if path.parent.name == "example"]
    assert len(images) == 3, "the strongest of each neuron"
    assert len(pages) - len(images) == 3 + 4 + 1 + 3  # neurons, lists, run; index, words, images
    reached: set[Path] = set()
    for path, page in pages.items():
        for address in page.links + page.loads:
            assert "?" not in address and address, path
            name, _, mark = unquote(address).partition("#")
            if name.startswith("https://"):
                assert address not in page.loads
                continue
            target = (path.parent / name).resolve() if name else path
            assert target.is_file(), f"{path} names {address}"
            assert target.is_relative_to(site)
            reached.add(target)
            if mark and target.suffix == ".html":
                assert mark in pages[target].ids
    named = {"record", "site.json", ".nojekyll"}
    written = {p for p in site.rglob("*") if p.is_file() and not named & {p.name, p.parent.name}}
    assert written == reached, "nothing is there that no page leads to"


def test_more_images_have_pages_or_none(site, tiny_warehouse, tmp_path):
    for count in (0, 5):
        make(tiny_warehouse, tmp_path / f"{count}", images="none", examples=count)
    assert not list((tmp_path / "0").rglob("example"))
    few, many = ({p.name for p in one.rglob("example/*.html")} for one in (site, tmp_path / "5"))
    assert few < many and len(many) == 5
    neuron = next((tmp_path / "5").rglob("*~*/3.html")).read_text()
    assert {f"{name}" for name in re.findall(r"example/(\d+\.html)", neuron)} <= many


def test_a_page_with_all_that_it_shows_is_within_its_bound(site):
    assets = sum((site / "static" / name).stat().st_size for name in PAGE_ASSETS)
    for path, page in pages_of(site).items():
        shown = {path.parent / unquote(values["src"] or "") for values in page.images}
        sheets = sum(file.stat().st_size for file in shown if file.suffix == ".webp")
        assert path.stat().st_size + sheets + assets <= MAX_PAGE_BYTES
        assert all("alt" in values for values in page.images)


def test_a_cell_shows_the_image_that_it_is_of(site, explorer):
    """The part of the sheet that is seen is what the server sends for the same image."""
    (path,) = site.rglob("*~*/0.html")
    run = path.relative_to(site).parent
    found = re.findall(
        r'<span class="cell"><img src="([^"]+)"[^>]*style="width:([\d.]+)%;left:-([\d.]+)%;top:-([\d.]+)%"',
        path.read_text(encoding="utf-8"),
    )[:5]
    served = explorer.get(f"/{run.as_posix()}/0").text
    addresses = re.findall(r'src="(/image/[^"]+)"', served)[:5]
    assert len(found) == len(addresses) == 5
    for (name, width, left, top), address in zip(found, addresses, strict=True):
        with Image.open(path.parent / name) as sheet:
            side = sheet.width * 100 / float(width)
            x, y = float(left) * side / 100, float(top) * side / 100
            seen = np.asarray(
                sheet.crop((round(x), round(y), round(x + side), round(y + side))), float
            )
        answer = explorer.get(address.replace("&amp;", "&"))
        with Image.open(io.BytesIO(answer.content)) as image:
            assert np.abs(seen - np.asarray(image, float)).mean() < 6


def test_images_can_be_blurred_or_left_out(site, tiny_warehouse, tmp_path):
    for images in ("blur", "none"):
        make(tiny_warehouse, tmp_path / images, images=images)
    assert not list((tmp_path / "none").rglob("*.webp"))
    pages = {
        name: next((tmp_path / name).rglob("*~*/0.html")).read_text() for name in ("blur", "none")
    }
    texts = {
        name: re.findall(r'(?:alt|aria-label)="([^"]+seen from[^"]*)"', page)
        for name, page in pages.items()
    }
    assert texts["none"] == texts["blur"] and texts["none"]
    for blurred in (tmp_path / "blur").rglob("?-96.webp"):
        sharp = site / blurred.relative_to(tmp_path / "blur")
        steps = []
        for path in (sharp, blurred):
            with Image.open(path) as image:
                cell = np.asarray(image.convert("L").crop((20, 20, 76, 76)), float)
            steps.append(np.abs(np.diff(cell)).mean())
        assert steps[1] < steps[0]


def test_a_list_of_neurons_may_be_a_file(site, tiny_warehouse, tmp_path):
    listed = tmp_path / "list.csv"
    listed.write_text("unit,layer\n5,goh2021\n0,goh2021\n3,goh2021\n")
    shutil.copytree(site, tmp_path / "site")
    again = make(tiny_warehouse, tmp_path / "site", neurons=str(listed), layer=None)
    assert again.fresh_count == again.job_count, "the same neurons"


@pytest.mark.parametrize(
    ("neurons", "told"),
    [("1,x", "cannot be read"), ("nothing.csv", "cannot be read"), ("99999", "has no unit 99999")],
)
def test_a_list_that_names_nothing_is_told(tiny_warehouse, tmp_path, neurons, told):
    with pytest.raises((ConfigError, WarehouseError), match=told):
        make(tiny_warehouse, tmp_path / "site", neurons=neurons)


def test_a_folder_of_other_files_is_left_alone(tiny_warehouse, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is no site that neurons site made"):
        make(tiny_warehouse, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_without_fresh_marts_there_is_no_site(tiny_warehouse, tmp_path):
    shutil.copytree(
        tiny_warehouse, tmp_path / "warehouse", ignore=lambda folder, names: {"marts"} & {*names}
    )
    with pytest.raises(WarehouseError, match="No marts are built") as told:
        make(tmp_path / "warehouse", tmp_path / "site")
    assert "neurons build" in str(told.value)
    assert not (tmp_path / "site").exists()


@pytest.mark.skipif(CHROMIUM is None, reason="apt-get install chromium")
def test_it_opens_from_the_disk_and_its_search_finds_a_concept_in_any_language(
    plain_demo, tmp_path
):
    out = tmp_path / "a site"
    make(plain_demo / "warehouse", out, dataset="demo", neurons="29,192,306")
    (neuron,) = out.rglob("*~*/29.html")
    with open_browser(tmp_path) as browser:
        for path in sorted(out.rglob("*.html")):
            browser.open(path)
            broken = (
                "[...document.images].filter((i) => i.loading != 'lazy' && !i.naturalWidth).length"
            )
            assert browser.ask(broken) == 0
            assert browser.told == [], path
        browser.open(out / "index.html")
        for asked in ("Japan", "japón", "Giappone", "29", "regio"):
            browser.ask(
                "(() => { const box = document.querySelector('[data-search]'); box.focus();"
                f" box.value = {asked!r}; box.dispatchEvent(new Event('input')); }})()"
            )
            wait_for(lambda: browser.ask("document.querySelectorAll('#suggestions a').length"))
            links = browser.ask(
                "[...document.querySelectorAll('#suggestions a')].map((a) => a.href)"
            )
            assert neuron.as_uri() in links, asked
        browser.ask("document.querySelector('#suggestions a').click()")
        is_there = "location.href.endsWith('/{}.html') && document.readyState == 'complete'"
        wait_for(lambda: browser.ask(is_there.format(29)))
        browser.press("ArrowRight")
        wait_for(lambda: browser.ask(is_there.format(192)))
        assert browser.told == []
