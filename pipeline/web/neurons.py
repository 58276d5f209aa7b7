"""Neurons of a layer, or chosen ones, as a list: a page of what is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.warehouse.find import Neuron
from pipeline.web.meanings import typed_key
from pipeline.web.neuron_filter import COLUMNS, Filter

if TYPE_CHECKING:
    from pipeline.web.view import View

PAGE_SIZE = 48
"""Neurons on a page."""


@dataclass(frozen=True)
class NeuronRow:
    """A neuron in a list."""

    dataset: str
    run_id: str
    layer: str
    unit: int
    concept: str | None
    category: str | None
    is_labelled: bool
    reason: str | None
    score: float | None
    q_value: float | None
    margin: float | None
    agreement: int | None
    supported_count: int | None
    measured_count: int | None
    multimodality_index: float | None
    clarity: float | None
    polysemanticity: float | None
    active_frac: float
    max_sd: float | None
    skewness: float | None
    kurtosis: float | None
    sparsity: float | None

    @property
    def neuron(self) -> Neuron:
        """Which it is."""
        return Neuron(self.dataset, self.run_id, self.layer, self.unit)


@dataclass(frozen=True)
class NeuronPage:
    """A page of the list."""

    rows: tuple[NeuronRow, ...]
    count: int
    """How many there are on all pages."""
    page: int
    page_count: int


NEURONS = """
with tested as (
    select
        layer, unit,
        arg_max(multimodality_index, facet_origin = 'stimulus') as multimodality_index,
    from neuron_multimodality
    where
        dataset = $dataset and run_id = $run_id and is_label
        and multimodality_index is not null
    group by layer, unit
),

clear as (
    select layer, unit, clarity, polysemanticity
    from neuron_clarity
    where dataset = $dataset and run_id = $run_id
),

measured as (
    select
        layer, unit, active_frac, max / nullif(sd, 0) as max_sd, skewness, kurtosis, sparsity
    from neuron_stats
    where dataset = $dataset and run_id = $run_id
)

select
    dataset, run_id, layer, unit, concept, category, is_labelled, reason, score, q_value, margin,
    agreement, supported_count, measured_count, multimodality_index, clarity, polysemanticity,
    active_frac, max_sd, skewness, kurtosis, sparsity,
from neuron_labels
inner join measured using (layer, unit)
left join tested using (layer, unit)
left join clear using (layer, unit)
where dataset = $dataset and run_id = $run_id
"""
"""All neurons of a run, as `NeuronRow`."""

_WANTED = {
    "q": """(
        contains(lower(concept), lower(trim($q))) or contains(lower(category), lower(trim($q)))
        or (category, concept) in (
            select (category, concept) from label_phrases where contains(phrase_key, $typed)
        )
        or unit::varchar = trim($q)
    )""",
    "category": "category = $category",
    "concept": "concept = $concept",
    "labelled": "is_labelled = ($labelled = 'yes')",
    "support": "supported_count >= $support",
    "agreement": "agreement >= $agreement",
    "index": "multimodality_index >= $index",
    "clarity": "clarity >= $clarity",
}
"""What each field of `Filter` asks of a neuron, if it is not the default."""

_KEY = "dataset, run_id, layer, unit"

_CONVINCING = """
    is_labelled desc, if(measured_count > 0, supported_count, null) desc nulls last,
    agreement desc nulls last, multimodality_index desc nulls last, score desc nulls last,
    dataset, run_id, layer, unit
"""


class _Found:
    """A row of a list, and how many rows there are without the page."""

    def __init__(self, found_count: int, **fields: Any) -> None:
        self.found_count = found_count
        self.row = NeuronRow(**fields)


@dataclass(frozen=True)
class Among:
    """The neurons that a list is of, before what is asked for."""

    query: str
    """Rows as `NeuronRow`."""
    parameters: Mapping[str, object]


def of_layer(dataset: str, run_id: str, layer: str) -> Among:
    """All neurons of a layer.

    Args:
        dataset: Of the run.
        run_id: The run.
        layer: Canonical name.
    """
    this = {"dataset": dataset, "run_id": run_id, "layer": layer}
    return Among(f"select * from ({NEURONS}) where layer = $layer", this)


def list_neurons(view: View, among: Among, wanted: Filter, size: int = PAGE_SIZE) -> NeuronPage:
    """A page of a list.

    Args:
        view: Asks.
        among: The neurons that it is of.
        wanted: Which of them, in which order, which page.
        size: Neurons on a page.
    """
    order = _CONVINCING
    if wanted.sort != "convincing":
        order = f"{COLUMNS[wanted.sort][3]} {wanted.direction} nulls last, {_KEY}"
    asked: dict[str, object] = {
        name: value for name, value in wanted.query().items() if name in _WANTED
    }
    where = " and ".join(_WANTED[name] for name in asked) or "true"
    if "q" in asked:
        # A number is a unit: many a phrase has a word that begins with a digit.
        is_number = wanted.q.strip().isdigit()
        asked["typed"] = None if is_number else typed_key(view.connection, wanted.q)
    found = view.ask(
        f"""
        select *, count(*) over () as found_count
        from ({among.query})
        where {where}
        order by {order}
        limit {size} offset $skipped
        """,
        _Found,
        **among.parameters,
        **asked,
        skipped=(wanted.page - 1) * size,
    )
    if not found and wanted.page > 1:  # beyond the last
        first = list_neurons(view, among, replace(wanted, page=1), size)
        return list_neurons(view, among, replace(wanted, page=max(1, first.page_count)), size)
    count = found[0].found_count if found else 0
    rows = tuple(one.row for one in found)
    return NeuronPage(rows, count, wanted.page, max(1, -(-count // size)))


def read_neurons(
    view: View, dataset: str, run_id: str, layer: str, units: Sequence[int]
) -> list[NeuronRow]:
    """Some neurons of a layer, as lists show them.

    Args:
        view: Asks.
        dataset: Of the run.
        run_id: The run.
        layer: Canonical name.
        units: Which.
    """
    return view.ask(
        f"select * from ({NEURONS}) where layer = $layer and list_contains($units::integer[], unit)",
        NeuronRow,
        dataset=dataset,
        run_id=run_id,
        layer=layer,
        units=list(units),
    )


def list_labelled(
    view: View, dataset: str, run_id: str, category: str, concept: str | None, count: int
) -> NeuronPage:
    """The most convincing neurons of a run that stand for a concept, or for any of a category.

    Args:
        view: Asks.
        dataset: Of the run.
        run_id: The run.
        category: Of the label.
        concept: Of the label; None for any.
        count: How many, at most; the page says how many there are.
    """
    this = {"dataset": dataset, "run_id": run_id, "category": category, "concept": concept}
    where = "is_labelled and category = $category and coalesce(concept = $concept, true)"
    ((found,),) = view.connection.execute(
        f"""
        select count(*) from neuron_labels
        where dataset = $dataset and run_id = $run_id and {where}
        """,
        this,
    ).fetchall()
    rows = view.ask(
        f"select * from ({NEURONS}) where {where} order by {_CONVINCING} limit {count}",
        NeuronRow,
        **this,
    )
    return NeuronPage(tuple(rows), found, 1, 1)
