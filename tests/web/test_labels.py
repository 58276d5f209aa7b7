"""Labels by people in the browser: blind, saved at once as an import would, and only if that was asked for."""

from __future__ import annotations

import csv
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.routing import Mount
from starlette.testclient import TestClient

from pipeline.base.display import show
from pipeline.base.errors import ConfigError
from pipeline.base.explore_settings import ExploreOptions
from pipeline.base.question_settings import SheetOptions
from pipeline.base.storage import Store
from pipeline.labelling.files import read_labels
from pipeline.labelling.read_back import import_labels
from pipeline.labelling.said import PersonsLabels
from pipeline.labelling.sheet import draw_sheet, export_sheet
from pipeline.upkeep.check import check, run_violations
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import Neuron, find_neuron
from pipeline.web.app import make_app
from pipeline.web.door import Door
from pipeline.web.guard import LOOPBACK
from pipeline.web.server import explore as serve
from pipeline.web.thumbs import Thumbnails

LAYER = "visual.layer4.0.act3:input:max"
HERE = {"Origin": "http://127.0.0.1:8600"}
FEW = SheetOptions(per_bin=1)
EVIL = "<script>alert(1)</script>\"' onfocus=alert(1) \u202e\u200b & {{7*7}} =cmd()"


@pytest.fixture
def place(tiny_warehouse, tmp_path) -> Path:
    """A copy of the small warehouse that a test may write labels into."""
    return Path(shutil.copytree(tiny_warehouse, tmp_path / "warehouse"))


def explore(place: Path, thumbnails: Path, labeller: str) -> TestClient:
    """A client of an explorer that saves what somebody says."""
    door = Door(str(place))
    app = make_app(door, LOOPBACK, Thumbnails(door.store, thumbnails), labeller=labeller)
    return TestClient(app, base_url="http://127.0.0.1:8600")


@pytest.fixture
def client(place, tmp_path) -> TestClient:
    """An explorer that saves what Ann says."""
    return explore(place, tmp_path / "thumbnails", labeller="ann")


@pytest.fixture
def neuron(place) -> Neuron:
    with connect(place) as connection:
        ((unit,),) = connection.execute(
            "select unit from neuron_samples where layer = $layer "
            "group by unit order by count(distinct sd_bin) desc, unit limit 1",
            {"layer": LAYER},
        ).fetchall()
        return find_neuron(connection, LAYER, unit)


def address_of(neuron: Neuron) -> str:
    return f"/labels/{neuron.dataset}/{neuron.run_id}/{neuron.layer}/{neuron.unit}"


class Form(HTMLParser):
    """What a browser makes of the page: its fields, buttons, links and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.words: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append((tag, given))
        if tag == "input" and given.get("name") in ("sheet", "item", "label", "note"):
            self.fields[given["name"]] = given.get("value") or ""
        if tag == "button" and given.get("name") == "word":
            self.words.append(given["value"])
        if tag == "a":
            self.links.append(given.get("href") or "")


def say(client: TestClient, address: str, item: int | None = None, **fields: str) -> str:
    """Open the page as a person would, answer, and follow: the address that comes next."""
    page = client.get(address if item is None else f"{address}&item={item}")
    assert page.status_code == 200, page.text
    form = Form(page.text)
    answer = client.post(
        page.url.path + (f"?{page.url.query.decode()}" if page.url.query else ""),
        data=form.fields | fields,
        headers=HERE,
        follow_redirects=False,
    )
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def read(place: Path, neuron: Neuron, labeller: str = "ann") -> dict[int, tuple[str, str]]:
    said = PersonsLabels(Store(place), neuron, labeller).read()
    return {one: (each.label, each.note) for one, each in said.items()}


def draw(place: Path, neuron: Neuron, options: SheetOptions = FEW) -> tuple[int, ...]:
    with connect(place) as connection:
        return draw_sheet(connection, neuron, options).example_ids


def test_answers_are_what_an_import_of_them_would_write(client, place, neuron, tmp_path):
    address = f"{address_of(neuron)}?per_bin=1"
    words, count = ("stripes", "none", 'a "dot", red'), len(draw(place, neuron))
    with connect(place) as connection:
        export_sheet(connection, Store(place), neuron, tmp_path / "sheet", FEW)
    key = json.loads((tmp_path / "sheet/sheet.json").read_text())
    path = tmp_path / "sheet/labels.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row |= {"label": words[number % 3], "note": "" if number % 2 else "blurred"}
        assert Form(client.get(address).text).fields["item"] == row["item"], "the sheet's order"
        button = {"word": row["label"]} if number % 3 == 1 else {"label": row["label"]}
        address = say(client, address, **button, note=row["note"])
    assert len(rows) == count == len(read(place, neuron))
    assert "item" not in address
    assert f"All {count} images are labelled" in client.get(address).text
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    by_example = {i["example_id"]: rows[i["item"] - 1] for i in key["items"]}
    assert read(place, neuron) == {
        one: (row["label"], row["note"]) for one, row in by_example.items()
    }
    with connect(place) as connection:
        labels = read_labels(tmp_path / "sheet")
        same = import_labels(connection, Store(place), neuron, labels, "ann")
        assert same.was_current and same.imported_count == count
        import_labels(connection, Store(place), neuron, labels, "bob")
    with connect(place) as connection:
        ours, theirs = (
            connection.execute(
                "select * exclude (labeller, labelled_at) from human_labels where labeller = $who "
                "order by all",
                {"who": who},
            ).fetchall()
            for who in ("ann", "bob")
        )
    assert ours == theirs and len(ours) == count
    assert run_violations(check(place)) == 0


def test_the_page_tells_nothing_of_strength_or_label(client, place, neuron):
    with connect(place) as connection:
        concepts = connection.execute(
            "select distinct concept from neuron_labels where concept is not null"
        ).fetchall()
        captions = connection.execute("select text from texts").fetchall()
    for item in (1, 2, len(draw(place, neuron))):
        page = client.get(f"{address_of(neuron)}?per_bin=1&item={item}").text
        body = page[page.index('<main id="main">') : page.index("</main>")]
        assert not re.search(r"activation|AUROC|\bSD\b|\brank", body)
        assert not any(text in page for (text,) in captions)
        told = re.sub(r'"/[^"]*"', "", body)
        assert not any(re.search(rf"\b{re.escape(c)}\b", told) for (c,) in concepts)
        alts = [given.get("alt") for tag, given in Form(body).tags if tag == "img"]
        assert alts == [f"Image {item}", ""]
        assert neuron.layer not in told


def test_it_goes_on_where_it_was_and_answers_are_changed_or_taken_back(
    client, place, neuron, tmp_path
):
    address, ids = f"{address_of(neuron)}?per_bin=1", draw(place, neuron)
    say(client, address, item=2, label="cat")
    assert say(client, address, label="dog") == f"{address}&item=3", "the second is answered"
    again = explore(place, tmp_path / "thumbnails", labeller="ann")
    page = again.get(address).text
    assert Form(page).fields["item"] == "3", "nothing was lost with the process"
    skip = next(given["href"] for _, given in Form(page).tags if "data-skip" in given)
    assert skip == f"{address_of(neuron)}?item=4&per_bin=1"
    first = again.get(f"{address}&item=1").text
    assert Form(first).fields["label"] == "dog"
    say(again, address, item=1, label="wolf", note="far away")
    assert read(place, neuron) == {ids[0]: ("wolf", "far away"), ids[1]: ("cat", "")}
    assert say(again, address, item=3, label="  ").endswith("item=4"), "an empty answer skips"
    say(again, address, item=1, label="")
    say(again, address, item=2, label="")
    assert read(place, neuron) == {}
    with connect(place) as connection:
        assert connection.execute("from human_labels").fetchall() == []
    assert run_violations(check(place)) == 0
    other = explore(place, tmp_path / "thumbnails", labeller="bob")
    assert Form(other.get(address).text).fields["item"] == "1"


def test_two_tabs_and_old_connections_do_no_harm(client, place, neuron):
    address, ids = f"{address_of(neuron)}?per_bin=1", draw(place, neuron)
    say(client, address, item=1, label="first")
    client.post("/again", headers=HERE)
    with connect(place) as connection:
        pages = [client.get(f"{address}&item={item}").text for item in range(1, len(ids) + 1)]
        forms = [Form(page).fields for page in pages]

        def send(form):
            return client.post(address, data=form, headers=HERE, follow_redirects=False).status_code

        todo = [form | {"label": f"tab {tab}"} for form in forms for tab in (1, 2)]
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(send, todo)) == {303}
        said = read(place, neuron)
        assert set(said) == set(ids), "no answer was lost, none is there twice"
        assert {label for label, _ in said.values()} <= {"tab 1", "tab 2"}
        send(forms[0] | {"label": "last"})
        assert read(place, neuron)[ids[0]] == ("last", "")
        assert connection.execute("select category from human_labels").fetchall() == [("first",)]
        assert client.get(f"/labels/{neuron.dataset}/{neuron.run_id}").text.count("unit ") == 1
    before = sorted(place.rglob("human_labels/**/*.parquet"))
    send(forms[0] | {"label": "last"})
    assert sorted(place.rglob("human_labels/**/*.parquet")) == before, (
        "the same again writes nothing"
    )
    client.post("/again", headers=HERE)
    send(forms[0] | {"label": "later"})
    assert len(list(place.rglob("human_labels/**/*.parquet"))) == 2, "old tables are cleared away"


def test_a_save_that_is_killed_leaves_what_was_there(client, place, neuron, monkeypatch):
    """At every step of the writing: the table, the record's copy, the record."""
    address, ids = f"{address_of(neuron)}?per_bin=1", draw(place, neuron)
    say(client, address, item=1, label="kept")
    form = Form(client.get(f"{address}&item=2").text).fields | {"label": "new"}
    real, count = Store.write_with, 0

    class Killed(BaseException):
        pass

    for at in (1, 2, 3):

        def write(self, rel, fill, at=at):
            nonlocal count
            count += 1
            if count == at:
                raise Killed
            return real(self, rel, fill)

        count = 0
        monkeypatch.setattr(Store, "write_with", write)
        with pytest.raises(Killed):
            client.post(address, data=form, headers=HERE)
        monkeypatch.setattr(Store, "write_with", real)
        assert read(place, neuron) == {ids[0]: ("kept", "")}
    assert client.post(address, data=form, headers=HERE).status_code == 200
    assert read(place, neuron) == {ids[0]: ("kept", ""), ids[1]: ("new", "")}
    assert run_violations(check(place)) == 0


def test_hostile_words_are_saved_as_they_are_and_shown(client, place, neuron):
    address, ids = f"{address_of(neuron)}?per_bin=1", draw(place, neuron)
    say(client, address, item=1, label=EVIL, note="two\r\nlines\x00\x1b[2J")
    assert read(place, neuron)[ids[0]] == (EVIL, "two lines [2J")
    pages = [client.get(f"{address}&item={item}").text for item in (1, 2)]
    assert Form(pages[0]).fields["label"] == EVIL, "sent again it is the same"
    say(client, address, item=1)
    assert read(place, neuron)[ids[0]] == (EVIL, "two lines [2J")
    assert Form(pages[1]).words == ["none", EVIL], "words are offered at once"
    client.post("/again", headers=HERE)
    pages += [client.get(f"/labels/{neuron.dataset}/{neuron.run_id}").text]
    for page in pages:
        form = Form(page)
        assert not any(name.startswith("on") for _, given in form.tags for name in given)
        sources = [given.get("src") or "" for tag, given in form.tags if tag == "script"]
        assert all(source.startswith("/static/") for source in sources)
        assert "49" not in re.findall(r"\{\{(.*?)\}\}", page)
    assert show(EVIL) in re.sub(r"&#34;|&#39;|&lt;|&gt;|&amp;", _unescape, pages[2])
    assert "\u202e" not in pages[2]


def _unescape(found: re.Match[str]) -> str:
    return {"&#34;": '"', "&#39;": "'", "&lt;": "<", "&gt;": ">", "&amp;": "&"}[found[0]]


def test_wrong_forms_save_nothing(client, place, neuron):
    address = f"{address_of(neuron)}?per_bin=1"
    form = Form(client.get(address).text).fields | {"label": "cat"}
    assert client.post(address, data=form).status_code == 403, "no Origin"
    assert client.post(address, data=form, headers={"Origin": "null"}).status_code == 403
    assert client.post(address, data=form, headers={"Origin": "http://x"}).status_code == 403
    for change, words in (
        ({"sheet": "another"}, "drawn anew"), ({"item": "0"}, "drawn anew"),
        ({"item": "999"}, "drawn anew"), ({"item": "-1"}, "item="), ({"item": ""}, "item="),
        ({"label": "x" * 201}, "201 letters"), ({"note": "x" * 1001}, "1,001 letters"),
        ({"note": "x" * 40_000}, "32,768 bytes"),
    ):  # fmt: skip
        answer = client.post(address, data=form | change, headers=HERE)
        assert answer.status_code == 400 and words in answer.text, change
    assert client.post(address_of(neuron), data=form, headers=HERE).status_code == 400, (
        "other sheet"
    )
    nowhere = address.replace(f"/{neuron.unit}?", "/99999?")
    assert client.post(nowhere, data=form, headers=HERE).status_code == 404
    named = client.post(address, data=form | {"labeller": "eve"}, headers=HERE)
    assert named.status_code == 200
    assert read(place, neuron, "eve") == {} and len(read(place, neuron)) == 1
    assert client.get(f"{address_of(neuron)}?per_bin=0").status_code == 400
    assert client.get(f"{address_of(neuron)}?seed=x").status_code == 400


def test_a_list_leads_from_neuron_to_neuron(client, place, neuron):
    with connect(place) as connection:
        ((other,),) = connection.execute(
            "select min(unit) from neuron_samples where layer = $layer and unit != $unit",
            {"layer": LAYER, "unit": neuron.unit},
        ).fetchall()
    units = sorted((neuron.unit, other))
    text = f"{neuron.dataset}/{neuron.run_id}/{LAYER}:{units[0]},{units[1]}"
    query = {"list": text, "name": "mine", "per_bin": 1}
    seen = []
    for _ in range(200):
        page = client.get("/labels", params=query)
        if not page.url.path.endswith(tuple(f"/{unit}" for unit in units)):
            break
        seen.append(int(page.url.path.rpartition("/")[2]))
        assert f"neuron {units.index(seen[-1]) + 1} of 2 of mine" in page.text
        say(client, f"{page.url.path}?{page.url.query.decode()}", word="none")
    assert seen == sorted(seen) and set(seen) == set(units)
    assert page.url.path == f"/labels/{neuron.dataset}/{neuron.run_id}"
    finished = client.get(address_of(neuron), params=query).text
    assert "Go on with the list" in finished


def test_the_result_says_what_people_say_beside_the_label(client, place, neuron, tmp_path):
    result = f"/labels/{neuron.dataset}/{neuron.run_id}"
    assert "Nobody has said anything" in client.get(result).text
    with connect(place) as connection:
        sheet = draw_sheet(connection, neuron, FEW)
        strength = dict(
            connection.execute(
                "select example_id, activation from neuron_samples "
                "where layer = $layer and unit = $unit",
                {"layer": LAYER, "unit": neuron.unit},
            ).fetchall()
        )
    order = sorted(sheet.example_ids, key=lambda one: (-strength[one], one))
    address = f"{address_of(neuron)}?per_bin=1"
    bob = explore(place, tmp_path / "thumbnails", labeller="bob")
    for item, one in enumerate(sheet.example_ids, 1):
        say(client, address, item=item, label="Strong" if one in order[:2] else "none")
        say(bob, address, item=item, label="strong" if one in order[:1] else "none")
    told = client.get(result).text
    assert f"<b>{2 * len(order)}</b> answers are newer than what pages show" in told
    assert "Strong" not in told
    (form,) = (given for tag, given in Form(told).tags if given.get("class") == "newer")
    opened = client.post(form["action"], headers=HERE)
    assert opened.url.path == result and "newer than" not in opened.text
    rows = re.findall(r"<tr>.*?</tr>", opened.text, re.DOTALL)[1:]
    flat = [re.sub(r"<[^>]*>|\s+", " ", row) for row in rows]
    most = min(len(order), 10)
    assert len(flat) == 2
    assert re.search(rf" ann .* {len(order)} .* Strong +2 of {most} .* 1\.00", flat[0])
    assert re.search(rf" bob .* strong +1 of {most} .* 1\.00", flat[1])
    assert all(f" {len(order) - 1} of {len(order)} " in row for row in flat)
    assert f'href="/{neuron.dataset}/{neuron.run_id}/{LAYER}/{neuron.unit}"' in opened.text
    assert client.get(f"{result}/{LAYER}").text.count("<tr>") == 3
    assert client.get(f"{result}/nothing").status_code == 404
    assert ">2<" in client.get("/labels").text
    panel = client.get(f"{address_of(neuron).removeprefix('/labels')}?panel=probability")
    assert panel.status_code == 200 and "Strong" in panel.text
    for back in ("//evil.example", "/\\evil.example", "http://evil.example", "evil"):
        answer = client.post("/again", params={"back": back}, headers=HERE, follow_redirects=False)
        assert answer.headers["location"] == "/"


WRITING = {("POST", "/again"), ("POST", "/search"), ("POST", "/api/sql")}
"""None of these writes into the warehouse."""


def list_writing(routes, before: str = "") -> set[tuple[str, str]]:
    """Method and address of all that is not only read."""
    found = set()
    for route in routes:
        if isinstance(route, Mount):
            found |= list_writing(route.routes, before + route.path)
        else:
            methods = getattr(route, "methods", None) or ()
            found |= {(method, before + route.path) for method in methods}
    return {(method, path) for method, path in found if method not in ("GET", "HEAD")}


def test_without_write_nothing_writes(explorer, neuron, tiny_warehouse):
    assert list_writing(explorer.app.routes) == WRITING
    address = address_of(neuron)
    page = explorer.get(address)
    assert page.status_code == 200 and "neurons explore --write --labeller NAME" in page.text
    assert 'method="post"' not in page.text
    assert explorer.post(address, data={"label": "cat"}, headers=HERE).status_code == 405
    assert "--write --labeller NAME" in explorer.get("/labels").text
    assert not list(tiny_warehouse.rglob("human_labels"))


def test_with_write_one_route_more_is_there(client):
    more = {("POST", "/labels/{dataset}/{run_id}/{layer}/{unit}")}
    assert list_writing(client.app.routes) == WRITING | more


def test_who_labels_must_be_said(tiny_warehouse):
    for options, words in (
        (ExploreOptions(write=True, port=0), "--write --labeller NAME"),
        (ExploreOptions(write=True, labeller="  ", port=0), "--write --labeller NAME"),
        (ExploreOptions(labeller="ann", port=0), "Add --write"),
    ):
        with pytest.raises(ConfigError, match=words):
            serve(str(tiny_warehouse), options)
    for name in ("two\nlines", "x" * 101):
        with pytest.raises(ConfigError, match="labeller"):
            ExploreOptions(write=True, labeller=name)
