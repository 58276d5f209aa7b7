"""What a section of the page is: a figure or table of the paper, its numbers beside those of a run.

A section is made by a function ``make_section(subject) -> Section`` in a file of its own; `sections.MAKERS`
lists them in the order of the page. It asks the views of one run, writes no HTML, and says what is missing
where the run cannot give the figure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from pipeline.base.storage import Store
from pipeline.labelling.sample import Judged
from pipeline.report.asking import Asker
from pipeline.report.thumbnails import Picture
from pipeline.warehouse.find import FoundRun

PAPER = "Goh et al. 2021"
DOI = "doi:10.23915/distill.00030"
PAPER_MODEL = "RN50x4:openai"
"""The model that the paper's numbers are of, where it does not say otherwise."""


@dataclass(frozen=True)
class Subject:
    """The run that a page is about, and where to ask."""

    ask: Asker
    """Every query has the parameters ``dataset`` and ``run_id`` of the run, and must use both."""
    run: FoundRun
    is_random: bool
    """Its weights are random: nothing was learned."""
    store: Store
    judged: Judged | None = None
    """What a person said of a sample of its neurons, if that is given."""

    @property
    def is_papers_model(self) -> bool:
        """Whether it is the model that the paper is about, downloaded or from a file set up as it."""
        return re.fullmatch(r"RN50x4(-quickgelu)?:openai(@.*)?", self.run.model_id) is not None

    def interval(self, hit_count: int, count: int) -> str:
        """Wilson's 95 % interval of a share, as `tell_interval` tells it."""
        ((low, high),) = self.ask.connection.execute(
            "select wilson_low($hits::bigint, $count::bigint), "
            "wilson_high($hits::bigint, $count::bigint)",
            {"hits": hit_count, "count": count},
        ).fetchall()
        return tell_interval(low, high)


class Row(NamedTuple):
    """A number of the paper beside ours; every field as a person reads it, empty if there is none."""

    what: str
    """What is measured."""
    published: str
    """By the paper, of its model."""
    ours: str
    """By this run, of its model."""
    of: str
    """Of how many things ours is."""
    interval: str
    """95 % interval of ours (`tell_interval`)."""
    control: str
    """What chance or the counterpart without the effect gives, with its name."""


@dataclass(frozen=True)
class Chart:
    """An inline SVG, of `report.shapes` or `report.svg`."""

    caption: str
    told: str
    """What it shows, in words, for who cannot see it."""
    svg: Markup
    width_px: int = 620
    """Its widest."""
    kind: str = "chart"


@dataclass(frozen=True)
class Table:
    """Numbers behind a chart, or a list."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float | None]]
    """Cells; numbers stand at the right and are shown with four digits, None as a dash."""
    is_folded: bool = False
    """Shown when it is asked for."""
    kind: str = "table"


@dataclass(frozen=True)
class Strip:
    """A row of images."""

    caption: str
    pictures: Sequence[Picture]
    kind: str = "strip"


Part = Chart | Table | Strip


@dataclass(frozen=True)
class Missing:
    """Why a run cannot give a figure, and what gives it."""

    why: str
    commands: Sequence[str]
    """As they are typed; one after the other."""


@dataclass(frozen=True)
class Section:
    """A figure or table of the paper, on a run."""

    id: str
    """Its anchor on the page: lower case and hyphens."""
    title: str
    figure: str
    """Which figure, table or section of the paper."""
    told: Sequence[str] = ()
    """What is compared here, and what is not the same as in the paper; a paragraph each."""
    rows: Sequence[Row] = ()
    """The numbers, published beside ours; may stand beside `missing`, with ours empty."""
    parts: Sequence[Part] = ()
    sql: Sequence[str] = ()
    """The queries that the numbers come from, with their parameters (`page.spell_out` fills them in)."""
    missing: Missing | None = None

    @property
    def summary(self) -> str:
        """Its first number beside the paper's, on a line; or that the run cannot give it."""
        if self.missing is not None:
            return "not from this run"
        if not self.rows:
            return "drawn"
        first = self.rows[0]
        published = f" (published: {first.published})" if first.published else ""
        return f"{first.what}: {first.ours}{published}"


def tell_share(hit_count: int, count: int) -> str:
    """A share, as "41 of 42 (97.6 %)"."""
    return f"{hit_count:,} of {count:,}" + (f" ({hit_count / count:.1%})" if count else "")


def tell_percent(frac: float | None) -> str:
    """A share in percent; a dash for none."""
    return "–" if frac is None else f"{frac:.1%}"


def tell_interval(low: float | None, high: float | None) -> str:
    """The ends of an interval of a share, in percent; a dash for none."""
    return "–" if low is None or high is None else f"{100 * low:.1f}–{100 * high:.1f}%"
