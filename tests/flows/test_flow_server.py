"""Without a server flows refuse at once; one that dies on the way stops neither the work nor the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flow_making import make_warehouse
from waiting import LIMIT_S, patience, wait_for

pytestmark = pytest.mark.flows

FLOW = """
import sys
from flow_making import make_config
from flows.extract import extract_flow

print("run", extract_flow(make_config(sys.argv[1]), shards_per_task=1))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(url: str, home: str | Path) -> dict[str, str]:
    paths = [str(Path(__file__).parent), *filter(None, sys.path)]
    return os.environ | {
        "PREFECT_API_URL": url,
        "PREFECT_HOME": str(home),
        "PYTHONPATH": os.pathsep.join(paths),
    }


@contextmanager
def own_server(log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """A server of one test: its process, URL and home."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    with tempfile.TemporaryDirectory(prefix="prefect-home-", ignore_cleanup_errors=True) as home:
        command = ("-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
        with log.open("wb") as out:
            server = subprocess.Popen(
                [sys.executable, *command],
                env=environment(url, home),
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            wait_for(lambda: is_there(f"{url}/health"), server, log.read_text)
            yield server, url, home
        finally:
            stop(server)


def is_there(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=patience(2)).read()
    except (urllib.error.URLError, OSError):
        return False
    return True


def stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.mark.parametrize(
    ("command", "code"),
    [(("-m", "flows.serve"), 2), (("-m", "flows.train_nano", "nano"), 2), (("-c", FLOW, "w"), 1)],
    ids=["serve", "train_nano", "a flow"],
)
def test_without_a_server_nothing_begins(
    command: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port()}/api"
    done = subprocess.run(
        [sys.executable, *command],
        env=environment(url, tmp_path / "home"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == code, done.stderr
    assert f"StorageError: There is no Prefect server at PREFECT_API_URL={url}" in done.stderr
    assert "prefect server start" in done.stderr
    # A script of the user's shows its own, with nothing of ours but the error.
    assert done.stderr.count("Traceback") == (code == 1)
    assert not (tmp_path / "w").exists() and not (tmp_path / "nano").exists()


def test_a_server_that_dies_on_the_way(tars: Path, tmp_path: Path) -> None:
    """All work is done, the flow returns what it made, and soon."""
    warehouse = make_warehouse(tmp_path, [tars])
    manifests = Path(warehouse) / "dataset=d/run_id=r/manifests"
    log = tmp_path / "flow.log"
    with own_server(tmp_path / "server.log") as (server, url, home), log.open("w") as out:
        flow = subprocess.Popen(
            [sys.executable, "-c", FLOW, warehouse],
            env=environment(url, home),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(lambda: list(manifests.glob("*.json")), flow, log.read_text)
            stop(server)
            # It used to go on for minutes.
            assert flow.wait(timeout=patience(60)) == 0, log.read_text()
        finally:
            flow.kill()
            flow.wait()
    assert len(list(manifests.glob("*.json"))) == 6
    said = log.read_text()
    assert "run r" in said
    assert said.count("Prefect's server is lost") == 1
