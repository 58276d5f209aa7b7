"""What a page is made with: a cursor to ask, addresses to link to, templates to fill."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pipeline import __version__
from pipeline.base.display import show
from pipeline.report import label_words, support_words, words
from pipeline.report.asking import Asker, Row
from pipeline.warehouse.layer_axes import AXES
from pipeline.web import glossary, sql_of
from pipeline.web.chosen import Chosen
from pipeline.web.links import Links

if TYPE_CHECKING:
    import duckdb

ASSETS = {
    "app.css": "text/css",
    "app.js": "text/javascript",
    "console.css": "text/css",
    "console.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "labels.css": "text/css",
    "labels.js": "text/javascript",
    "list.js": "text/javascript",
    "map.css": "text/css",
    "map.js": "text/javascript",
    "search.js": "text/javascript",
    "site.css": "text/css",
    "site.js": "text/javascript",
}
"""Files of ours that pages load, and what they are."""


@dataclass(frozen=True)
class View:
    """What a page is made with; the same pages come from a server and stand in a site."""

    connection: duckdb.DuckDBPyConnection
    """A cursor of its own."""
    links: Links
    notice: str | None = None
    """What every page says at its top: that marts are stale."""
    is_site: bool = False
    """Files without a server: what needs one is not offered."""
    is_embedded: bool = False
    """In a frame of another page: nothing to go elsewhere with."""

    def render(self, template: str, **values: Any) -> str:
        """A page or a part of one.

        Args:
            template: Its name, of this room or of the reports'.
            values: What it names. Charts are ``markupsafe.Markup``; all other text is escaped.
        """
        return fill(template, view=self, links=self.links, **values)

    def ask(self, query: str, kind: Callable[..., Row], **parameters: object) -> list[Row]:
        """The rows of an answer, in its order.

        Args:
            query: Its columns are the fields of the record.
            kind: What makes a record of them.
            parameters: That the query names.
        """
        return Asker(self.connection, {})(query, kind, **parameters)


def fill(template: str, **values: Any) -> str:
    """A template of this room or of the reports'; see `View.render`."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader(
            [
                PackageLoader("pipeline.web", "templates"),
                PackageLoader("pipeline.report", "templates"),
            ]
        ),
        autoescape=True,
        finalize=_show,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        words=words,
        label_words=label_words,
        support_words=support_words,
        axes=AXES,
        explain=glossary.explain,
        tip=glossary.tip,
        list_text=lambda neuron: Chosen((neuron,)).text,
        fill_sql=sql_of.fill,
    )
    environment.filters.update(
        exact=escape,
        count=_count,
        number=words.describe_number,
        percent=_percent,
        q=words.describe_q,
        lines=show_text,
    )
    return environment


def _show(value: object) -> object:
    """Text of users without what turns a line around or is seen by nobody; markup is ours."""
    return show(value) if type(value) is str else value


def show_text(text: str) -> Markup:
    """Text of several lines, each as `show` makes it; a tab is four spaces."""
    lines = text.replace("\r\n", "\n").expandtabs(4).split("\n")
    return Markup("\n").join(escape(show(line)) for line in lines)


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _percent(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


@cache
def read_asset(name: str) -> bytes:
    """A file of ours.

    Args:
        name: One of `ASSETS`.
    """
    return (resources.files("pipeline.web") / "static" / name).read_bytes()


@cache
def assets_version() -> str:
    """Changes when a file of ours does."""
    digest = hashlib.sha256(__version__.encode())
    for name in ASSETS:
        digest.update(read_asset(name))
    return digest.hexdigest()[:10]
