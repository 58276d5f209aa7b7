"""``python -m flows.serve``: all flows served on one machine, the whole job every night.

Deployments, with the same names as in prefect.yaml: ``extract/manual``, ``attack/manual``,
``stroop/manual``, ``effect/manual``, ``ablate/manual``, ``facet-probes/manual``, ``visualise/manual``,
``build/manual``, ``dataset/manual`` and ``dataset/nightly``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from prefect import serve
from prefect.deployments.runner import RunnerDeployment
from prefect.types.entrypoint import EntrypointType

from flows.build import build_flow
from flows.dataset import dataset_flow
from flows.effects import ablate_flow, effect_flow
from flows.extract import extract_flow
from flows.server import check_server
from flows.stroop import stroop_flow
from flows.typographic import attack_flow
from flows.visualise import facet_probes_flow, visualise_flow
from pipeline.base.display import complain
from pipeline.base.errors import NeuronsError
from pipeline.base.job_file import load_config
from pipeline.jobs.job import default_job

CRON = "0 2 * * *"


def make_deployments(config: str | None, warehouse: str, cron: str) -> list[RunnerDeployment]:
    """The deployments to serve.

    Args:
        config: A TOML file as ``neurons run`` takes it, read again by every run; None for the demo.
        warehouse: Where the demo goes, and what ``build`` builds if there is no ``config``.
        cron: When the nightly run begins, in UTC.

    Raises:
        ConfigError: The file is missing or wrong.
    """
    job: Any = str(Path(config).resolve()) if config else asdict(default_job(warehouse))
    place = load_config(config).warehouse if config else warehouse
    # By module path: a run then imports the same modules that task runners in other processes do.
    kind = EntrypointType.MODULE_PATH
    made = [
        extract_flow.to_deployment("manual", entrypoint_type=kind),
        attack_flow.to_deployment("manual", entrypoint_type=kind),
        stroop_flow.to_deployment("manual", entrypoint_type=kind),
        effect_flow.to_deployment("manual", entrypoint_type=kind),
        ablate_flow.to_deployment("manual", entrypoint_type=kind),
        facet_probes_flow.to_deployment("manual", entrypoint_type=kind),
        visualise_flow.to_deployment("manual", entrypoint_type=kind),
        build_flow.to_deployment("manual", parameters={"warehouse": place}, entrypoint_type=kind),
        dataset_flow.to_deployment("manual", parameters={"config": job}, entrypoint_type=kind),
        dataset_flow.to_deployment(
            "nightly", parameters={"config": job}, cron=cron, entrypoint_type=kind
        ),
    ]
    return cast(list[RunnerDeployment], made)  # not coroutines: there is no event loop here


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted. Runs start in processes of their own."""
    parser = argparse.ArgumentParser(prog="python -m flows.serve", description=__doc__)
    parser.add_argument("config", nargs="?", help="TOML file of the job; default: the demo")
    parser.add_argument(
        "--warehouse",
        default=os.environ.get("NEURONS_WAREHOUSE", "warehouse"),
        help="folder or URL for the demo (NEURONS_WAREHOUSE)",
    )
    parser.add_argument("--cron", default=CRON, help="when the nightly run begins, UTC")
    parser.add_argument("--limit", type=int, default=1, help="flow runs at once")
    given = parser.parse_args(arguments)
    try:
        check_server()
    except NeuronsError as error:
        complain(f"{type(error).__name__}: {error}")
        sys.exit(2)
    serve(*make_deployments(given.config, given.warehouse, given.cron), limit=given.limit)


if __name__ == "__main__":
    main()
