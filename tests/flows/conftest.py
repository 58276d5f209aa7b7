"""One real Prefect server for all tests of the flows."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before anything imports Prefect: it reads these once. A home of our own, and nothing sent anywhere.
HOME = tempfile.TemporaryDirectory(prefix="prefect-home-", ignore_cleanup_errors=True)
os.environ["PREFECT_HOME"] = HOME.name
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
for service in (
    "LATE_RUNS",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
    "CLEANUP_RECONCILER",
    "TRIGGERS",
    "FOREMAN",
):
    # They look into the database every few seconds, for what no flow here does.
    os.environ[f"PREFECT_SERVER_SERVICES_{service}_ENABLED"] = "false"

import pytest  # noqa: E402
from flow_making import make_config, make_warehouse, noise, read_activations  # noqa: E402
from making import make_record, write_tar  # noqa: E402
from waiting import LIMIT_S  # noqa: E402


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a server on the loopback, with a database of its own; for processes that tests start too."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with (
        pytest.MonkeyPatch.context() as patch,
        prefect_test_harness(server_startup_timeout=LIMIT_S),
    ):
        url = str(PREFECT_API_URL.value())
        patch.setenv("PREFECT_API_URL", url)  # else each starts a server of its own
        yield url


@pytest.fixture(scope="session")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six shards of twelve images with captions, no two alike."""
    folder = tmp_path_factory.mktemp("tars")
    for shard in range(6):
        samples = [
            {
                "__key__": f"{n:06d}",
                "jpg": noise(n),
                "json": make_record(f"The flag of Japan, no. {n}"),
            }
            for n in range(shard * 12, shard * 12 + 12)
        ]
        write_tar(folder / f"{shard:05d}.tar", samples)
    return folder


@pytest.fixture(scope="session")
def expected(tars: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an extraction without Prefect, without interruption and in one go gives."""
    from pipeline.extract.run import extract

    warehouse = make_warehouse(tmp_path_factory.mktemp("expected"), [tars])
    extract(make_config(warehouse))
    tables = read_activations(warehouse)
    assert len(tables) >= 6
    return tables
