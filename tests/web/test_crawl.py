"""From the first page on, every link leads somewhere, and no page shows what only a program would say."""

from __future__ import annotations

import random
import re
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import urldefrag, urlsplit

import pytest
from conftest import explore

from pipeline.web.links import RESERVED

pytestmark = pytest.mark.slow
EACH = 3
"""Addresses of each kind that are followed."""
_LINKS = (("a", "href"), ("img", "src"), ("link", "href"), ("script", "src"), ("form", "action"))
_NAMED = ("example", "concept", "category", "attacks", "stroop")
_SAID_BY_PROGRAMS = re.compile(
    r"\b(None(?!: | of | computed: )|undefined|NaN|nan)\b|\[object Object\]"
)
"""Sentences that say that there is none are no such."""


class Page(HTMLParser):
    """What a page shows and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self._hidden = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style", "svg")
        for name, value in attributes:
            if name == "id" and value:
                self.ids.append(value)
            if value and ((tag, name) in _LINKS or name == "hx-get"):
                self.links.append(value)
            if value and name in ("alt", "title", "aria-label", "placeholder", "data-tip"):
                self.words.append(value)

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style", "svg")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


def kind_of(address: str) -> tuple[str, bool]:
    """Addresses of one kind are answered by one page; with a query it is asked for something else."""
    split = urlsplit(address)
    parts = split.path.strip("/").split("/")
    name = parts[0]
    if name not in RESERVED:
        named = [part for part in parts[2:3] if part in _NAMED]
        name = named[0] if named else str(min(len(parts), 4))
    return name, bool(split.query)


def crawl(client, seed: int) -> Counter[tuple[str, bool]]:
    """Follow links from the first page, some of each kind.

    Returns:
        How many of each kind were followed.
    """
    draw = random.Random(seed)
    followed: Counter[tuple[str, bool]] = Counter()
    waiting, seen = ["/"], {"/"}
    while waiting:
        address = waiting.pop(draw.randrange(len(waiting)))
        if followed[kind_of(address)] >= EACH:
            continue
        followed[kind_of(address)] += 1
        answer = client.get(address)
        assert answer.status_code == 200, f"{address}: {answer.status_code} {answer.text[:300]}"
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        page = Page(answer.text)
        said = " ".join(page.words)
        found = _SAID_BY_PROGRAMS.search(said)
        assert not found, f"{address}: …{said[max(0, found.start() - 60) : found.end() + 60]}…"
        assert len(page.ids) == len(set(page.ids)), f"{address}: an id stands twice"
        for link in page.links:
            assert not urlsplit(link).netloc and ":" not in link.split("/")[0], f"{address}: {link}"
            target = urldefrag(link).url
            if target and target not in seen:
                seen.add(target)
                waiting.append(target)
    return followed


def test_every_link_of_the_demo_leads_somewhere(plain_demo, tmp_path):
    followed = crawl(explore(plain_demo / "warehouse", tmp_path), seed=1)
    assert {*_NAMED, "compare"} <= {name for name, _ in followed}
    assert sum(followed.values()) > 30


def test_every_link_of_strange_texts_leads_somewhere(strange):
    followed = crawl(strange, seed=2)
    assert followed["concept", False] == EACH
