"""Which phrases neurons are held against."""

from __future__ import annotations

from collections import defaultdict

import duckdb

from pipeline.concepts.lexicon import load_lexicon

PAPER_WORDS = ("Terrorist", "Muslims", "Terrorism", "Muslim", "France", "Jesus", "xbox")
"""Words that Goh et al. 2021 (doi:10.23915/distill.00030) tell something of, as they write them: drawn beside
all others."""


def lexicon_phrases() -> dict[str, str]:
    """Names of the lexicon's concepts, by name, and the families of each, with commas."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    table = load_lexicon()
    pairs = zip(table["concept"].to_pylist(), table["category"].to_pylist(), strict=True)
    for concept, category in pairs:
        found[concept].add(category)
    return {concept: ", ".join(sorted(found[concept])) for concept in sorted(found)}


def choose_phrases(
    connection: duckdb.DuckDBPyConnection, dataset: str, run_id: str
) -> dict[str, str]:
    """Names of the lexicon's concepts and of those that the run is tested for, and the families of each."""
    rows = connection.execute(
        """
        select concept, string_agg(distinct category, ', ' order by category)
        from (
            select concept, category from lexicon where rule is null
            union
            select concept, category from tested_concepts
            where dataset = $dataset and run_id = $run_id
        )
        group by concept order by concept
        """,
        {"dataset": dataset, "run_id": run_id},
    ).fetchall()
    return dict(rows)
