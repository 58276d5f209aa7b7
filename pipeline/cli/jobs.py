"""Whole jobs: ``run`` from a file, and ``demo`` on embedded data."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.display import complain, print_table, say
from pipeline.base.progress import choose_progress
from pipeline.base.steps import Here
from pipeline.cli.options import Warehouse, examples
from pipeline.cli.probes import print_probe


def add_commands(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command(
        "run",
        epilog=examples("neurons run job.toml", "neurons run job.toml --warehouse elsewhere"),
    )(run_config)
    app.command(epilog=examples("neurons demo", "neurons demo --warehouse /tmp/demo"))(demo)


def run_config(
    config: Annotated[Path, typer.Argument(help="File of the job, in TOML.")],
    warehouse: Annotated[
        str | None,
        typer.Option(
            help="Folder or URL of the warehouse. It goes before the file's; NEURONS_WAREHOUSE goes after it."
        ),
    ] = None,
) -> None:
    """Do a whole job from one file.

    Bring images in or make them, extract, label and check. Repeat it to resume.
    """
    from pipeline.base.job_file import load_config
    from pipeline.jobs.job import run_job
    from pipeline.upkeep.check import run_violations

    fallback = os.environ.get("NEURONS_WAREHOUSE")
    job = load_config(config, warehouse, fallback)
    if job.runner.kind != "here":
        complain(
            f"[runner] {job.runner.kind} is for the flows (python -m flows.serve {config}): neurons run does "
            "all of it itself."
        )
    done = run_job(job, Here(choose_progress()))
    say(*map(str, done.told))
    for found in done.probes:
        print_probe(found)
    if run_violations(done.checks):
        raise typer.Exit(1)


def demo(
    warehouse: Warehouse = "warehouse",
    print_job: Annotated[
        bool,
        typer.Option(
            "--print-job", help="Print the job file of the demo, to copy and change, and stop."
        ),
    ] = False,
) -> None:
    """Run everything on embedded data, without a download.

    A small CLIP, some of whose neurons were trained to stand for a concept, looks at drawings and words.
    """
    from pipeline.jobs.demo import FIRST_LINE, JOB_FILE, run_demo
    from pipeline.upkeep.check import run_violations

    if print_job:
        say(*JOB_FILE.read_text(encoding="utf-8").splitlines())
        return
    say(FIRST_LINE)
    done = run_demo(warehouse, Here(choose_progress()))
    say(*done.lines)
    say(
        "",
        f"Planted neurons that got their own concept as label: {done.right_count} of "
        f"{done.planted_count}; of those known to be good {done.asserted_right_count} of "
        f"{done.asserted_count}.",
        f"Planted neurons whose strongest image is the right one in every form: "
        f"{done.every_form_count} of {done.planted_count}.",
    )
    counts = ", ".join(f"{labels} by {count}" for count, _, labels in done.support)
    most = max((measured for _, measured, _ in done.support), default=0)
    say(f"Labels by how many of {most} independent scores support them: {counts}.")
    for neuron in done.neurons:
        planted = f"planted: {neuron.planted}" if neuron.planted else "free"
        say(f"  unit {neuron.unit} ({planted}): {neuron.evidence}")
    for title, columns, rows in done.tables:
        say("", title)
        print_table(columns, iter(rows))
    say("", f"Warehouse  {done.warehouse}")
    for sheet in done.sheets:
        say(f"Picture    {sheet}")
    say(f"Look       neurons explore --warehouse {shlex.quote(str(done.warehouse))}")
    if run_violations(done.checks):
        raise typer.Exit(1)
