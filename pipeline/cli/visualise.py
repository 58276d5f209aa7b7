"""Pictures that neurons draw: ``visualise``."""

from __future__ import annotations

from dataclasses import asdict

import typer

from pipeline.base.display import print_table, say
from pipeline.base.progress import choose_progress
from pipeline.base.visualise_settings import VisualiseChoice, VisualiseConfig
from pipeline.cli.options import OneDataset, OneRun, Warehouse, examples, settings_as_options


def add_commands(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command(
        epilog=examples(
            "neurons visualise --warehouse warehouse --dataset photos --layer goh2021 --unit 29 --unit 192",
            "neurons visualise --warehouse warehouse --dataset photos --labelled --parametrisation maco",
            "neurons visualise --warehouse warehouse --dataset photos --layer goh2021 "
            "--direction 29:1,192:-0.5 --images 4",
        )
    )(visualise)


@settings_as_options()
def visualise(
    warehouse: Warehouse,
    choice: VisualiseChoice,
    dataset: OneDataset = None,
    run: OneRun = None,
) -> None:
    """Let neurons draw what they answer to most.

    A picture begins as noise and is climbed until the neuron answers to it strongly: made by the model, no
    image of the dataset. PNG files in the warehouse; the view visualisations says how strong the answer is.
    Repeat it to resume.
    """
    from pipeline.visualise.run import visualise_neurons
    from pipeline.visualise.tell import TOLD, tell_pictures
    from pipeline.warehouse.connect import connect
    from pipeline.warehouse.find import find_run

    with connect(warehouse) as connection:
        one = find_run(connection, dataset, run, choice.layer or None)
    config = VisualiseConfig(
        warehouse=warehouse, dataset=one.dataset, run=one.run_id, **asdict(choice)
    )
    done = visualise_neurons(config, choose_progress())
    for each in done:
        say(*str(each).splitlines())
    print_table(TOLD, iter(tell_pictures(config, done)))
