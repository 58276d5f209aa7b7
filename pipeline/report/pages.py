"""Pages: one self-contained HTML file from a template; everything from users' data is escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from pipeline.base.display import show
from pipeline.base.page_policy import page_policy
from pipeline.report.thumbnails import Picture, encode_webp

if TYPE_CHECKING:
    from jinja2 import Environment


_PAGE = "page.html.j2"
"""What all templates extend."""


def render_page(template: str, values: Mapping[str, Any]) -> str:
    """A page from one of the templates beside this file.

    Args:
        template: Its name.
        values: What it names. Charts are ``markupsafe.Markup``; all other text is escaped.
    """
    environment = _environment()
    loader = environment.loader
    assert loader is not None
    ours = "".join(loader.get_source(environment, name)[0] for name in (_PAGE, template))
    return environment.get_template(template).render({**values, "policy": page_policy(ours)})


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pipeline.report", "templates"),
        autoescape=True,
        finalize=_show,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = data_uri
    return environment


def _show(value: object) -> object:
    """Text of users without what turns a line around or is seen by nobody; markup is ours."""
    return show(value) if type(value) is str else value


def data_uri(picture: Picture) -> str:
    """A picture as the address of itself."""
    return "data:image/webp;base64," + base64.b64encode(encode_webp(picture.image)).decode()
