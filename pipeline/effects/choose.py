"""What is measured of which neuron: its maximum, its concept, another one, and the examples.

Held out are the distinct images of a run that a neuron's label does not rest on: those not among its
`label_top_k` strongest examples, from which its concept was chosen and on which it was tested. Of them the
*hidden* examples of a neuron do not show its concept. Those that are *shown* show it and are of the testing
half, which had no part in choosing it; held-out ones come first, and where there are too few, top examples
of that half follow (`held_out` says how many are not).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import duckdb

from pipeline.base.effect_settings import EffectChoice
from pipeline.base.errors import WarehouseError
from pipeline.base.settings import digest
from pipeline.warehouse.find import FoundLayer


@dataclass(frozen=True)
class NeuronPlan:
    """One neuron that is measured."""

    unit: int
    peak: float
    """Its largest activation in the run, model units; above zero."""
    concept: str | None
    """Its label; None if it has none."""
    other: str | None
    """Another tested concept, drawn at random; None if it has no label."""
    hidden: tuple[int, ...]
    """Ids of held-out examples that do not show its concept."""
    shown: tuple[int, ...]
    """Ids of examples that show it."""
    held_out: int
    """How many of those are held out."""

    @property
    def made_from(self) -> str:
        """Hash of all of it."""
        return digest(asdict(self))


@dataclass(frozen=True)
class Plan:
    """What is measured of a layer."""

    units: tuple[int, ...]
    """All that were meant."""
    neurons: tuple[NeuronPlan, ...]
    """By unit."""
    silent: tuple[int, ...]
    """Units that were meant and are never above zero: there is no maximum to set them to."""
    bare: tuple[int, ...]
    """Units that were meant and for which no example is held out."""


def tested_names(connection: duckdb.DuckDBPyConnection, dataset: str, run_id: str) -> list[str]:
    """The concepts that neurons of a run are tested for, by the word of the ``label_origins``; sorted.

    Raises:
        WarehouseError: There are fewer than two.
    """
    rows = connection.execute(
        """
        select distinct concept from tested_concepts
        cross join settings
        where dataset = $dataset and run_id = $run_id and list_contains(label_origins, origin)
        order by concept
        """,
        {"dataset": dataset, "run_id": run_id},
    ).fetchall()
    if len(rows) < 2:
        raise WarehouseError(
            f"Run {run_id!r} of {dataset!r} tests its neurons for {len(rows)} concepts.",
            "An effect is a change between two or more: its images need texts that name concepts, or be "
            "stimuli. See the view run_coverage.",
        )
    return [name for (name,) in rows]


def plan_neurons(
    connection: duckdb.DuckDBPyConnection,
    layer: FoundLayer,
    choice: EffectChoice,
    concepts: Sequence[str],
    known: Iterable[int] = (),
) -> Plan:
    """The neurons of a layer that are meant, each with its examples.

    Args:
        connection: Of ``pipeline.connect``.
        layer: Which.
        choice: Which neurons, and how many examples.
        concepts: All that are tested, sorted.
        known: Units that were asked for before, and are planned too.

    Raises:
        WarehouseError: The layer has no such unit.
    """
    where = {"dataset": layer.dataset, "run_id": layer.run_id, "layer": layer.layer}
    if wrong := [unit for unit in choice.units if not 0 <= unit < layer.unit_count]:
        raise WarehouseError(
            f"Layer {layer.layer!r} has no unit {wrong[0]}.",
            f"Its units are 0 to {layer.unit_count - 1}.",
        )
    peaks = dict(
        connection.execute(
            'select unit, "max" from neuron_stats '
            "where dataset = $dataset and run_id = $run_id and layer = $layer",
            where,
        ).fetchall()
    )
    labels = dict(
        connection.execute(
            "select unit, concept from neuron_labels where dataset = $dataset "
            "and run_id = $run_id and layer = $layer and is_labelled",
            where,
        ).fetchall()
    )
    meant = set(choice.units) or (set(labels) if choice.neurons == "labelled" else set(peaks))
    units = sorted(meant | set(known))
    examples = _Examples(connection, where, choice, {labels[u] for u in units if u in labels})
    neurons, silent, bare = [], [], []
    for unit in units:
        concept = labels.get(unit)
        hidden = examples.hidden(unit, concept)
        if not peaks.get(unit, 0.0) > 0:
            silent.append(unit)
        elif not hidden:
            bare.append(unit)
        else:
            shown, held_out = examples.shown(unit, concept)
            other = _draw_other(concepts, concept, f"{choice.seed}/{layer.layer}/{unit}")
            neurons.append(NeuronPlan(unit, peaks[unit], concept, other, hidden, shown, held_out))
    return Plan(tuple(units), tuple(neurons), tuple(silent), tuple(bare))


def _draw_other(concepts: Sequence[str], concept: str | None, key: str) -> str | None:
    if concept is None:
        return None
    rest = [name for name in concepts if name != concept]
    return rest[int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % len(rest)]


class _Examples:
    """The examples of a layer's neurons.

    All neurons take the first that will do in one order, that of a hash of the ids: so most of them share
    their hidden examples, and what lies before the layer runs once for all.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        where: dict[str, str],
        choice: EffectChoice,
        concepts: set[str],
    ) -> None:
        self._choice = choice
        run = {"dataset": where["dataset"], "run_id": where["run_id"], "seed": choice.seed}
        ((top_k,),) = connection.execute("select label_top_k from settings").fetchall()
        self._top: dict[int, set[int]] = {}
        for unit, ids in connection.execute(
            """
            select unit, list(example_id) from top_examples
            where
                dataset = $dataset and run_id = $run_id and layer = $layer
                and polarity = 'positive' and example_rank <= $top_k
            group by unit
            """,
            {**where, "top_k": top_k},
        ).fetchall():
            self._top[unit] = set(ids)
        rows = connection.execute(
            """
            select example_id from stg_distinct_images
            where dataset = $dataset and run_id = $run_id
            order by sample_priority(example_id + $seed), example_id
            limit $count
            """,
            {**run, "count": 8 * choice.hidden + top_k},
        ).fetchall()
        self._pool = [example_id for (example_id,) in rows]
        self._shows = {
            (concept, example_id)
            for concept, example_id in connection.execute(
                """
                select distinct concept, example_id from run_concepts
                cross join settings
                where
                    dataset = $dataset and run_id = $run_id
                    and list_contains(label_origins, origin)
                    and list_contains($pool::bigint[], example_id)
                """,
                {"dataset": run["dataset"], "run_id": run["run_id"], "pool": self._pool},
            ).fetchall()
        }
        self._of_concept: dict[str, list[int]] = {}
        for concept, ids in connection.execute(
            """
            with

            showing as (
                select distinct concept, example_id from run_concepts
                cross join settings
                where
                    dataset = $dataset and run_id = $run_id and half = 'testing'
                    and list_contains(label_origins, origin)
                    and list_contains($concepts::varchar[], concept)
            ),

            first as (
                select concept, example_id, sample_priority(example_id + $seed) as priority,
                from showing
                qualify
                    row_number() over (partition by concept order by priority, example_id)
                    <= $count
            )

            select concept, list(example_id order by priority, example_id) from first
            group by concept
            """,
            {**run, "concepts": sorted(concepts), "count": choice.shown + top_k},
        ).fetchall():
            self._of_concept[concept] = ids

    def hidden(self, unit: int, concept: str | None) -> tuple[int, ...]:
        top = self._top.get(unit, set())
        good = (i for i in self._pool if i not in top and (concept, i) not in self._shows)
        return tuple(i for i, _ in zip(good, range(self._choice.hidden), strict=False))

    def shown(self, unit: int, concept: str | None) -> tuple[tuple[int, ...], int]:
        top = self._top.get(unit, set())
        ids = self._of_concept.get(concept, []) if concept is not None else []
        held_out = [i for i in ids if i not in top][: self._choice.shown]
        rest = [i for i in ids if i in top][: self._choice.shown - len(held_out)]
        return (*held_out, *rest), len(held_out)
