"""Everything that a run's report shows, asked of the views by SQL."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from pipeline.base.storage import Store
from pipeline.report import report_queries as queries
from pipeline.report.asking import Asker
from pipeline.report.gather import planted_concept
from pipeline.report.peaks import InImage
from pipeline.report.run_report import (
    Baselines,
    Coverage,
    DoubtfulList,
    Evidence,
    LayerFacts,
    Multimodality,
    NeuronFacts,
    Report,
    ReportNeuron,
    RunFacts,
)
from pipeline.report.thumbnails import Picture, mark_place, read_pictures
from pipeline.warehouse.not_kept import explain_cut
from pipeline.warehouse.views import load_views

if TYPE_CHECKING:
    import duckdb

CONVINCING_COUNT, DOUBTFUL_COUNT = 12, 6
PICTURE_COUNT = 6
"""Top images of each neuron that is shown."""


def gather_report(
    connection: duckdb.DuckDBPyConnection, store: Store, dataset: str, run_id: str
) -> Report:
    """Ask the views for everything that a report shows.

    Args:
        connection: Of ``pipeline.connect``.
        store: The warehouse.
        dataset: Name of the dataset.
        run_id: The run.

    Raises:
        WarehouseError: A tar is gone, so there are no pictures.
    """
    ask = Asker(connection, {"dataset": dataset, "run_id": run_id})
    (run,), (coverage,), (baselines,) = (
        ask(queries.RUN, RunFacts),
        ask(queries.COVERAGE, Coverage),
        ask(queries.BASELINES, Baselines),
    )
    convincing = ask(queries.CONVINCING, Evidence, count=CONVINCING_COUNT)
    doubtful = {
        title: ask(queries.WORST.replace("@@MEASURE@@", measure), Evidence, count=DOUBTFUL_COUNT)
        for title, measure in queries.DOUBTFUL.items()
    }
    tops = _top_pictures(ask, store, dataset, [*convincing, *chain(*doubtful.values())])

    def show(rows: list[Evidence]) -> tuple[ReportNeuron, ...]:
        return tuple(
            ReportNeuron(
                row,
                planted_concept(run.model_id, row.layer, row.unit),
                tuple(tops.get((row.layer, row.unit), ())),
            )
            for row in rows
        )

    return Report(
        dataset=dataset,
        run_id=run_id,
        run=run,
        layers=tuple(ask(queries.LAYERS, LayerFacts)),
        coverage=coverage,
        baselines=baselines,
        categories=_count(ask, queries.CATEGORIES),
        reasons=_count(ask, queries.REASONS),
        multimodality=tuple(ask(queries.MULTIMODALITY, Multimodality)),
        convincing=show(convincing),
        doubtful=tuple(DoubtfulList(title, show(rows)) for title, rows in doubtful.items() if rows),
        warnings=tuple(_warnings(ask, run, coverage, baselines)),
        neurons=tuple(ask(queries.NEURONS, NeuronFacts)),
    )


def _count(ask: Asker, query: str) -> tuple[tuple[str, int], ...]:
    return tuple(
        (name, count) for name, count in ask.connection.execute(query, ask.where).fetchall()
    )


def _top_pictures(
    ask: Asker, store: Store, dataset: str, rows: list[Evidence]
) -> dict[tuple[str, int], list[Picture]]:
    """The top images of neurons, best first."""
    neurons = sorted({(row.layer, row.unit) for row in rows})
    found = ask.connection.execute(
        queries.TOP,
        {
            **ask.where,
            "layers": [layer for layer, _ in neurons],
            "units": [unit for _, unit in neurons],
            "count": PICTURE_COUNT,
        },
    ).fetchall()
    pictures = read_pictures(ask.connection, store, dataset, {row[2] for row in found})
    tops: dict[tuple[str, int], list[Picture]] = {}
    for layer, unit, example_id, strength, axis, is_labelled, x, y in found:
        peak = None if x is None or y is None else InImage(x, y)
        picture = replace(
            mark_place(pictures[example_id], peak),
            strength=strength,
            axis=axis,
            is_labelled=is_labelled,
        )
        tops.setdefault((layer, unit), []).append(picture)
    return tops


def read_warnings(connection: duckdb.DuckDBPyConnection, dataset: str, run_id: str) -> list[str]:
    """What makes a run's figures doubtful, a sentence each.

    Args:
        connection: Of ``pipeline.connect``.
        dataset: Name of the dataset.
        run_id: The run.
    """
    ask = Asker(connection, {"dataset": dataset, "run_id": run_id})
    (run,), (coverage,), (baselines,) = (
        ask(queries.RUN, RunFacts),
        ask(queries.COVERAGE, Coverage),
        ask(queries.BASELINES, Baselines),
    )
    return _warnings(ask, run, coverage, baselines)


def _warnings(ask: Asker, run: RunFacts, coverage: Coverage, baselines: Baselines) -> list[str]:
    """Every ``warn_`` view that has a row of this run, and what makes its figures doubtful."""
    found = []
    for view in load_views():
        names = {column.name for column in view.columns}
        if view.name.startswith("warn_") and "dataset" in names:
            where = "dataset = $dataset"
            if "run_id" in names:
                where += " and coalesce(run_id = $run_id, true)"
            values = {name: value for name, value in ask.where.items() if f"${name}" in where}
            ((count,),) = ask.connection.execute(
                f"select count(*) from {view.name} where {where}", values
            ).fetchall()
            if count:
                found.append(f"{view.purpose} ({view.name}: {count})")
    if run.pending_shard_count or run.failed_shard_count:
        found.append(
            f"The run is not whole: {run.pending_shard_count} shards are pending, "
            f"{run.failed_shard_count} failed."
        )
    cut = ask.connection.execute(
        "select distinct store from layers where dataset = $dataset and run_id = $run_id and is_cut "
        "order by store",
        ask.where,
    ).fetchall()
    found += [explain_cut(store) for (store,) in cut]
    if not coverage.text_image_count:
        found.append("No image has any text, so texts name no concept.")
    permuted, promised = baselines.permuted_frac, baselines.max_q * baselines.labelled_frac
    if permuted is None and coverage.concept_image_count:
        found.append("Labels of permuted concepts were not counted: run neurons build.")
    elif permuted is not None and permuted > promised:
        found.append(
            f"{permuted:.1%} of the neurons are labelled when concepts are permuted; of these labels "
            f"q promises {promised:.1%} of the neurons at most."
        )
    return found
