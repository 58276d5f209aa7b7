"""What supports labels: ``support``."""

from __future__ import annotations

from dataclasses import asdict

import typer

from pipeline.base.display import print_table, say
from pipeline.base.progress import choose_progress
from pipeline.base.support_settings import SupportChoice, SupportConfig
from pipeline.cli.options import OneDataset, OneRun, Warehouse, examples, settings_as_options


def add_commands(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command(
        epilog=examples(
            "neurons support --warehouse warehouse --dataset photos",
            "neurons support --warehouse warehouse --dataset photos --layer goh2021 --images 8 --seed 1",
        )
    )(support)


@settings_as_options()
def support(
    warehouse: Warehouse,
    choice: SupportChoice,
    dataset: OneDataset = None,
    run: OneRun = None,
) -> None:
    """Hold labels against fresh images.

    Each label's concept is written in fonts and drawn in sets that the run's own images do not use; do its
    neurons tell these from those of other concepts? Then says what else supports the labels. Repeat it to
    resume, or after a build for labels that are new.
    """
    from pipeline.support.run import measure_support
    from pipeline.support.tell import TOLD, TOLD_BY_COUNT, tell_counts, tell_support
    from pipeline.warehouse.connect import connect
    from pipeline.warehouse.find import find_run

    with connect(warehouse) as connection:
        one = find_run(connection, dataset, run, choice.layer or None)
    config = SupportConfig(
        warehouse=warehouse, dataset=one.dataset, run=one.run_id, **asdict(choice)
    )
    for done in measure_support(config, choose_progress()):
        say(str(done))
    print_table(TOLD, iter(tell_support(config)))
    print_table(TOLD_BY_COUNT, iter(tell_counts(config)))
