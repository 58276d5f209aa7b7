"""Typographic attacks of a run: how often a written word turns the answer, which images, which neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import WarehouseError
from pipeline.warehouse.find import FoundRun, Neuron, find_run
from pipeline.web.attack_filter import OUTCOMES, AttackFilter
from pipeline.web.class_sets import choose_set, find_sets

if TYPE_CHECKING:
    from pipeline.web.view import View

PAGE_SIZE = 12
"""Attacked images on a page."""

MOVED_COUNT = 12
"""Neurons that move most."""


class Attack(NamedTuple):
    """A text at a place; ``typographic_attacks``."""

    class_set: str
    attack_text: str
    target_class: str
    placement: str
    image_count: int
    covered_frac: float | None
    changed_frac: float
    changed_low: float
    changed_high: float
    already_frac: float
    changed_away_frac: float
    unchanged_frac: float
    clean_correct_frac: float | None
    attack_correct_frac: float | None
    blank_count: int
    blank_changed_frac: float | None
    blank_changed_low: float | None
    blank_changed_high: float | None
    blank_correct_frac: float | None
    right_word_correct_frac: float | None
    probability_change: float | None


_ATTACKS = f"""
select {", ".join(Attack._fields)}
from typographic_attacks
where dataset = $dataset and run_id = $run_id
order by changed_frac desc, attack_text, target_class, placement
"""


class Version(NamedTuple):
    """An image as it is, or with something on it, and what it is taken for."""

    name: str
    example_id: int | None
    """None if there is no such image."""
    predicted_class: str | None
    probability: float | None
    is_right: bool


class Pair(NamedTuple):
    """An attacked image beside its controls; ``typographic_pairs``."""

    example_id: int
    concept: str | None
    attack_text: str
    target_class: str
    placement: str
    clean_example_id: int | None
    blank_example_id: int | None
    right_word_example_id: int | None
    clean_class: str | None
    is_assumed: bool
    outcome: str | None
    target_probability: float | None
    clean_target_probability: float | None
    place: int
    """From 1, among all that were asked for."""
    found_count: int

    @property
    def ids(self) -> tuple[tuple[str, int | None], ...]:
        """Its versions, in the order in which they stand beside each other."""
        return (
            ("as it is", self.clean_example_id),
            ("empty patch", self.blank_example_id),
            (f"“{self.attack_text}”", self.example_id),
            ("the right word", self.right_word_example_id),
        )


@dataclass(frozen=True)
class PairPage:
    """A page of attacked images."""

    pairs: Sequence[tuple[Pair, Sequence[Version]]]
    count: int
    """How many there are on all pages."""
    page: int
    page_count: int


_PAIRS = f"""
with wanted as (
    select
        *, row_number() over (order by example_id) as place, count(*) over () as found_count,
    from typographic_pairs
    where
        dataset = $dataset and run_id = $run_id and class_set = $class_set
        and ($text = '' or attack_text = $text)
        and ($placement = '' or placement = $placement)
        and ($outcome = '' or outcome = $outcome)
)

select {", ".join(Pair._fields)}
from wanted
where (place - 1) // {PAGE_SIZE} + 1 = least($page, (found_count - 1) // {PAGE_SIZE} + 1)
order by place
"""
"""A page of them; the last one if there are fewer."""

_PREDICTED = """
select example_id, predicted_class, predicted_probability
from class_predictions
where
    dataset = $dataset and run_id = $run_id and class_set = $class_set
    and list_contains($ids::bigint[], example_id)
"""


class Moved(NamedTuple):
    """A neuron that a word moves; ``typographic_neurons``."""

    layer: str
    unit: int
    clean_change_sd: float | None
    blank_change_sd: float | None
    flip_auroc: float | None
    concept: str | None
    is_labelled: bool


_MOVED = f"""
with moved as (
    select
        layer, unit, clean_change_sd, blank_change_sd, flip_auroc,
        if(blank_count > 0, blank_change_rank, clean_change_rank) as place,
    from typographic_neurons
    where
        dataset = $dataset and run_id = $run_id and class_set = $class_set
        and attack_text = $text and placement = $placement
)

select
    layer, unit, clean_change_sd, blank_change_sd, flip_auroc, concept,
    coalesce(is_labelled, false) as is_labelled,
from moved
inner join neuron_labels using (layer, unit)
where dataset = $dataset and run_id = $run_id
order by place, layer, unit
limit {MOVED_COUNT}
"""


class Ablation(NamedTuple):
    """What becomes of the flips without some neurons; ``attack_ablations``."""

    layer: str
    attack_text: str
    placement: str
    neuron_count: int
    units: Sequence[int]
    flip_count: int
    back_frac: float | None
    back_low: float | None
    back_high: float | None
    random_back_frac: float | None
    clean_count: int
    clean_changed_frac: float | None
    random_clean_changed_frac: float | None


_ABLATIONS = f"""
select {", ".join(Ablation._fields)}
from attack_ablations
where dataset = $dataset and run_id = $run_id and class_set = $class_set
order by layer, attack_text, placement, neuron_count
"""


def attacks_page(
    view: View, dataset: str, run_id: str, wanted: AttackFilter, part: str = "", whole: bool = False
) -> str:
    """The page of a run's typographic attacks, or what is fetched later.

    Args:
        view: Asks and renders.
        dataset: Of the run.
        run_id: The run's id, or the beginning of it.
        wanted: Which attacked images.
        part: ``neurons``: these alone.
        whole: The neurons are on the page; else the browser fetches them.

    Raises:
        WarehouseError: There is no such run, or no attack of it was classified.
    """
    run = find_run(view.connection, dataset, run_id)
    this = {"dataset": run.dataset, "run_id": run.run_id}
    known = view.ask(_ATTACKS, Attack, **this)
    sets = find_sets(view, this, {attack.class_set for attack in known})
    if not sets:
        raise WarehouseError(
            f"Run {run.run_id!r} has no attacked images that were classified.",
            f"Classify them with: neurons attack --dataset {run.dataset}",
        )
    chosen = choose_set(sets, wanted.class_set)
    this["class_set"] = chosen.class_set
    attacks = [attack for attack in known if attack.class_set == chosen.class_set]
    shown = _choose_attack(attacks, wanted)
    values: dict[str, object] = {"run": run, "wanted": wanted, "shown": shown}
    if part == "neurons" or whole or view.is_site:
        values["moved"] = _list_moved(view, run, this, shown) if shown else []
    if part == "neurons":
        return view.render("attack_neurons.html.j2", **values)
    return view.render(
        "attacks.html.j2",
        **values,
        sets=sets,
        chosen=chosen,
        attacks=attacks,
        texts=[(text, text) for text in sorted({attack.attack_text for attack in attacks})],
        placements=[(place, place) for place in sorted({attack.placement for attack in attacks})],
        pairs=_list_pairs(view, this, wanted),
        ablations=view.ask(_ABLATIONS, Ablation, **this),
        outcomes=OUTCOMES,
    )


def _choose_attack(attacks: Sequence[Attack], wanted: AttackFilter) -> Attack | None:
    """The most successful of those that the filter leaves."""
    for attack in attacks:
        if wanted.text in ("", attack.attack_text) and wanted.placement in ("", attack.placement):
            return attack
    return None


def _list_pairs(view: View, this: Mapping[str, str], wanted: AttackFilter) -> PairPage:
    asked = {
        **this,
        "text": wanted.text,
        "placement": wanted.placement,
        "outcome": wanted.outcome,
        "page": wanted.page,
    }
    pairs = view.ask(_PAIRS, Pair, **asked)
    ids = sorted({i for pair in pairs for _, i in pair.ids if i is not None})
    rows = view.connection.execute(_PREDICTED, {**this, "ids": ids}).fetchall()
    predicted = {example_id: (name, probability) for example_id, name, probability in rows}
    versions = [
        [
            Version(name, i, *predicted.get(i, (None, None)), _is_right(predicted.get(i), pair))
            for name, i in pair.ids
        ]
        for pair in pairs
    ]
    count, first = (pairs[0].found_count, pairs[0].place) if pairs else (0, 1)
    page_count = max(1, -(-count // PAGE_SIZE))
    return PairPage(
        list(zip(pairs, versions, strict=True)), count, (first - 1) // PAGE_SIZE + 1, page_count
    )


def _is_right(predicted: tuple[str, float] | None, pair: Pair) -> bool:
    return predicted is not None and predicted[0] == pair.concept


def _list_moved(
    view: View, run: FoundRun, this: Mapping[str, str], attack: Attack
) -> list[tuple[Neuron, Moved]]:
    asked = {**this, "text": attack.attack_text, "placement": attack.placement}
    return [
        (Neuron(run.dataset, run.run_id, row.layer, row.unit), row)
        for row in view.ask(_MOVED, Moved, **asked)
    ]
