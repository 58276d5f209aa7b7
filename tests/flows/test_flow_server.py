"""Without a server flows refuse at once; one that dies on the way stops neither the work nor the end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

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
def mortal(server: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """The URL of a relay to a server, and what ends it: to its clients that is the server's death."""
    place = urlsplit(server)
    listener = socket.create_server(("127.0.0.1", 0))
    ends, is_dead = [listener], threading.Event()

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        end(source, target)

    def end(*sockets: socket.socket) -> None:
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client = listener.accept()[0]
                there = socket.create_connection((place.hostname, place.port))
                ends.extend((client, there))
                if is_dead.is_set():
                    return end(client, there)
                for pair in ((client, there), (there, client)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    def die() -> None:
        is_dead.set()
        end(*ends)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api", die
    finally:
        die()
        thread.join()
        for one in ends:
            one.close()


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


def test_a_server_that_dies_on_the_way(server: str, tars: Path, tmp_path: Path) -> None:
    """All work is done, the flow returns what it made, and soon."""
    warehouse = make_warehouse(tmp_path, [tars])
    manifests = Path(warehouse) / "dataset=d/run_id=r/manifests"
    log = tmp_path / "flow.log"
    with mortal(server) as (url, die), log.open("w") as out:
        flow = subprocess.Popen(
            [sys.executable, "-c", FLOW, warehouse],
            env=environment(url, tmp_path / "home"),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(lambda: list(manifests.glob("*.json")), flow, log.read_text)
            die()
            # It used to go on for minutes.
            assert flow.wait(timeout=patience(60)) == 0, log.read_text()
        finally:
            flow.kill()
            flow.wait()
    assert len(list(manifests.glob("*.json"))) == 6
    said = log.read_text()
    assert "run r" in said
    assert said.count("Prefect's server is lost") == 1
