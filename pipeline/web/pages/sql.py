"""The SQL console: a query, its answer as table and chart, the data dictionary beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from markupsafe import Markup

from pipeline.base.errors import ConfigError
from pipeline.warehouse.find import Neuron
from pipeline.warehouse.headers import View as Relation
from pipeline.warehouse.views import TOPICS, load_views
from pipeline.web.console import CSV_ROWS, LIMIT_S, SHOWN_ROWS
from pipeline.web.query_chart import KINDS, ChartKind, draw_answer, is_number
from pipeline.web.view import View, fill

if TYPE_CHECKING:
    from pipeline.web.console import SqlAnswer

CELL_CHARS = 300
"""Of a value in the table; CSV has all of it."""

EXAMPLES = (
    ("What neurons are labelled",
     "select category, count(*) as neuron_count\nfrom neuron_labels\nwhere is_labelled\n"
     "group by category\norder by neuron_count desc"),
    ("Labels that independent scores support most",
     "select dataset, run_id, layer, unit, concept, category, score, supported_count\n"
     "from neuron_labels\nwhere is_labelled\norder by supported_count desc, score desc\nlimit 20"),
    ("Neurons that are rarely active, and how strongly",
     "select dataset, run_id, layer, unit, active_frac, max / nullif(sd, 0) as max_sd\n"
     "from neuron_stats\norder by active_frac"),
    ("What a view has", "describe neuron_labels"),
)  # fmt: skip
"""To begin with: what it answers, and the query."""


@dataclass(frozen=True)
class Asked:
    """What the address says."""

    query: str = ""
    chart: str = ""
    """One of `KINDS`, or empty for none."""
    x: str = ""
    """Column of names or of numbers."""
    y: str = ""
    """Column of numbers."""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Self:
        """What an address says.

        Raises:
            ConfigError: There is no such chart.
        """
        asked = cls(
            query=query.get("query", "").replace("\r\n", "\n").strip(),
            chart=query.get("chart", ""),
            x=query.get("x", ""),
            y=query.get("y", ""),
        )
        if asked.chart and asked.chart not in KINDS:
            raise ConfigError(
                f"The address says chart={asked.chart!r}.", f"Charts are: {', '.join(KINDS)}."
            )
        return asked

    def parameters(self, **changes: str) -> dict[str, str]:
        """For an address."""
        return {name: value for name, value in (asdict(self) | changes).items() if value}


class Cell(NamedTuple):
    """A value in the table."""

    text: str
    is_number: bool
    href: str | None = None
    """Where it leads: a neuron or an example."""
    image: str | None = None


def sql_page(
    view: View, asked: Asked, answer: SqlAnswer | None, problem: ConfigError | None, is_held: bool
) -> str:
    """The page.

    Args:
        view: Renders.
        asked: What is asked for.
        answer: Of its query, if it was run.
        problem: Why there is none.
        is_held: Another site's page led here: the query waits for a click.
    """
    chart: Markup | None = None
    if answer is not None and asked.chart:
        x, y = _choose_columns(asked, answer)
        try:
            chart = draw_answer(answer, cast(ChartKind, asked.chart), x, y)
        except ConfigError as error:
            problem = error
    return view.render(
        "sql.html.j2",
        asked=asked,
        answer=answer,
        rows=_list_cells(view, answer) if answer else [],
        numeric=_list_numeric(answer) if answer else [],
        chart=chart,
        chosen=_choose_columns(asked, answer) if answer else ("", ""),
        problem=problem,
        is_held=is_held,
        kinds=KINDS,
        examples=EXAMPLES,
        dictionary=_write_dictionary(),
        limit_s=LIMIT_S,
        shown_rows=SHOWN_ROWS,
        csv_rows=CSV_ROWS,
    )


@cache
def _write_dictionary() -> Markup:
    """The dictionary's part of the page: the same for every warehouse."""
    return Markup(fill("dictionary.html.j2", topics=list_relations()))


def list_relations() -> tuple[tuple[str, str, tuple[Relation, ...]], ...]:
    """The data dictionary: topic, what it is about, its views by name."""
    views = sorted(load_views(), key=lambda view: view.name)
    return tuple(
        (topic, about, tuple(view for view in views if view.topic == topic))
        for topic, about in TOPICS.items()
    )


def _list_numeric(answer: SqlAnswer) -> list[str]:
    """Columns that have numbers."""
    return [
        name
        for index, name in enumerate(answer.names)
        if any(is_number(row[index]) for row in answer.rows)
    ]


def _choose_columns(asked: Asked, answer: SqlAnswer) -> tuple[str, str]:
    """Those that are asked for; by default names and the first numbers that are none of a neuron."""
    numeric = _list_numeric(answer)
    measured = [name for name in numeric if name not in ("unit", "example_id")] or numeric
    y = asked.y or (measured or answer.names)[-1]
    others = [name for name in answer.names if name != y]
    x = asked.x or (others[0] if others else y)
    return x, y


def _list_cells(view: View, answer: SqlAnswer) -> list[list[Cell]]:
    """The table; what is a neuron or an example in it leads there."""
    place = dict(_only_run(view)) | dict(answer.place)
    index = {name: at for at, name in reversed(list(enumerate(answer.names)))}
    return [_row_cells(view, answer, row, place, index) for row in answer.rows]


def _row_cells(
    view: View,
    answer: SqlAnswer,
    row: Sequence[Any],
    place: Mapping[str, str],
    index: Mapping[str, int],
) -> list[Cell]:
    told = {name: row[at] for name, at in index.items()}
    here = {**place, **told}
    dataset, run_id, layer = (here.get(name) for name in ("dataset", "run_id", "layer"))
    cells = []
    for name, value in zip(answer.names, row, strict=True):
        href, image = None, None
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if is_whole and isinstance(dataset, str) and isinstance(run_id, str):
            if name == "unit" and isinstance(layer, str):
                href = view.links.neuron(Neuron(dataset, run_id, layer, value))
            elif name == "example_id":
                href = view.links.example(dataset, run_id, value)
                image = view.links.image(dataset, value, 48)
        cells.append(Cell(_show_value(value), is_number(value), href, image))
    return cells


def _only_run(view: View) -> list[tuple[str, str]]:
    """Dataset and run, where the warehouse has one."""
    rows = view.connection.execute("select dataset, run_id from runs limit 2").fetchall()
    return list(zip(("dataset", "run_id"), rows[0], strict=True)) if len(rows) == 1 else []


def _show_value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
    return text if len(text) <= CELL_CHARS else text[: CELL_CHARS - 1] + "…"
