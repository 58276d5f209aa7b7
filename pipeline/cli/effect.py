"""Whether neurons matter: ``effect``, and to attacks: ``ablate``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pipeline.base.display import print_table, say
from pipeline.base.effect_settings import (
    AblationChoice,
    AblationConfig,
    EffectChoice,
    EffectConfig,
)
from pipeline.base.progress import choose_progress
from pipeline.cli.options import OneDataset, OneRun, Warehouse, examples, settings_as_options

DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Tell what it costs, from a short measurement, and stop."),
]


def add_commands(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command(
        epilog=examples(
            "neurons effect --warehouse warehouse --dataset photos --dry-run",
            "neurons effect --warehouse warehouse --dataset photos",
            "neurons effect --warehouse warehouse --dataset photos --layer goh2021 --unit 29 --unit 192",
        )
    )(effect)
    app.command(
        epilog=examples(
            "neurons ablate --warehouse warehouse --dataset attacked --dry-run",
            "neurons ablate --warehouse warehouse --dataset attacked",
            "neurons ablate --warehouse warehouse --dataset attacked --layer goh2021 --count 1 --count 50",
        )
    )(ablate)


@settings_as_options()
def effect(
    warehouse: Warehouse,
    choice: EffectChoice,
    dataset: OneDataset = None,
    run: OneRun = None,
    dry_run: DryRun = False,
) -> None:
    """Set neurons to zero or higher, and see what that changes.

    Does a neuron push its concept, and is it missed? Only what follows it runs again, on held-out
    examples. Repeat it to resume, or after a build for labels that are new.
    """
    from pipeline.warehouse.connect import connect
    from pipeline.warehouse.find import find_run

    with connect(warehouse) as connection:
        one = find_run(connection, dataset, run, choice.layer or None)
    config = EffectConfig(
        warehouse=warehouse, dataset=one.dataset, run=one.run_id, **asdict(choice)
    )
    if dry_run:
        from pipeline.effects.cost import estimate_effects

        say(*str(estimate_effects(config)).splitlines())
        return
    from pipeline.effects.run import measure_effects
    from pipeline.effects.tell import TOLD, tell_effects

    for done in measure_effects(config, choose_progress()):
        say(str(done))
    print_table(TOLD, iter(tell_effects(config)))


@settings_as_options()
def ablate(
    warehouse: Warehouse,
    choice: AblationChoice,
    dataset: OneDataset = None,
    run: OneRun = None,
    dry_run: DryRun = False,
) -> None:
    """Set the neurons that an attack moves most to zero.

    Do images that a typographic attack flips go back?
    Neurons are chosen on one half of the attacked images and tried on the other, beside as many at random,
    and on images without an attack. Needs what neurons attack did. Repeat it to resume.
    """
    from pipeline.warehouse.connect import connect
    from pipeline.warehouse.find import find_run

    with connect(warehouse) as connection:
        one = find_run(connection, dataset, run, choice.layer or None)
    config = AblationConfig(
        warehouse=warehouse, dataset=one.dataset, run=one.run_id, **asdict(choice)
    )
    if dry_run:
        from pipeline.effects.ablation_cost import estimate_ablations

        for cost in estimate_ablations(config):
            say(*str(cost).splitlines())
        return
    from pipeline.effects.ablate import measure_ablations
    from pipeline.effects.tell import TOLD_OF_ABLATIONS, tell_ablations

    for done in measure_ablations(config, choose_progress()):
        say(str(done))
    print_table(TOLD_OF_ABLATIONS, iter(tell_ablations(config)))
