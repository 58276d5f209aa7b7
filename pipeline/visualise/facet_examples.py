"""Images whose facet is known, by which a probe is trained: of stimuli by construction, or by a query.

What a probe is measured on must not be what it was trained on in another guise, so images are held out by
what they show: all images of a concept are on one side, and where the concept is not known, all copies of an
image (``image_groups``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import duckdb

from pipeline.base.errors import ConfigError, WarehouseError
from pipeline.base.facet_settings import FacetProbeConfig

HELD_OUT = 4
"""One group in so many is held out."""
LEAST = 10
"""Images of each kind, shown and not, that must be trained on, and that must be held out."""


class FacetExample(NamedTuple):
    """One image that a probe is trained or measured on."""

    dataset: str
    example_id: int
    is_shown: bool
    """Whether it shows the facet."""
    is_held_out: bool


@dataclass(frozen=True)
class FacetExamples:
    """The images of one facet, and those it is told from; by dataset and example."""

    facet: str
    examples: tuple[FacetExample, ...]

    def count(self, is_shown: bool, is_held_out: bool) -> int:
        """How many are of a kind."""
        return sum(one[2:] == (is_shown, is_held_out) for one in self.examples)

    @property
    def is_enough(self) -> bool:
        """Whether a probe can be trained on them, and measured."""
        kinds = ((shown, held) for shown in (True, False) for held in (True, False))
        return all(self.count(*kind) >= LEAST for kind in kinds)


def choose_examples(
    connection: duckdb.DuckDBPyConnection, config: FacetProbeConfig
) -> list[FacetExamples]:
    """The images of each facet that is meant, beside those of the others; by facet.

    Raises:
        ConfigError: What is asked for does not go together, or a query is not one for examples.
        WarehouseError: No facet is known, or not the one that is named; or it has too few images.
    """
    if not (config.shown or config.others):
        return _of_stimuli(connection, config)
    if not config.shown or len(config.facets) != 1:
        raise ConfigError(
            "A query says what is shown, and nothing what that is called."
            if config.shown
            else "A query says what is not shown, and none what is.",
            'Give both: --facet NAME --shown "select example_id from ..."',
        )
    found = FacetExamples(config.facets[0], _of_queries(connection, config))
    if not found.is_enough:
        raise WarehouseError(*_say_few(found))
    return [found]


def _of_stimuli(
    connection: duckdb.DuckDBPyConnection, config: FacetProbeConfig
) -> list[FacetExamples]:
    """Every facet of the stimuli of the run against all other facets."""
    rows = connection.execute(
        """
        select facet, dataset, example_id, coalesce(concept, group_id::varchar)
        from example_facets
        inner join image_groups using (dataset, example_id)
        inner join stimuli using (dataset, example_id, facet)
        where dataset = $dataset and run_id = $run_id and facet_origin = 'stimulus'
        qualify
            row_number() over (
                partition by facet order by md5($seed || ' ' || example_id), example_id
            ) <= $images
        order by facet, example_id
        """,
        {
            "dataset": config.dataset,
            "run_id": config.run,
            "seed": str(config.seed),
            "images": config.images,
        },
    ).fetchall()
    known = list(dict.fromkeys(facet for facet, *_ in rows))
    if unknown := sorted(set(config.facets) - set(known)):
        raise WarehouseError(
            f"No stimulus of {config.dataset!r} that run {config.run!r} read has the facet {unknown[0]!r}.",
            f"There are: {', '.join(known) or 'none'}. {_CURE}",
        )
    if len(known) < 2:
        raise WarehouseError(
            f"The stimuli of {config.dataset!r} that run {config.run!r} read have {len(known)} facets.",
            f"A probe tells one from others. {_CURE}",
        )
    sets = [
        FacetExamples(
            facet,
            tuple(
                FacetExample(dataset, example_id, other == facet, _is_held_out(group, config.seed))
                for other, dataset, example_id, group in rows
            ),
        )
        for facet in config.facets or known
    ]
    enough = [one for one in sets if one.is_enough]
    if few := [one for one in sets if not one.is_enough and (config.facets or not enough)]:
        raise WarehouseError(*_say_few(few[0]))
    return enough


_CURE = (
    "Make stimuli (neurons stimuli), or say by a query which examples show a facet: "
    '--facet NAME --shown "select example_id from ..."'
)


def _of_queries(
    connection: duckdb.DuckDBPyConnection, config: FacetProbeConfig
) -> tuple[FacetExample, ...]:
    """What one query shows against what another does, or against all other images of the run."""
    shown = _ask(connection, config.shown, "--shown", config.dataset)
    if config.others:
        others = _ask(connection, config.others, "--others", config.dataset)
    else:
        others = _read_run(connection, config) - shown
    if both := shown & others:
        raise ConfigError(
            f"{len(both)} examples are among those that show {config.facets[0]!r} and among the others: "
            f"example {min(both)[1]} of {min(both)[0]!r}.",
            "Let the two queries have none in common.",
        )
    chosen = {one: one in shown for each in (shown, others) for one in _draw(each, config)}
    groups = _read_groups(connection, chosen)
    return tuple(
        FacetExample(*one, chosen[one], _is_held_out(groups[one], config.seed))
        for one in sorted(chosen)
        if one in groups
    )


def _ask(
    connection: duckdb.DuckDBPyConnection, query: str, option: str, dataset: str
) -> set[tuple[str, int]]:
    """Dataset and id of the examples that a query names."""
    try:
        asked = connection.sql(query)
        names = asked.columns if asked is not None else []
        where = "dataset" if "dataset" in names else "$dataset"
        rows = connection.execute(
            f"select distinct {where}::varchar, example_id::bigint from ({query.rstrip().rstrip(';')})",
            {} if "dataset" in names else {"dataset": dataset},
        ).fetchall()
    except duckdb.Error as error:
        raise ConfigError(
            f"{option} is no query for examples: {' '.join(str(error).split())}",
            "It must have a column example_id; try it with neurons sql.",
        ) from error
    return {(str(name), int(example)) for name, example in rows if example is not None}


def _read_run(
    connection: duckdb.DuckDBPyConnection, config: FacetProbeConfig
) -> set[tuple[str, int]]:
    """Dataset and id of all images of the run, each once."""
    return set(
        connection.execute(
            "select dataset, example_id from stg_distinct_images "
            "where dataset = $dataset and run_id = $run_id",
            {"dataset": config.dataset, "run_id": config.run},
        ).fetchall()
    )


def _draw(examples: set[tuple[str, int]], config: FacetProbeConfig) -> list[tuple[str, int]]:
    """Some of many, by the seed."""
    return sorted(examples, key=lambda one: (_hash(f"{config.seed} {one}"), one))[: config.images]


def _read_groups(
    connection: duckdb.DuckDBPyConnection, chosen: dict[tuple[str, int], bool]
) -> dict[tuple[str, int], str]:
    """What each of these examples shows: its concept if it is a stimulus, else its group of copies."""
    groups: dict[tuple[str, int], str] = {}
    for dataset in sorted({name for name, _ in chosen}):
        rows = connection.execute(
            """
            select example_id, coalesce(concept, group_id::varchar)
            from image_groups
            left join stimuli using (dataset, example_id)
            where dataset = $dataset and list_contains($ids::bigint[], example_id)
            """,
            {"dataset": dataset, "ids": [example for name, example in chosen if name == dataset]},
        ).fetchall()
        groups |= {(dataset, example): group for example, group in rows}
    return groups


def _is_held_out(group: str, seed: int) -> bool:
    return _hash(f"{seed} {group}") % HELD_OUT == 0


def _hash(text: str) -> int:
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:15], 16)


def _say_few(found: FacetExamples) -> tuple[str, str]:
    """That there are too few images of a facet, and what to do."""
    counts: Sequence[str] = [
        f"{found.count(shown, False)} {words} to train on and {found.count(shown, True)} held out"
        for shown, words in ((True, "show it"), (False, "do not"))
    ]
    return (
        f"Facet {found.facet!r} has too few images: {'; '.join(counts)}.",
        f"At least {LEAST} are needed of each, of several concepts: one in {HELD_OUT} is held out, by what "
        "it shows.",
    )
