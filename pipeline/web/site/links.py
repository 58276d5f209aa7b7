"""Addresses of a site's files, as seen from one of its pages.

What has no page has no address: an empty one, which `finish` takes away. The address of an image names a
cell of a sheet that the page has with it, and `finish` shows that part of the sheet alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from urllib.parse import quote

from pipeline.report.peaks import InImage
from pipeline.warehouse.find import Neuron
from pipeline.web.links import Links, name_dataset, read_dataset
from pipeline.web.site.choose import Chosen, Place
from pipeline.web.site.linked import Linked, Run
from pipeline.web.site.sheets import Sheets, Shown

_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]*")
_LISTS = {"view": {"table": "table"}, "sort": {"unit": "by-unit"}}
"""What of a list's filter a site has, and how its files are called."""

_LEADS_NOWHERE = re.compile(r' (?:href|data-up)=""|\s+hx-[a-z-]+="[^"]*"')
_CELL = re.compile(r'<img src="([^"#]*)#cell=(\d+),(\d+),(\d+),(\d+)"')


class SiteLinks(Links):
    """Addresses relative to one page."""

    def __init__(
        self, chosen: Chosen, linked: Linked, page: str, pages: Collection[str], sheets: Sheets
    ) -> None:
        """Args:
        chosen: The neurons that have pages.
        linked: The concepts and images that have.
        page: The file that they are seen from, relative to the site.
        pages: Other files that the site has.
        sheets: Take the images that the page asks for.
        """
        self._chosen, self._linked = chosen, linked
        self._pages, self._sheets = pages, sheets
        self.root = "../" * page.count("/")

    def page(self, *parts: str, **query: str | int | float | None) -> str:  # noqa: D102
        path = self._file(parts, {k: v for k, v in query.items() if v is not None})
        return f"{self.root}{quote(path, safe='/~')}" if path else ""

    def asset(self, name: str) -> str:  # noqa: D102
        return f"{self.root}static/{name}"

    def image(  # noqa: D102
        self, dataset: str, example_id: int, size_px: int, ring: tuple[float, float] | None = None
    ) -> str:
        peak = None if ring is None else InImage(*ring)
        return self._sheets.place(size_px, [Shown(dataset, example_id, peak)])

    def strip(self, neuron: Neuron, count: int) -> str:  # noqa: D102
        return self._sheets.place_strip(neuron, count)

    def has_run(self, dataset: str, run_id: str) -> bool:  # noqa: D102
        return (dataset, run_id) in self._chosen.runs

    def neighbours(self, neuron: Neuron, unit_count: int) -> tuple[int, int]:  # noqa: D102
        units = self._chosen.units[Place(neuron.dataset, neuron.run_id, neuron.layer)]
        at = units.index(neuron.unit)
        return units[at - 1], units[(at + 1) % len(units)]

    def _file(self, parts: tuple[str, ...], query: dict[str, str | int | float]) -> str:
        """The file of a page, relative to the site; empty if there is none."""
        if not parts:
            return "" if query else "index.html"
        path = "/".join(map(name_file, parts))
        if f"{path}.html" in self._pages and not query:
            return f"{path}.html"
        return self._file_of_run(parts, path, query)

    def _file_of_run(
        self, parts: tuple[str, ...], path: str, query: dict[str, str | int | float]
    ) -> str:
        if len(parts) < 2 or not self.has_run(read_dataset(parts[0]), parts[1]):
            return ""
        dataset, run_id, *more = read_dataset(parts[0]), *parts[1:]
        if not more:
            return "" if query else f"{path}/index.html"
        if not query and self._is_linked((dataset, run_id), more):
            return f"{path}.html"
        place = Place(dataset, run_id, more[0])
        if place not in self._chosen.units:
            return ""
        if len(more) == 1:
            name = name_list(query)
            return f"{path}/{name}" if name else ""
        if len(more) > 2 or query or Neuron(*place, int(more[1])) not in self._chosen:
            return ""
        return f"{path}.html"

    def _is_linked(self, run: Run, more: Sequence[str]) -> bool:
        """Whether it is the page of a concept, a category or an image that has one."""
        match more:
            case ["concept", category, concept]:
                return (category, concept) in self._linked.concepts.get(run, ())
            case ["category", category]:
                return self._linked.has_category(run, category)
            case ["example", example_id]:
                return int(example_id) in self._linked.examples.get(run, ())
        return False


def name_list(query: dict[str, str | int | float]) -> str:
    """The file of a list of neurons in the folder of its layer; empty for one that a site has not."""
    page = query.get("page", 1)
    given = {name: value for name, value in query.items() if name != "page"}
    words = [names.get(str(given.get(name)), "") for name, names in _LISTS.items() if name in given]
    if not all(words) or given.keys() - _LISTS.keys():
        return ""
    parts = [*words, *([str(page)] if page != 1 else [])]
    return f"{'-'.join(parts) or 'index'}.html" if words or page == 1 else f"page-{page}.html"


def name_file(part: str) -> str:
    """A part of an address as the name of a file or folder, on any system.

    Colons are ``~``. Other letters than small ones, which some systems take for the same as the large ones,
    have a hash after them that no other name has.
    """
    text = part.replace(":", "~")
    plain = text.replace("~", "-").removeprefix("-")
    if _PLAIN.fullmatch(plain) and not text.endswith("."):
        return text
    mark = hashlib.sha256(part.encode()).hexdigest()[:6]
    return f"{re.sub(r'[^A-Za-z0-9._~-]+', '_', text)[:80].strip('.')}-{mark}"


def name_place(place: Place) -> str:
    """The folder of a layer's pages."""
    return name_page(place.dataset, place.run_id, place.layer)


def name_page(dataset: str, *parts: str) -> str:
    """A page of a dataset as a file, without its ending; or a folder."""
    return "/".join(map(name_file, (name_dataset(dataset), *parts)))


def finish(html: str) -> str:
    """A page as it is written: without links that lead nowhere, and images as cells of their sheets.

    An image is the sheet in a box that shows one cell of it: so it has its alternative text, and is printed.
    """
    html = _LEADS_NOWHERE.sub("", html)
    parts = _CELL.split(html)
    drawn = [parts[0]]
    for at in range(1, len(parts), 6):
        source, *numbers, rest = parts[at : at + 6]
        column, row, width, columns = map(int, numbers)
        attributes, _, after = rest.partition(">")
        if source:
            style = f"width:{_percent(columns, width)};left:-{_percent(column, width)};top:-{row * 100}%"
            picture = f'<img src="{source}"{_without_size(attributes)} style="{style}">'
        else:
            alt = re.search(r' alt="[^"]*"', attributes)
            text = alt.group().replace(" alt=", " aria-label=") if alt else ""
            picture = (
                f'<span role="img"{text}></span>'
                if text.count('"') and text != ' aria-label=""'
                else ""
            )
        drawn.append(f'<span class="cell"{_ratio(width)}>{picture}</span>{after}')
    return "".join(drawn)


def _without_size(attributes: str) -> str:
    """The box has a size."""
    return re.sub(r' (?:width|height)="\d+"', "", attributes)


def _ratio(width: int) -> str:
    return f' style="aspect-ratio:{width}"' if width != 1 else ""


def _percent(cells: int, of: int) -> str:
    return f"{100 * cells / of:.6g}%"
