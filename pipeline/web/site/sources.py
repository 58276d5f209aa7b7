"""The page that says where the images of a site come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline.web.sources import DRAWINGS

if TYPE_CHECKING:
    from pipeline.web.site.work import Plan
    from pipeline.web.view import View


class Origin(NamedTuple):
    """A dataset."""

    dataset: str
    sources: list[str]
    """Layouts that its images came in."""
    image_count: int
    attributed_count: int
    addressed_count: int
    drawing_sets: list[str]

    @property
    def drawn_by(self) -> list[str]:
        """Who drew its pictures."""
        names = (DRAWINGS.get(name, f"drawings: {name}") for name in self.drawing_sets)
        return list(dict.fromkeys(names))


_ORIGINS = """
with attributed as (
    select dataset, count(distinct example_id) as attributed_count
    from stg_texts
    where text_kind = 'attribution'
    group by dataset
),

drawn as (
    select dataset, list(distinct drawing_set order by drawing_set) as drawing_sets
    from stimuli
    where drawing_set is not null
    group by dataset
),

brought as (
    select dataset, list(distinct source order by source) as sources
    from shards
    group by dataset
)

select
    examples.dataset, any_value(sources) as sources, count(*) as image_count,
    coalesce(any_value(attributed_count), 0) as attributed_count,
    count(source_url) as addressed_count,
    coalesce(any_value(drawing_sets), []) as drawing_sets,
from examples
left join brought using (dataset)
left join attributed using (dataset)
left join drawn using (dataset)
where list_contains($datasets, examples.dataset)
group by examples.dataset
order by examples.dataset
"""


def sources_page(view: View, plan: Plan) -> str:
    """The page.

    Args:
        view: Asks and renders.
        plan: Of the site.
    """
    origins = view.ask(_ORIGINS, Origin, datasets=plan.chosen.datasets)
    return view.render(
        "images.html.j2", origins=origins, shown=plan.images, page_count=plan.example_count
    )
