"""What steers the pictures that neurons draw: ``facet-probes``."""

from __future__ import annotations

from dataclasses import asdict

import typer

from pipeline.base.display import print_table, say
from pipeline.base.facet_settings import FacetProbeChoice, FacetProbeConfig
from pipeline.base.progress import choose_progress
from pipeline.cli.options import OneDataset, OneRun, Warehouse, examples, settings_as_options


def add_commands(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command(
        epilog=examples(
            "neurons facet-probes --warehouse warehouse --dataset stimuli",
            'neurons facet-probes --warehouse warehouse --dataset stimuli --facet "rendered word"',
            "neurons facet-probes --warehouse warehouse --dataset photos --facet night "
            "--shown \"select example_id from texts where text ilike '%at night%'\"",
        )
    )(facet_probes)


@settings_as_options()
def facet_probes(
    warehouse: Warehouse,
    choice: FacetProbeChoice,
    dataset: OneDataset = None,
    run: OneRun = None,
) -> None:
    """Train what tells a facet from others.

    A linear probe on a layer below the neurons, by which their pictures are then steered to words, drawings or
    photos. It learns from images whose facet is known, or from two sets that queries name, and is measured
    on held-out ones; below 0.8 it is not used. Repeat it to resume.
    """
    from pipeline.visualise.facet_run import train_facet_probes
    from pipeline.visualise.facet_tell import TOLD, tell_facet_probes
    from pipeline.warehouse.connect import connect
    from pipeline.warehouse.find import find_run

    with connect(warehouse) as connection:
        one = find_run(connection, dataset, run, choice.layer or None)
    config = FacetProbeConfig(
        warehouse=warehouse, dataset=one.dataset, run=one.run_id, **asdict(choice)
    )
    done = train_facet_probes(config, choose_progress())
    say(
        f"{one.dataset}, run {one.run_id}: {len(done)} facet probes, "
        f"{sum(each.is_new for each in done)} of them trained now"
    )
    print_table(TOLD, iter(tell_facet_probes(config)))
