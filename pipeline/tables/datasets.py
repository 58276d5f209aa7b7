"""Datasets and their shards as the warehouse knows them: an ordered, append-only list."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pipeline.base.errors import ConfigError, ShardError, SourceError, WarehouseError
from pipeline.base.places import is_url
from pipeline.base.storage import Store, partition
from pipeline.tables.columns import EXAMPLE_ID_BITS
from pipeline.tables.manifest_files import read_manifest
from pipeline.tables.manifests import DatasetRecord, FileEntry, ShardEntry, ShardManifest
from pipeline.tables.records import read_record
from pipeline.tables.runs import RunRecord

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Shard:
    """One tar of a dataset. ``ordinal`` never changes once it is registered."""

    ordinal: int
    name: str
    """The tar's name without ``.tar``, unique in the dataset."""
    url: str
    """Where the tar lies: absolute, or relative to the warehouse for shards that we wrote. Empty if the
    list was restored from manifests that do not say it."""
    size_bytes: int
    """Size when it was indexed; another size means another file, which is an error."""

    @property
    def entry(self) -> ShardEntry:
        """The shard as ``dataset.json`` has it."""
        return {
            "ordinal": self.ordinal,
            "name": self.name,
            "url": self.url,
            "size_bytes": self.size_bytes,
        }

    def example_id(self, position: int) -> int:
        """The id of the sample at ``position`` (0-based) in this shard."""
        return (self.ordinal << EXAMPLE_ID_BITS) + position


@dataclass(frozen=True)
class Dataset:
    """A registered dataset."""

    name: str
    source: str
    """Which source made it: img2dataset, wit, wit-base, folder, webdataset, openmoji. Shards that another
    one added say so in their manifests."""
    shards: tuple[Shard, ...]
    duplicates: str = "exact"
    """What counts as one image: ``exact``, identical files; ``near``, copies of them as well."""


def check_name(name: str, what: str = "dataset") -> str:
    """Return ``name`` if it can name a folder.

    Raises:
        ConfigError: It cannot.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot name a {what}.",
            "Use letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 100.",
        )
    return name


def dataset_folder(dataset: str) -> str:
    """The dataset's folder in the warehouse."""
    return partition(dataset=check_name(dataset))


def run_folder(dataset: str, run_id: str) -> str:
    """The run's folder in the warehouse."""
    return f"{dataset_folder(dataset)}/{partition(run_id=run_id)}"


def list_datasets(store: Store) -> list[str]:
    """Names of the registered datasets, sorted."""
    folders = (name for name in store.list("") if name.startswith("dataset="))
    names = (name.removeprefix("dataset=") for name in folders)
    return [name for name in names if NAME.fullmatch(name) and is_registered(store, name)]


def is_registered(store: Store, name: str) -> bool:
    """Whether there is a dataset of that name, even if its list of shards is gone."""
    return holds_dataset(store, dataset_folder(name))


def holds_dataset(store: Store, folder: str) -> bool:
    """Whether a folder holds a dataset, whatever it is called and even if its list of shards is gone."""
    return store.exists(f"{folder}/dataset.json") or bool(
        store.list(f"{folder}/manifests", ".json")
    )


def read_dataset(store: Store, name: str) -> Dataset:
    """Read a registered dataset.

    Raises:
        WarehouseError: There is none of that name.
    """
    if not is_registered(store, name):
        known = ", ".join(list_datasets(store)) or "none"
        raise WarehouseError(
            f"There is no dataset {name!r} in {store.url}.",
            f"Datasets there: {known}. Make one with: neurons ingest SOURCE PATH --dataset {name}",
        )
    return read_dataset_folder(store, dataset_folder(name))


def read_dataset_folder(store: Store, folder: str) -> Dataset:
    """Read the dataset that a folder holds.

    Raises:
        WarehouseError: Its list of shards is gone or not what we write, or the folder was renamed.
    """
    path = f"{folder}/dataset.json"
    if not store.exists(path):
        raise lost_list(store, folder)
    return make_dataset(store, folder, read_record(store, path, DatasetRecord))


def lost_list(store: Store, folder: str) -> WarehouseError:
    """What to say of a dataset whose list of shards is gone."""
    return WarehouseError(
        f"{store.uri(folder)}/dataset.json is gone, but shards of the dataset are indexed.",
        "Make it again, from what their manifests say, with: "
        f"neurons repair --dataset {folder.removeprefix('dataset=')}",
    )


def make_dataset(store: Store, folder: str, record: DatasetRecord) -> Dataset:
    """The dataset that the record in a folder tells of.

    Raises:
        WarehouseError: The folder was renamed.
    """
    check_folder(store, folder, record)
    duplicates = record.get("duplicates", "exact")
    return Dataset(record["dataset"], record["source"], list_shards(record), duplicates)


def list_shards(record: DatasetRecord) -> tuple[Shard, ...]:
    """The shards that ``dataset.json`` names, in its order."""
    return tuple(
        Shard(shard["ordinal"], shard["name"], shard["url"], shard["size_bytes"])
        for shard in record["shards"]
    )


def check_folder(store: Store, folder: str, record: DatasetRecord) -> None:
    """Every record names files by the dataset's own name, so its folder cannot have another.

    Raises:
        WarehouseError: The folder was renamed, or the record's name can be no folder's.
    """
    try:
        named = dataset_folder(record["dataset"])
    except ConfigError as error:
        raise WarehouseError(
            f"{store.uri(folder)}/dataset.json is not what we write there: {error.message}",
            "Something else changed it: neurons check says what is damaged, neurons repair makes it again.",
        ) from error
    _check_name(store, folder, named, "dataset")


def check_file_folder(store: Store, folder: str, file: FileEntry) -> None:
    """The files of a dataset or a run lie in its folder.

    Raises:
        WarehouseError: It is a copy of another one, that was given a name of its own.
    """
    if not file["path"].startswith(f"{folder}/"):
        raise WarehouseError(
            f"{store.uri(folder)} was copied from another place: its records name {file['path']}.",
            "Move the copy out of the warehouse.",
        )


def check_run_folder(store: Store, folder: str, record: RunRecord) -> None:
    """As `check_folder`, for the folder of a run.

    Raises:
        WarehouseError: The folder was renamed.
    """
    above = folder.rpartition("/")[0]
    _check_name(store, folder, f"{above}/{partition(run_id=record['run_id'])}", "run")


def _check_name(store: Store, folder: str, named: str, what: str) -> None:
    if folder != named:
        own = named.rpartition("=")[2]
        raise WarehouseError(
            f"{store.uri(folder)} holds the {what} {own!r}: the folder was renamed or copied, and its "
            "files are not found by another name.",
            f"Give it its name again: {named}. Move a copy out of the warehouse.",
        )


def write_dataset(store: Store, dataset: Dataset) -> None:
    """Register a dataset, or the longer list of shards of one.

    Raises:
        SourceError: The list does not begin with the shards that are registered already. Only the
            size of a shard whose index is not done (it failed, or was interrupted) may differ.
    """
    folder = dataset_folder(dataset.name)
    if store.exists(f"{folder}/dataset.json"):
        known = read_dataset(store, dataset.name).shards
        kept = dataset.shards[: len(known)]
        if len(kept) != len(known) or not all(
            old == new or _may_replace(store, folder, old, new)
            for old, new in zip(known, kept, strict=True)
        ):
            raise SourceError(
                f"Dataset {dataset.name!r} would lose or change shards that are registered already.",
                "A dataset's list of shards only grows. Give the changed data another --dataset name.",
            )
    register(store, dataset)


def register(store: Store, dataset: Dataset) -> None:
    """Write a dataset's list of shards, whatever was there: see `write_dataset`."""
    store.write_record(
        f"{dataset_folder(dataset.name)}/dataset.json",
        {
            "dataset": dataset.name,
            "source": dataset.source,
            "duplicates": dataset.duplicates,
            "shards": [shard.entry for shard in dataset.shards],
        },
        with_copy=True,
    )


def _may_replace(store: Store, folder: str, old: Shard, new: Shard) -> bool:
    """Whether ``new`` only says where a restored shard lies, or has another size that nothing rests on."""
    if not old.url and replace(old, url=new.url) == new:
        return True
    if replace(old, size_bytes=new.size_bytes) != new:
        return False
    manifest = read_manifest(store, folder, old.ordinal)
    return manifest is None or manifest["status"] != "done"


def shard_url(store: Store, shard: Shard) -> str:
    """The full URL or path of a shard's tar.

    Raises:
        ShardError: Where it lies is not known any more.
    """
    if not shard.url:
        raise ShardError(
            f"Where the tar of shard {shard.name!r} ({shard.size_bytes:,} bytes) lies is not known: the "
            "dataset's list of shards was restored from its manifests.",
            "Run the same neurons ingest again, with the paths of all its tars.",
        )
    return full_url(store, shard.url)


def full_url(store: Store, url: str) -> str:
    """The full URL or path of a tar whose ``url`` may be relative to the warehouse."""
    relative = not (url.startswith("/") or url[1:3] == ":\\" or is_url(url))
    return store.uri(url) if relative else url


def check_shard(manifest: ShardManifest, shard: Shard | None, place: str) -> None:
    """Refuse a manifest that is of another shard than the one that its dataset has in that place.

    Args:
        manifest: Of an index or of a run.
        shard: The shard of the same ordinal; None if the dataset's list is shorter.
        place: Where the manifest lies, for the message.

    Raises:
        WarehouseError: It is done, and of a shard of another name or size.
    """
    said = (manifest["shard"], manifest.get("size_bytes", shard.size_bytes if shard else None))
    if manifest["status"] != "done" or (shard and said == (shard.name, shard.size_bytes)):
        return
    there = f"{shard.name} of {shard.size_bytes:,} bytes" if shard else "no shard"
    raise WarehouseError(
        f"The manifest of shard {manifest['ordinal']} in {place} is of {manifest['shard']} "
        f"({manifest.get('size_bytes', 'unknown')} bytes), but dataset.json has {there} in that "
        "place: it is not the list that these shards were indexed by.",
        "Leave the manifests as they are. Make the list again from them with: neurons repair",
    )
