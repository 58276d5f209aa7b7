"""The explorer: server time of each kind of page, and twenty readers at once.

A server of its own is asked over loopback, one request at a time; the time until its last byte is told, images
left out (the synthetic warehouse has none). Beside it stands a request that asks DuckDB ``select 1``. Cold: the
first of its kind, before anything is held in memory.
"""

from __future__ import annotations

import http.client
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.timing import Report, Row
from pipeline.warehouse.connect import connect
from pipeline.web.links import ServerLinks
from pipeline.web.pages.neuron import PANELS

NOTHING = "/select-1"
"""The address of a request that asks nothing."""

READERS = 20
SEED = 0


@dataclass(frozen=True)
class Size:
    """A warehouse of one run of one layer, and how long it is asked."""

    shards: int
    images: int
    units: int
    concepts: int
    rounds: int
    """Requests of each kind of page."""
    minutes: float
    """Of all readers at once."""


QUICK = Size(2, 400, 16, 4, 3, 0.02)
USUAL = Size(20, 100_000, 2_560, 50, 40, 1)


def report(quick: bool, full: bool = False) -> Report:
    """Pages of a warehouse that is built.

    Args:
        quick: A tiny one.
        full: Beside a running extraction too.
    """
    from bench.data import make_warehouse  # torch: the server, which is this module too, has none
    from pipeline.upkeep.build import build

    size = QUICK if quick else USUAL
    with tempfile.TemporaryDirectory() as folder:
        per_shard = size.images // size.shards
        make_warehouse(folder, size.shards, per_shard, size.units, concept_count=size.concepts)
        build(folder)
        yield f"web: {size.images:,} images x {size.units:,} units"
        yield from measure(folder, size)
        if full:
            yield "web: the same beside a running extraction"
            with extracting():
                yield from measure(folder, size)


def measure(warehouse: str, size: Size) -> Report:
    """A server over a warehouse: its first page, each kind of page, many readers."""
    yield Row("first page after the command", first_page(warehouse), "s", target="2")
    pages = list_pages(warehouse)
    with serving(warehouse) as server:
        cold = {kind: server.ask(addresses[0]) for kind, addresses in pages.items()}
        server.wait_until_held()
        warm, cpu_s = ask_in_turn(server, pages, size.rounds)
        bare = statistics.median(warm[NOTHING])
        for kind, times in warm.items():
            median = statistics.median(times)
            note = f"p95 {percentile(times, 95) * 1e3:,.0f}, cold {cold[kind] * 1e3:,.0f}"
            if cpu_s[kind]:
                note += f"; CPU {cpu_s[kind] / len(times) * 1e3:,.0f}"
            if kind != NOTHING:
                note += f"; {median / bare:,.1f} x select 1"
            target = "50, p95 150" if kind.startswith(("neuron", "grid")) else ""
            yield Row(kind, median * 1e3, "ms", note, target)
        yield from _crowd(server, pages, size.minutes)


def list_pages(warehouse: str) -> dict[str, list[str]]:
    """Addresses of each kind of page, in a seeded order."""
    with connect(warehouse) as connection:
        layers = connection.execute(
            "select dataset, run_id, layer, unit_count from stg_layers order by all limit 1"
        ).fetchall()
        (category,) = connection.execute(
            "select coalesce(min(category), '') from neuron_labels"
        ).fetchall()[0]
    ((dataset, run_id, layer, unit_count),) = layers
    links, draw = ServerLinks("bench"), random.Random(SEED)
    units = draw.sample(range(unit_count), min(unit_count, 64))
    of_layer = [
        ("grid", {}),
        ("grid of a category", {"category": category or None}),
        ("grid, searched", {"q": "a"}),
        ("grid, a late page", {"page": max(1, unit_count // 96)}),
        ("table", {"view": "table"}),
        ("table, sorted", {"view": "table", "sort": "clarity"}),
    ]

    def of_neuron(**query: str | int | None) -> list[str]:
        return [links.unit(dataset, run_id, layer, unit, **query) for unit in units]

    return {
        NOTHING: [NOTHING],
        "overview": [links.overview()],
        "run": [links.run(dataset, run_id)],
        **{kind: [links.layer(dataset, run_id, layer, **query)] for kind, query in of_layer},
        "neuron": of_neuron(),
        "neuron, all panels": of_neuron(whole=1),
        **{
            f"panel: {panel.name}": of_neuron(panel=panel.name) for panel in PANELS if panel.is_late
        },
    }


def ask_in_turn(
    server: Server, pages: Mapping[str, Sequence[str]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of every request, and CPU seconds of all, by kind of page; each round asks all kinds."""
    times: dict[str, list[float]] = defaultdict(list)
    cpu_s: dict[str, float] = defaultdict(float)
    for number in range(rounds):
        for kind, addresses in pages.items():
            before = server.cpu_s()
            times[kind].append(server.ask(addresses[number % len(addresses)]))
            cpu_s[kind] += server.cpu_s() - before
    return times, cpu_s


def percentile(values: Sequence[float], share: int) -> float:
    """The least value that so many per cent do not exceed."""
    ordered = sorted(values)
    return ordered[-(-len(ordered) * share // 100) - 1]


@dataclass
class Server:
    """A process that serves a warehouse."""

    process: subprocess.Popen[str]
    port: int
    _local: threading.local = field(default_factory=threading.local)

    def ask(self, address: str) -> float:
        """Seconds until the last byte of an answer.

        Raises:
            OSError: It does not answer, or something else than 200.
        """
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
            self._local.connection = connection
        began = time.perf_counter()
        connection.request("GET", address)
        answer = connection.getresponse()
        answer.read()
        took = time.perf_counter() - began
        if answer.status != 200:
            raise OSError(f"{address}: {answer.status}")
        return took

    def wait_until_held(self) -> None:
        """Until it has copied into memory what it will."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def cpu_s(self) -> float:
        """CPU time that it has taken, to a hundredth of a second; 0 where the system does not say."""
        try:
            text = Path(f"/proc/{self.process.pid}/stat").read_text()
        except OSError:
            return 0.0
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float | None:
        """What it holds now; None where the system does not say."""
        try:
            text = Path(f"/proc/{self.process.pid}/statm").read_text()
        except OSError:
            return None
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@contextmanager
def serving(warehouse: str) -> Iterator[Server]:
    """A server in a process of its own."""
    command = [sys.executable, "-m", "bench.web", "serve", warehouse]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Server(process, int(process.stdout.readline()))
        finally:
            process.terminate()


def first_page(warehouse: str) -> float:
    """Seconds from the start of the command to the whole of its first page."""
    command = [sys.executable, "-m", "pipeline.cli", "explore", "--port", "0"]
    began = time.perf_counter()
    with subprocess.Popen(
        [*command, "--warehouse", warehouse], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline().rstrip("/\n").rpartition(":")[2])
            Server(process, port).ask("/")
            return time.perf_counter() - began
        finally:
            process.terminate()


def _crowd(server: Server, pages: Mapping[str, Sequence[str]], minutes: float) -> Report:
    """Readers that ask one page after the other, all at once."""
    kinds = [kind for kind in pages if kind != NOTHING]
    until = time.monotonic() + 60 * minutes
    times: list[float] = []
    failed: list[str] = []

    def read(reader: int) -> None:
        draw = random.Random(reader)
        while time.monotonic() < until:
            try:
                times.append(server.ask(draw.choice(pages[draw.choice(kinds)])))
            except (OSError, http.client.HTTPException) as error:
                failed.append(str(error))

    before = server.memory_mib()
    readers = [threading.Thread(target=read, args=(number,)) for number in range(READERS)]
    for reader in readers:
        reader.start()
    half = None
    time.sleep(30 * minutes)
    half = server.memory_mib()
    for reader in readers:
        reader.join()
    after = server.memory_mib()
    note = f"{len(times)} pages, p95 {percentile(times, 95) * 1e3:,.0f} ms"
    yield Row(f"{READERS} readers at once", statistics.median(times) * 1e3, "ms", note)
    yield Row("of their requests failed", len(failed), "", failed[0] if failed else "", "0")
    if before and half and after:
        note = f"before {before:,.0f}, halfway {half:,.0f}, after {after:,.0f} MiB"
        yield Row("memory after / halfway", after / half, "x", note, "1: flat")


@contextmanager
def extracting() -> Iterator[None]:
    """Beside it, extractions of a model with random weights, one after the other, in another process."""
    from bench.data import Shards, ingest_shards

    with tempfile.TemporaryDirectory() as folder:
        ingest_shards(folder, Shards(2, 400))
        command = [sys.executable, "-m", "bench.web", "extract", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()  # it has begun
            try:
                yield
            finally:
                process.kill()


def _serve(warehouse: str) -> None:
    """Say the port; after a line on standard input, and once all is held, another line."""
    import uvicorn

    from pipeline.web.app import make_app
    from pipeline.web.door import Door
    from pipeline.web.guard import LOOPBACK
    from pipeline.web.server import listen

    door = Door(warehouse, holds=True)
    app = make_app(door, LOOPBACK)

    def nothing() -> dict[str, int]:
        with door.cursor() as cursor:
            ((one,),) = cursor.execute("select 1").fetchall()
        return {"one": one}

    app.add_api_route(NOTHING, nothing)
    app.router.routes.insert(0, app.router.routes.pop())  # before the names of datasets
    listener = listen("127.0.0.1", 0)

    def tell() -> None:
        print(listener.getsockname()[1], flush=True)
        if sys.stdin.readline():
            if door.holding is not None:
                door.holding.wait()
            print("held", flush=True)

    threading.Thread(target=tell, daemon=True).start()
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])
    door.close()


def _extract(warehouse: str) -> None:
    """Extract for ever: each time another number of top images, so that nothing is done already."""
    from pipeline.base.progress import NoProgress
    from pipeline.base.settings import ExtractConfig
    from pipeline.extract.run import extract

    print("begun", flush=True)
    for number in range(1, 1 << 20):
        config = ExtractConfig(warehouse, "bench", "RN-demo:random", ("goh2021",), top_k=number)
        extract(config, NoProgress())


if __name__ == "__main__":
    {"serve": _serve, "extract": _extract}[sys.argv[1]](sys.argv[2])
