"""Keeping a warehouse: ``build``, ``check``, ``repair``, ``compact``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.display import say
from pipeline.base.progress import choose_progress
from pipeline.cli.options import OneDataset, OneRun, Warehouse, examples


def add_commands(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command(
        epilog=examples(
            "neurons build --warehouse warehouse",
            "neurons build --warehouse warehouse --set label_null_repeats=20 --set label_max_q=0.1",
        )
    )(build)
    app.command(
        epilog=examples(
            "neurons check --warehouse warehouse", "neurons check --warehouse warehouse --all"
        )
    )(check)
    app.command(epilog=examples("neurons repair --warehouse warehouse"))(repair)
    app.command(epilog=examples("neurons compact --warehouse warehouse"))(compact)


def build(
    warehouse: Annotated[
        str | None,
        typer.Option(
            help="Folder or URL of the warehouse. It goes before the job file's; NEURONS_WAREHOUSE goes "
            "after it."
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Job file whose table [labels] has the settings.")
    ] = None,
    set_: Annotated[
        list[str],
        typer.Option(
            "--set",
            help="Change one setting of labels, as label_null_repeats=20. May be given several times.",
        ),
    ] = [],  # noqa: B006
) -> None:
    """Write statistics, top images and labels, if need be.

    Where a run has many shards, their statistics are merged first; where a thousand of them and more hold few
    activations each, they are sorted, as neurons compact does. Of what had been built before, and has more
    shards now, it says which tables grew by these, which had to be made whole and why, and how long each took.

    Without --config and --set the settings are those of the last build.
    """
    from pipeline.base.job_file import change_labels, load_labels
    from pipeline.upkeep.build import build as run_build
    from pipeline.upkeep.told import tell_growth
    from pipeline.warehouse.last_build import last_settings

    labels, place = load_labels(config) if config else (None, None)
    place = warehouse or place or os.environ.get("NEURONS_WAREHOUSE")
    if not place:
        raise typer.BadParameter("give --warehouse, or a job file that names it")
    if set_:
        labels = change_labels(labels or last_settings(place), set_)
    done = run_build(place, labels, progress=choose_progress())
    for line in done.settled:
        say(line)
    for name, count in done.row_counts.items():
        say(f"{name}: {count} rows")
    for line in tell_growth(done):
        say(line)
    say("nothing had changed" if done.was_current else "built")


def check(
    warehouse: Warehouse,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            "--deep",
            help="Read and ask everything, also what was found good and is unchanged.",
        ),
    ] = False,
    dataset: OneDataset = None,
) -> None:
    """Check that everything adds up.

    Exit status 1 if it does not.
    """
    from pipeline.upkeep.check import check_unread, run_violations

    checks = check_unread(warehouse, choose_progress(), everything, dataset)
    for result in checks.results:
        mark = "ok" if not result.violation_count else "WARN" if result.is_warning else "FAIL"
        say(f"{mark:4}  {result.name}: {result.violation_count}  {result.purpose}")
        for row in result.rows[:5]:
            shown = ", ".join(f"{k}={v}" for k, v in zip(result.columns, row, strict=True))
            say(f"        {shown}")
    if told := checks.asked_whole:
        say(told)
    if told := checks.passed_over:
        say(f"{told}. Read them all: neurons check --all")
    if run_violations(checks.results):
        raise typer.Exit(1)


def repair(
    warehouse: Warehouse,
    dataset: OneDataset = None,
    model: Annotated[
        str, typer.Option(help="Model of the runs, if it is no longer where it was.")
    ] = "",
    device: Annotated[
        str,
        typer.Option(
            help="Where the model runs: cpu, cuda, cuda:1, mps or auto; where it ran before, if not given."
        ),
    ] = "",
) -> None:
    """Make again what is damaged or gone. Exit status 1 if something is left."""
    from pipeline.upkeep.repair import repair as run_repair

    done = run_repair(warehouse, dataset, model, device, choose_progress())
    for line in done.done:
        say(f"made again  {line}")
    for line in done.left:
        say(f"LEFT        {line}")
    if not done.damage_count:
        say("nothing is damaged")
    if done.left:
        raise typer.Exit(1)


def compact(
    warehouse: Warehouse,
    run: OneRun = None,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole",
            help="Sort new shards into one with all that were sorted before, however few they are.",
        ),
    ] = False,
) -> None:
    """Sort and merge what runs hold, so that questions are fast.

    Their activations are sorted, and the statistics of their shards merged.

    New shards of a run that was sorted before become a level of their own; levels are sorted into one once
    they are no longer small beside each other.
    """
    from pipeline.upkeep.compact import compact as run_compact

    done = run_compact(warehouse, run, choose_progress(), whole)
    say(
        f"{done.run_count} runs compacted, {done.skipped_run_count} were already: "
        f"{done.row_count} rows, {done.bytes_before / 1e6:.1f} MB -> {done.bytes_after / 1e6:.1f} MB"
    )
    if done.merge_count:
        say(
            f"{done.merge_count} merges of shards' statistics; neurons vacuum takes what they were made from "
            "once it is an hour old"
        )
