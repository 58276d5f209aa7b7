"""How many neurons would be labelled if concepts meant nothing: the same SQL on permuted concepts."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from pipeline.derived import DERIVED
from pipeline.progress import ProgressCallback
from pipeline.views import find_view

_ANEW = ("neuron_enrichments", "neuron_concepts", "neuron_labels")
"""Views between the concepts of images and the labels that a build has put Parquet in place of."""

# Every image hands its concepts to another one of its run and half, so concepts keep their number of
# images and go together as before; only what the neurons saw is another image.
_PERMUTED = """
create or replace view run_concepts as
select
    real_concepts.dataset,
    real_concepts.run_id,
    other.example_id,
    real_concepts.half,
    real_concepts.concept,
    real_concepts.category,
    real_concepts.origin,
from real_concepts
inner join places on
    real_concepts.run_id = places.run_id
    and real_concepts.dataset = places.dataset
    and real_concepts.example_id = places.example_id
inner join places as other on
    places.run_id = other.run_id
    and places.dataset = other.dataset
    and places.half = other.half
    and places.place = other.drawn_{repeat}
"""

_PLACES = """
create or replace temp table places as
select
    dataset,
    run_id,
    example_id,
    half,
    row_number() over (partition by dataset, run_id, half order by example_id) as place,
    {draws}
from stg_run_examples
inner join stg_examples using (dataset, example_id)
where not is_duplicate
"""

_DRAW = """
    row_number() over (
        partition by dataset, run_id, half
        order by md5('{repeat}:' || example_id), example_id
    ) as drawn_{repeat},
"""


def compute_label_nulls(
    connection: duckdb.DuckDBPyConnection, progress: ProgressCallback
) -> Iterator[pa.Table]:
    """Rows of ``label_nulls``: labelled neurons of each run and repeat, concepts permuted by a seed.

    Only origins that labels may rest on are permuted; the others are left out, since they change no
    label.
    """
    (repeats,) = connection.execute("select label_null_repeats from settings").fetchall()[0]
    if not repeats:
        return
    names = ("run_concepts", *_ANEW)
    built = dict(
        connection.execute(
            "select view_name, sql from duckdb_views() where list_contains($names, view_name)",
            {"names": list(names)},
        ).fetchall()
    )
    connection.execute(
        "create or replace temp table real_concepts as from run_concepts "
        "where origin in (select unnest(label_origins) from settings)"
    )
    draws = "".join(_DRAW.format(repeat=n) for n in range(repeats))
    connection.execute(_PLACES.format(draws=draws))
    try:
        for name in _ANEW:
            connection.execute(f"create or replace view {name} as\n{find_view(name).body}")
        for repeat in range(repeats):
            connection.execute(_PERMUTED.format(repeat=repeat))
            table = connection.sql(
                f"""
                select
                    dataset, run_id, {repeat}::integer as repeat,
                    count(*) filter (where is_labelled) as labelled_count,
                from neuron_labels
                group by dataset, run_id
                order by dataset, run_id
                """
            ).to_arrow_table()
            yield table.cast(DERIVED["label_nulls"].arrow_schema())
            progress.advance(0, f"labels with permuted concepts, {repeat + 1} of {repeats}")
    finally:
        for name in names:
            connection.execute(built[name].replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))
        connection.execute("drop table real_concepts; drop table places")
