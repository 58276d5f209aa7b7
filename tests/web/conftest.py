"""The explorer over a small warehouse, asked in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient
from strange_world import make_strange_warehouse
from textures import WORDS

from pipeline.web.app import make_app
from pipeline.web.console import Console
from pipeline.web.door import Door
from pipeline.web.guard import LOOPBACK
from pipeline.web.thumbs import Thumbnails


@pytest.fixture(scope="session")
def explorer(tiny_warehouse: Path, tmp_path_factory) -> TestClient:
    """A client of the explorer over `tiny_warehouse`."""
    return explore(tiny_warehouse, tmp_path_factory.mktemp("thumbnails"))


@pytest.fixture(scope="session")
def strange_warehouse(tmp_path_factory) -> Path:
    """Two runs over images with texts and concepts in every script, and with markup in them."""
    return make_strange_warehouse(tmp_path_factory.mktemp("strange"))


@pytest.fixture(scope="session")
def strange(strange_warehouse: Path, tmp_path_factory) -> TestClient:
    """A client of the explorer over `strange_warehouse`."""
    return explore(strange_warehouse, tmp_path_factory.mktemp("strange-thumbnails"))


def explore(warehouse: Path, thumbnails: Path) -> TestClient:
    """A client of the explorer over a warehouse.

    Args:
        warehouse: Its folder.
        thumbnails: Where small images are kept.
    """
    door = Door(str(warehouse))
    console = Console(str(warehouse), limit_s=300)  # the machine may be busy
    app = make_app(door, LOOPBACK, Thumbnails(door.store, thumbnails), console)
    return TestClient(app, base_url="http://127.0.0.1:8600")


@pytest.fixture(scope="session")
def planted_door(tiny_warehouse: Path) -> Door:
    """The same warehouse, whose neurons are said to stand for what is in its captions.

    Unit u of each layer has the label ``WORDS[u % 5]``, if u is less than 20.
    """
    door = Door(str(tiny_warehouse))
    door.connection.execute(
        f"""
        create table planted as
        select
            labels.* replace (
                names.concept as concept, names.category as category, unit < 20 as is_labelled,
                if(unit < 20, 1 - unit / 100, null) as score
            )
        from neuron_labels as labels
        inner join (
            select distinct concept, category, list_position({list(WORDS)}, concept) - 1 as place
            from lexicon where concept in {WORDS} and rule is null
        ) as names on labels.unit % {len(WORDS)} = names.place;
        create or replace view neuron_labels as from planted
        """
    )
    return door


@pytest.fixture(scope="session")
def planted(planted_door: Door, tmp_path_factory) -> TestClient:
    """A client of the explorer over `planted_door`."""
    thumbnails = Thumbnails(planted_door.store, tmp_path_factory.mktemp("thumbnails"))
    app = make_app(planted_door, LOOPBACK, thumbnails)
    return TestClient(app, base_url="http://127.0.0.1:8600")


@pytest.fixture(scope="session")
def run(explorer: TestClient) -> str:
    """The address of its one run."""
    (address,) = {
        link.rsplit("/", 1)[0]
        for link in find_links(explorer.get("/").text)
        if link.count("/") == 3
    }
    return address


def find_links(page: str) -> list[str]:
    """Addresses that a page leads to."""
    from html.parser import HTMLParser

    found: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            found.extend(
                value for name, value in attributes
                if value and ((tag, name) == ("a", "href") or name == "hx-get")
            )  # fmt: skip

    Links().feed(page)
    return found
