"""What opening a warehouse costs, from import to the first row, as the number of its shards grows.

Modules have been compiled before, as they have for whoever starts a program for the second time.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from subprocess import check_output

from bench.data import make_warehouse
from bench.timing import Report, Row
from pipeline.base.checksums import seal
from pipeline.base.storage import FORMAT, Store
from pipeline.tables.snapshots import drop_snapshots, list_folders, write_snapshots

TARGETS = {10: "0.3", 1_000: "0.3", 11_500: "0.6"}
"""CPU seconds by the number of shards; WIT has 11,500 of 1,000 images."""

_OPEN = """
import time
from pipeline.warehouse.connect import connect
with connect({place!r}) as connection:
    connection.execute("from runs").fetchall()
print(time.process_time())
"""


def report(quick: bool) -> Report:
    """Warehouses whose shards are many names of one: their manifests and files are all there."""
    rounds = 1 if quick else 4
    yield "opening a warehouse, import to first row"
    for count in [10, 100] if quick else TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "warehouse"
            make_warehouse(str(place), 1, 64, 16)
            _multiply(place, count)
            write_snapshots(Store(place))
            whole = _open(place, rounds)
            for one in list_folders(Store(place)):
                drop_snapshots(Store(place), one)
            without = _open(place, rounds)
        yield Row(f"{count:,} shards", whole, "CPU s", target=TARGETS.get(count, ""))
        yield Row(f"{count:,} shards: without / with snapshots", without / whole, "x")


def _open(place: Path, rounds: int) -> float:
    """CPU seconds of a process, start and imports included: the least of so many."""
    command = [sys.executable, "-c", _OPEN.format(place=str(place))]
    with tempfile.TemporaryDirectory() as compiled:
        told = os.environ | {"PYTHONPYCACHEPREFIX": compiled}
        told.pop("PYTHONDONTWRITEBYTECODE", None)
        return min(
            float(check_output(command, text=True, env=told).split()[-1]) for _ in range(rounds)
        )


def _multiply(place: Path, count: int) -> None:
    """Give the one shard of a warehouse ``count`` ordinals; its files are links."""
    (file,) = place.glob("dataset=*/dataset.json")
    record = json.loads(file.read_bytes())
    (shard,) = record["shards"]
    record["shards"] = [{**shard, "ordinal": n, "name": f"{n:05d}"} for n in range(count)]
    file.write_bytes(seal({**record, "format": FORMAT}))
    for manifests in [*place.glob("dataset=*/manifests"), *place.glob("*/run_id=*/manifests")]:
        manifest = json.loads((manifests / "00000.json").read_bytes())
        for n in range(count):
            files = [{**f, "path": _numbered(f["path"], n)} for f in manifest["files"]]
            one = {**manifest, "ordinal": n, "shard": f"{n:05d}", "files": files, "format": FORMAT}
            (manifests / f"{n:05d}.json").write_bytes(seal(one))
            for old, new in zip(manifest["files"] if n else [], files, strict=bool(n)):
                os.link(place / old["path"], place / new["path"])


def _numbered(path: str, ordinal: int) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/{name.replace('00000', f'{ordinal:05d}')}"
