"""What data and addresses may hold is shown on pages and never run, and leads to no file."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from pipeline.base.display import show
from pipeline.web.app import make_app
from pipeline.web.console import Console
from pipeline.web.door import Door
from pipeline.web.guard import LOOPBACK
from pipeline.web.thumbs import Thumbnails

pytestmark = pytest.mark.slow

EVIL = (
    "<x-evil>\"' onload=alert(1) <script>alert(1)</script> </textarea></script>{{7777*3}} "
    "\x1b]0;OWNED\x07\u202egnp\u2066 &lt;x-evil&gt; javascript:alert(1)"
)
"""Markup, ends of what it stands in, a template's marks, what terminals obey, what turns a line around."""

PAGES = 60
"""Of each kind of address a few are enough."""

HERE = {"Origin": "http://127.0.0.1:8600"}


@pytest.fixture(scope="module")
def evil(tiny_warehouse, tmp_path_factory):
    """A client of a warehouse in which all that data may name is hostile."""
    door = Door(str(tiny_warehouse))
    for view, columns in (
        ("neuron_labels", ("concept", "category", "runner_up")),
        ("texts", ("text", "page_title")),
        ("primary_texts", ("text",)),
        ("examples", ("shard_key", "source_url", "shard")),
    ):
        named = ", ".join(f"$evil as {name}" for name in columns)
        labelled = ", true as is_labelled" if view == "neuron_labels" else ""
        door.connection.execute(
            f"create table evil_{view} as select * replace ({named}{labelled}) from {view}",
            {"evil": EVIL},
        )
        door.connection.execute(f"create or replace view {view} as from evil_{view}")
    thumbnails = Thumbnails(door.store, tmp_path_factory.mktemp("thumbnails"))
    console = Console(str(tiny_warehouse), limit_s=300)  # the machine may be busy
    app = make_app(door, LOOPBACK, thumbnails, console)
    return TestClient(app, base_url="http://127.0.0.1:8600")


class Page(HTMLParser):
    """What a browser would make of a page, as far as it could run something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.links: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self._in_script = tag == "script"
        if tag in ("x-evil", "iframe", "object", "embed", "base"):
            self.found.append(f"<{tag}>")
        if tag == "script" and not (given.get("src") or "").startswith("/static/"):
            self.found.append("a script that is not ours")
        for name, value in attributes:
            if name.startswith("on"):
                self.found.append(f"{tag} {name}")
            if name in ("href", "src", "action", "hx-get", "hx-post", "formaction") and value:
                if value.startswith(("/", "#")) and not value.startswith("//"):
                    self.links.append(value.partition("#")[0])
                elif not value.startswith(("https://", "http://", "data:image/")):
                    self.found.append(f"{tag} {name}={value}")

    def handle_data(self, data):
        if self._in_script and data.strip():
            self.found.append("text in a script")

    def handle_endtag(self, tag):
        self._in_script = False


def is_shown(text: str) -> bool:
    """Whether nothing in it is obeyed by a terminal or turns a line around."""
    return "\n".join(map(show, text.split("\n"))) == text


def test_no_page_runs_what_data_or_an_address_says(evil):
    start = ["/", "/words", "/sql", "/api"]
    start += [
        f"/sql?query={quote(text)}" for text in (f"select '{EVIL.replace(chr(39), '')}' as x", EVIL)
    ]
    start += [f"/{name}?q={quote(EVIL)}" for name in ("search",)]
    start += [f"/{quote(EVIL, safe='')}", f"/x/{quote(EVIL, safe='')}/y/0", f"/?{quote(EVIL)}"]
    todo, seen, kinds, count = list(start), set(start), {}, 0
    while todo and count < PAGES:
        address = todo.pop(0)
        answer = evil.get(address)
        assert answer.status_code < 500, address
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        count += 1
        page = Page(answer.text)
        assert not page.found, (address, page.found)
        assert is_shown(answer.text), address
        assert "23331" not in answer.text, "a template within the data"
        for link in page.links:
            kind = (
                link.count("/"),
                link.partition("?")[0].rpartition("/")[0],
                link.partition("?")[2][:6],
            )
            kinds[kind] = kinds.get(kind, 0) + 1
            if link not in seen and kinds[kind] <= 3 and not link.startswith("/static"):
                seen.add(link)
                todo.append(link)
    assert count > 15


def test_what_is_hostile_is_shown(evil):
    seen = "&lt;x-evil&gt;&#34;&#39; onload=alert(1)"
    assert seen in evil.get(f"/sql?query={quote('select ' + EVIL)}").text
    (run,) = {
        link for link in Page(evil.get("/").text).links if link.count("/") == 2 and "?" not in link
    }
    assert seen in evil.get(run).text


def test_json_and_csv_are_exact_and_no_pages(evil):
    found = evil.get("/api/runs").json()[0]
    layer = quote(found["layers"][0]["layer"], safe="")
    address = f"/api/neurons/{found['dataset']}/{found['run_id']}/{layer}"
    answer = evil.get(address)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["neurons"][0]["concept"] == EVIL
    csv = evil.get("/sql.csv", params={"query": "select '<x-evil>' as n"})
    assert csv.headers["content-type"].startswith("text/csv")
    assert csv.headers["content-disposition"].startswith("attachment")
    assert csv.headers["x-content-type-options"] == "nosniff"
    query = "select '=cmd()' as \"@a\", -1 as b, '＋1' as c, [-1] as d"
    assert (
        evil.get("/sql.csv", params={"query": query}).text
        == "'@a,b,c,d\r\n'=cmd(),-1,'＋1,[-1]\r\n"
    )


OPENED: list[str] = []
_watch = {"is_on": False}


def _note(event: str, arguments: tuple) -> None:
    if _watch["is_on"] and event in ("open", "os.listdir", "os.scandir"):
        OPENED.append(str(arguments[0]))


sys.addaudithook(_note)


@contextmanager
def watching():
    """Notes every file and folder that Python opens meanwhile."""
    OPENED.clear()
    _watch["is_on"] = True
    try:
        yield OPENED
    finally:
        _watch["is_on"] = False


PARTS = st.one_of(
    st.sampled_from(
        ["..", ".", "...", "../..", "..\\..", "/etc/passwd", "../../../../etc/passwd", "%2e%2e", "%2e%2e%2f",
         "%252e%252e", "~", "~..", "\0", "a\0b", "C:\\x", "file:///etc/passwd", "warehouse://views.sql", "-1",
         "99999999999999999999999", "1e9", " ", "'", "';drop view x;--", "$dataset", EVIL]
    ),
    st.text(max_size=8),
)  # fmt: skip


def _addresses(routes, prefix=""):
    """Every route that takes parts of its address from whoever asks."""
    for route in routes:
        if isinstance(route, Mount):
            yield from _addresses(route.routes, prefix + route.path)
        elif isinstance(route, Route) and "{" in route.path and "GET" in (route.methods or ()):
            yield prefix + route.path


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_part_of_an_address_leads_to_a_file(evil, data):
    path = data.draw(st.sampled_from(sorted(_addresses(evil.app.routes))))
    parts = iter(data.draw(st.lists(PARTS, min_size=6, max_size=6)))
    raw = data.draw(st.booleans())
    pieces = []
    for piece in path.split("/"):
        if "{" in piece:
            given, _, rest = next(parts), *piece.partition("}")[1:]
            pieces.append(
                (
                    given
                    if raw and given.isascii() and given.isprintable()
                    else quote(given, safe="")
                )
                + rest
            )
        else:
            pieces.append(piece)
    address = "/".join(pieces).replace("#", "%23").replace("?", "%3F")
    with watching() as opened:
        answer = evil.get("/" + address.lstrip("/"), follow_redirects=False)
    assert answer.status_code < 500, address
    assert "root:" not in answer.text
    assert not [
        name for name in opened if "passwd" in name or ".." in name or name.startswith("/proc")
    ]
    if answer.status_code == 200:
        assert answer.headers["content-type"].startswith(
            ("text/html", "application/json", "image/webp")
        )
