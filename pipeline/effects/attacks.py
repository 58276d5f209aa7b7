"""The typographic attacks of a run: which neurons each moves most, and the images that these are tried on.

To choose neurons by images and then try them on the same ones would be circular. So the images fall into two
halves, by a hash of the image without a patch: how much neurons move is read on one half, and what is tried
is of the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import NamedTuple

import duckdb

from pipeline.base.effect_settings import AblationConfig
from pipeline.base.errors import WarehouseError
from pipeline.base.settings import digest
from pipeline.warehouse.find import FoundLayer


class ClassSet(NamedTuple):
    """What attacked images of a run were classified with."""

    name: str
    classes: tuple[str, ...]
    templates: tuple[str, ...]


class Pair(NamedTuple):
    """An attacked image."""

    attack: tuple[str, str, str]
    """Text, its class, placement."""
    example_id: int
    clean_id: int | None
    """The image without a patch."""
    control_id: int | None
    """With the same patch left blank; where there is none, without a patch."""
    clean_class: str
    is_flip: bool
    """The attack turns it into the text's class."""
    is_chooser: bool
    """It is of the half that neurons are chosen by."""


@dataclass(frozen=True)
class AttackPlan:
    """One attack: what is set to 0, and on which images."""

    attack_text: str
    target_class: str
    placement: str
    chosen_count: int
    """Attacked images that the neurons are chosen by."""
    units: tuple[int, ...]
    """The neurons that rise most, first those that do more."""
    flipped: tuple[tuple[int, str], ...]
    """Images of the other half that it flips, and what each is taken for without it."""
    clean: tuple[int, ...]
    """Images of that half without a patch."""

    @property
    def made_from(self) -> str:
        """Hash of all of it."""
        return digest(asdict(self))


def find_class_sets(
    connection: duckdb.DuckDBPyConnection, config: AblationConfig
) -> list[ClassSet]:
    """The class sets that are meant and hold an attack, by name.

    Raises:
        WarehouseError: There is none.
    """
    rows = connection.execute(
        """
        select class_set, classes, templates from class_sets
        semi join typographic_pairs using (dataset, run_id, class_set)
        where dataset = $dataset and run_id = $run_id
        order by class_set
        """,
        {"dataset": config.dataset, "run_id": config.run},
    ).fetchall()
    found = [ClassSet(name, tuple(classes), tuple(prompts)) for name, classes, prompts in rows]
    if not found:
        raise WarehouseError(
            f"Run {config.run!r} of {config.dataset!r} has no typographic attack.",
            "Classify attacked images first: neurons stimuli typographic --help makes them, then neurons "
            f"attack --dataset {config.dataset}.",
        )
    meant = [one for one in found if config.class_set in ("", one.name)]
    if not meant:
        raise WarehouseError(
            f"Run {config.run!r} of {config.dataset!r} has no attack in a class set {config.class_set!r}.",
            f"Class sets that hold one: {', '.join(one.name for one in found)}.",
        )
    return meant


def plan_attacks(
    connection: duckdb.DuckDBPyConnection,
    layer: FoundLayer,
    class_set: str,
    config: AblationConfig,
) -> tuple[list[AttackPlan], int]:
    """The attacks that can be tried, by text, class and placement; and how many others there are: they flip no
    image of the half that is tried, or there are too few neurons to choose from.

    Args:
        connection: Of ``pipeline.connect``.
        layer: Whose neurons.
        class_set: One that holds attacks.
        config: How many neurons and images.
    """
    pairs = read_pairs(connection, layer, class_set, config.seed)
    tried = [pair for pair in pairs if not pair.is_chooser]
    clean_ids = dict.fromkeys(pair.clean_id for pair in tried if pair.clean_id is not None)
    clean = tuple(clean_ids)[: config.images]
    plans, idle = [], 0
    for attack in sorted({pair.attack for pair in pairs}):
        mine = [pair for pair in pairs if pair.attack == attack]
        choosers = [p for p in mine if p.is_chooser and p.control_id is not None]
        flips = [(p.example_id, p.clean_class) for p in mine if p.is_flip and not p.is_chooser]
        units = _rank_units(connection, layer, choosers, max(config.counts)) if flips else ()
        if len(units) >= min(config.counts):
            some = tuple(flips[: config.images])
            plans.append(AttackPlan(*attack, len(choosers), units, some, clean))
        else:
            idle += 1
    return plans, idle


def read_pairs(
    connection: duckdb.DuckDBPyConnection, layer: FoundLayer, class_set: str, seed: int
) -> list[Pair]:
    """The attacked images of a class set that have an outcome, in the order of a hash: the first ones are any.

    Args:
        connection: Of ``pipeline.connect``.
        layer: Of which run.
        class_set: Its name.
        seed: Of the halves and the order.
    """
    rows = connection.execute(
        """
        with

        pairs as (
            select
                *,
                sample_priority(coalesce(clean_example_id, example_id) + $seed) as priority,
            from typographic_pairs
            where
                dataset = $dataset and run_id = $run_id and class_set = $class_set
                and outcome is not null
        )

        select
            attack_text, target_class, placement, example_id, clean_example_id,
            coalesce(blank_example_id, clean_example_id), clean_class, outcome = 'changed',
            priority % 2 = 0,
        from pairs
        order by priority, example_id
        """,
        {
            "dataset": layer.dataset,
            "run_id": layer.run_id,
            "class_set": class_set,
            "seed": seed,
        },
    ).fetchall()
    return [Pair(row[:3], *row[3:]) for row in rows]


def _rank_units(
    connection: duckdb.DuckDBPyConnection,
    layer: FoundLayer,
    pairs: Iterable[Pair],
    count: int,
) -> tuple[int, ...]:
    """Units by how much they rise on attacked images, in SD of the run as in ``typographic_neurons``; ties by
    unit. None if there are no pairs."""
    signed = [(i, sign) for p in pairs for i, sign in ((p.example_id, 1), (p.control_id, -1))]
    if not signed:
        return ()
    rows = connection.execute(
        """
        with

        parts as (
            select unnest($ids::bigint[]) as example_id, unnest($signs::integer[]) as sign
        ),

        changes as (
            select unit, sum(sign * activation::double) as change,
            from parts
            inner join stg_activations using (example_id)
            where dataset = $dataset and run_id = $run_id and layer = $layer
            group by unit
        )

        select unit,
        from neuron_stats
        left join changes using (unit)
        where dataset = $dataset and run_id = $run_id and layer = $layer and sd > 0
        order by coalesce(change, 0) / sd desc, unit
        limit $count
        """,
        {
            "dataset": layer.dataset,
            "run_id": layer.run_id,
            "layer": layer.layer,
            "ids": [example_id for example_id, _ in signed],
            "signs": [sign for _, sign in signed],
            "count": count,
        },
    ).fetchall()
    return tuple(unit for (unit,) in rows)
