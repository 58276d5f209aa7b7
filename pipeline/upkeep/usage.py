"""What is in a warehouse, and how much room it takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pipeline.base.settings import LabelSettings
from pipeline.base.storage import Store
from pipeline.upkeep.vacuum import Leftover, find_leftovers
from pipeline.warehouse.contents import Inventory
from pipeline.warehouse.fresh import find_marts
from pipeline.warehouse.inventory import take_inventory
from pipeline.warehouse.last_build import read_build
from pipeline.warehouse.stale import explain_staleness

OTHER = "records"
"""What the size of everything that is no table is counted under."""


@dataclass(frozen=True)
class RunUsage:
    """One run."""

    run_id: str
    model_id: str
    layer_count: int
    unit_count: int
    example_count: int
    """Examples that were extracted."""
    shard_count: int
    """Shards that are done."""
    failed_shard_count: int
    is_compacted: bool
    created_at: str
    """UTC, ISO 8601."""
    bytes: dict[str, int]
    """Of all files by table, largest first."""


@dataclass(frozen=True)
class DatasetUsage:
    """One dataset and its runs."""

    name: str
    example_count: int
    rejected_count: int
    shard_count: int
    """Shards that are indexed."""
    missing_shard_count: int
    """Shards that failed, or are not indexed yet."""
    bytes: dict[str, int]
    """Of all its own files by table, largest first; without tars that lie elsewhere."""
    runs: tuple[RunUsage, ...]


@dataclass(frozen=True)
class Usage:
    """A warehouse."""

    url: str
    datasets: tuple[DatasetUsage, ...]
    marts_bytes: int
    stale: str
    """Why the marts cannot be used; empty if they can."""
    other_bytes: int
    """Of what is neither in a dataset nor a mart: pages, pictures, ``views.sql``."""
    leftovers: tuple[Leftover, ...]
    """What ``neurons vacuum`` would remove; their bytes are in those above as well."""
    left_out: tuple[str, ...]
    """What cannot be read, and why."""
    formats: tuple[int, ...]
    """Of the datasets and runs: `storage.FORMAT` when each was made."""

    @property
    def bytes(self) -> int:
        """Of everything below the warehouse's root."""
        inner = [dataset.bytes for dataset in self.datasets]
        inner += [run.bytes for dataset in self.datasets for run in dataset.runs]
        return sum(sum(each.values()) for each in inner) + self.marts_bytes + self.other_bytes


def measure_usage(store: Store) -> Usage:
    """Read all records and the size of every file.

    Raises:
        WarehouseError: There is no dataset.
    """
    inventory = take_inventory(store)
    sizes: dict[str, Counter[str]] = {}
    other = 0
    for rel, size in store.walk(""):
        folder, table = _place(rel)
        if folder:
            sizes.setdefault(folder, Counter())[table] += size
        else:
            other += size
    marts = sum(sizes.pop("marts", Counter()).values())
    datasets = tuple(_dataset(inventory, name, sizes) for name in inventory.datasets)
    known = {f"dataset={d.name}" for d in datasets}
    known |= {f"dataset={d.name}/run_id={run.run_id}" for d in datasets for run in d.runs}
    other += sum(sum(each.values()) for folder, each in sizes.items() if folder not in known)
    left_out = tuple(one.told for one in inventory.left_out)
    leftovers = tuple(find_leftovers(store))
    return Usage(
        store.url,
        datasets,
        marts,
        _why_stale(inventory),
        other,
        leftovers,
        left_out,
        tuple(sorted({_read_format(store, folder) for folder in known})),
    )


def _read_format(store: Store, folder: str) -> int:
    """Of the record of a dataset or a run that was read before."""
    name = "run.json" if "/run_id=" in folder else "dataset.json"
    return int(store.read_json(f"{folder}/{name}").get("format", 1))


def _place(rel: str) -> tuple[str, str]:
    """The folder of a dataset, a run or the marts, and the table."""
    parts = rel.split("/")
    if parts[0] == "marts":
        return "marts", ""
    if not parts[0].startswith("dataset="):
        return "", ""
    depth = 2 if parts[1].startswith("run_id=") else 1
    rest = parts[depth:]
    return "/".join(parts[:depth]), rest[0] if len(rest) > 1 else OTHER


def _dataset(inventory: Inventory, name: str, sizes: dict[str, Counter[str]]) -> DatasetUsage:
    shards = [shard for shard in inventory.shards if shard.dataset == name]
    done = [shard for shard in shards if shard.status == "done"]
    runs = [run for run in inventory.runs if run.dataset == name]
    return DatasetUsage(
        name,
        example_count=sum(shard.written_count for shard in done),
        rejected_count=sum(shard.rejected_count for shard in shards),
        shard_count=len(done),
        missing_shard_count=len(shards) - len(done),
        bytes=_sorted(sizes.get(f"dataset={name}", Counter())),
        runs=tuple(_run(inventory, run.dataset, run.run_id, sizes) for run in runs),
    )


def _run(
    inventory: Inventory, dataset: str, run_id: str, sizes: dict[str, Counter[str]]
) -> RunUsage:
    where = (dataset, run_id)
    (run,) = (r for r in inventory.runs if (r.dataset, r.run_id) == where)
    layers = [row for row in inventory.layers if (row.dataset, row.run_id) == where]
    shards = [row for row in inventory.run_shards if (row.dataset, row.run_id) == where]
    done = [row for row in shards if row.status == "done"]
    return RunUsage(
        run_id,
        run.model_id,
        layer_count=len(layers),
        unit_count=sum(row.unit_count for row in layers),
        example_count=sum(row.written_count for row in done),
        shard_count=len(done),
        failed_shard_count=len(shards) - len(done),
        is_compacted=run.is_compacted,
        created_at=run.created_at,
        bytes=_sorted(sizes.get(f"dataset={dataset}/run_id={run_id}", Counter())),
    )


def _sorted(sizes: Counter[str]) -> dict[str, int]:
    return {table: size for table, size in sizes.most_common() if size}


def _why_stale(inventory: Inventory) -> str:
    built = read_build(inventory.store)
    settings = built.settings if built else LabelSettings()
    stale = find_marts(inventory, settings, built).stale
    return explain_staleness(inventory, settings, built, stale) if stale else ""
