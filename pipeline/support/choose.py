"""Which concepts fresh images are made of, and what the run's own images were made with."""

from __future__ import annotations

import duckdb

from pipeline.base.errors import WarehouseError
from pipeline.base.support_settings import SupportConfig
from pipeline.support.fresh import Used


def choose_concepts(
    connection: duckdb.DuckDBPyConnection, config: SupportConfig
) -> list[tuple[str, str]]:
    """The names of a run's labels and their categories, and where they are few other tested ones; by name.

    Raises:
        WarehouseError: There are fewer than two.
    """
    where = {"dataset": config.dataset, "run_id": config.run}
    rows = connection.execute(
        """
        select concept, min(category) from neuron_labels
        where dataset = $dataset and run_id = $run_id and is_labelled
        group by concept order by concept
        """,
        where,
    ).fetchall()
    if len(rows) < config.controls:
        rows += connection.execute(
            """
            select concept, min(category) from tested_concepts
            cross join settings
            where
                dataset = $dataset and run_id = $run_id
                and list_contains(label_origins, origin)
                and not list_contains($known::varchar[], concept)
            group by concept order by md5($seed || concept), concept
            limit $count
            """,
            where
            | {
                "known": [name for name, _ in rows],
                "seed": str(config.seed),
                "count": config.controls - len(rows),
            },
        ).fetchall()
    if len(rows) < 2:
        raise WarehouseError(
            f"Run {config.run!r} of {config.dataset!r} has {len(rows)} concepts.",
            "Fresh images of a label are held against those of others: its images need texts that name "
            "concepts, or be stimuli. See the view run_coverage.",
        )
    return sorted(rows)


def read_used(connection: duckdb.DuckDBPyConnection, dataset: str) -> Used:
    """Fonts and sets of the stimuli of a dataset, and the hashes of its images."""

    def ask(query: str) -> frozenset[str]:
        rows = connection.execute(query, {"dataset": dataset}).fetchall()
        return frozenset(value for (value,) in rows if value is not None)

    sets = ask("select distinct drawing_set from stimuli where dataset = $dataset")
    # The source of this name has its drawings without being told to be stimuli.
    codes = ask(
        "select distinct 'openmoji' from examples where dataset = $dataset "
        "and starts_with(source_url, 'openmoji:')"
    )
    return Used(
        ask("select distinct font from stimuli where dataset = $dataset"),
        sets | codes,
        ask("select distinct image_sha256 from examples where dataset = $dataset"),
    )
