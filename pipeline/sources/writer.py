"""Sources that hold no tars: their examples become shards of our normal form, then the index.

A written shard is deterministic, byte for byte. Its manifest says how many items of the source it
used up, and their hash; a later run passes over those items and goes on behind them. So the source
must give the same items in the same order, and may only grow at its end.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, NoReturn

from pipeline.base.errors import ExampleError, SourceError
from pipeline.base.names import find_hidden
from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import IngestConfig
from pipeline.base.storage import Store
from pipeline.sources.header import sniff_extension
from pipeline.sources.index import index_shard
from pipeline.sources.notices import Notice, PassedOver
from pipeline.sources.register import is_done, open_dataset, register_shards
from pipeline.sources.source_notes import SourceNotes, SourceNotice, SourceReject
from pipeline.sources.stimulus import Stimulus
from pipeline.sources.texts.source_text import SourceText, drop_repeats, split_concepts
from pipeline.tables.datasets import (
    Dataset,
    dataset_folder,
)
from pipeline.tables.manifest_files import shard_file
from pipeline.tables.manifests import ShardManifest
from pipeline.tables.presence import Presence, read_whole_manifest

_MIN_ITEMS = 100_000
"""A shard is closed at 16 x shard_size items, but not before this many, however few have images."""


@dataclass(frozen=True)
class SourceExample:
    """One item of a source."""

    key: str
    """Name that leads back to the source; dots and repeats are replaced when it is written."""
    image: bytes | Callable[[], bytes]
    """The image file's bytes, or a function that reads them and may raise ExampleError."""
    extension: str = ""
    """Extension of the image, without the dot; empty takes the one that suits the bytes."""
    texts: Sequence[SourceText] = ()
    """Its texts in our normal form, in order."""
    url: str | None = None
    """Where the image came from."""
    stimulus: Stimulus | None = None
    """What it shows by construction, if it is a controlled stimulus."""
    notices: tuple[Notice, ...] = ()
    """What was left out of it."""


def ingest_examples(
    store: Store,
    config: IngestConfig,
    source: str,
    items: Iterable[SourceExample],
    progress: ProgressCallback,
    passed_over: PassedOver | None = None,
) -> None:
    """Write shards of ``config.shard_size`` examples and index each, going on where a run stopped.

    An item whose image cannot be read becomes a reject of the shard that is being filled, with
    stage ``source``. A shard that had failed is written again from the same items. What the source
    has passed over by its end, and no earlier shard tells of, is told with the last shard.

    Raises:
        SourceError: The source has nothing, or no longer gives the items of the shards that are
            done.
        StorageError: The warehouse cannot be written.
    """
    folder = dataset_folder(config.dataset)
    dataset = open_dataset(store, config.dataset, source, config.duplicates)
    stream, presence = _ItemStream(items), Presence(store)
    told: Counter[tuple[str, str]] = Counter()
    progress.start("shards", None)
    try:
        for ordinal in range(10**9):
            path = shard_file(folder, "shards", ordinal, ".tar")
            manifest = read_whole_manifest(store, folder, ordinal, presence)
            if _is_of_another(dataset, ordinal, path, manifest, source):
                continue
            if manifest is not None and is_done(manifest):
                _pass_over(stream, manifest, config.dataset)
                told.update({(r, k): n for r, k, n in manifest.get("passed_over", [])})
                progress.advance(1)
                continue
            count = None if manifest is None else manifest.get("source_count")
            if stream.is_empty():
                break
            filler = _ShardFiller(stream, config, count)
            written = store.write_with(path, filler.write)
            dataset, (shard,) = register_shards(store, dataset, [(path, written.bytes)])
            notes = replace(filler.notes(), tar_checksum=written.checksum)
            if passed_over is not None and stream.is_empty():
                notes = replace(notes, passed_over=passed_over.counts - told)
            done = index_shard(store, dataset, shard, config.max_reject_frac, notes, source)
            progress.advance(1, describe_manifest(done))
        _drop_unregistered(store, folder, len(dataset.shards))
        if not dataset.shards:
            raise SourceError(
                f"The source {source} has no images.", "Check the paths that were given."
            )
    finally:
        progress.finish()


def _drop_unregistered(store: Store, folder: str, count: int) -> None:
    """Delete tars that a killed run had written and not registered, and that the source no longer fills."""
    for name in store.list(f"{folder}/shards", ".tar"):
        stem = name.removesuffix(".tar")
        if stem.isdigit() and int(stem) >= count:
            store.delete(f"{folder}/shards/{name}")


def _is_of_another(
    dataset: Dataset, ordinal: int, path: str, manifest: ShardManifest | None, source: str
) -> bool:
    """Whether a shard came from another source than this one: it is left alone."""
    if manifest is not None and manifest.get("source", dataset.source) != source:
        return True
    known = dataset.shards[ordinal].url if ordinal < len(dataset.shards) else path
    return known not in ("", path)


def make_reject(key: str, reason: str, detail: str, url: str | None = None) -> SourceExample:
    """An item of the source that has no image to give, and why."""

    def read_image() -> NoReturn:
        raise ExampleError(reason, detail)

    return SourceExample(key, read_image, url=url)


def describe_manifest(manifest: Mapping[str, Any]) -> str:
    """One line about a shard that was indexed."""
    line = (
        f"{manifest['shard']} {manifest['status']}, {manifest['written_count']:,} examples, "
        f"{manifest['rejected_count']:,} rejects"
    )
    return f"{line}: {manifest['error'].splitlines()[0]}" if manifest["error"] else line


class _ItemStream(Iterator[SourceExample]):
    """The items of a source, with a way to put one back."""

    def __init__(self, items: Iterable[SourceExample]) -> None:
        self._items = iter(items)
        self._pushed: list[SourceExample] = []

    def __next__(self) -> SourceExample:
        return self._pushed.pop() if self._pushed else next(self._items)

    def push(self, item: SourceExample) -> None:
        """Make ``item`` the next one."""
        self._pushed.append(item)

    def is_empty(self) -> bool:
        """Whether nothing is left."""
        item = next(self, None)
        if item is not None:
            self.push(item)
        return item is None


@dataclass
class _ShardFiller:
    """Takes items for one shard."""

    stream: _ItemStream
    config: IngestConfig
    count: int | None = None
    """How many items to take; None takes ``shard_size`` examples, with the rejects around them."""
    item_count: int = 0
    example_count: int = 0
    rejects: list[SourceReject] = field(default_factory=list)
    notices: list[SourceNotice] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.digest = hashlib.sha256()

    def write(self, path: str) -> None:
        """Fill the tar at ``path``; called once."""
        from webdataset import TarWriter

        most = self.count or max(16 * self.config.shard_size, _MIN_ITEMS)
        with open(path, "wb") as file, TarWriter(file, mtime=0) as tar:  # noqa: PTH123
            for item in self.stream:
                try:
                    image = item.image if isinstance(item.image, bytes) else item.image()
                except ExampleError as error:
                    self._take(item)
                    self.rejects.append(
                        SourceReject(self.item_count - 1, item.key, error.reason, error.detail)
                    )
                    image = None
                is_full = self.count is None and self.example_count == self.config.shard_size
                if image is not None and is_full:
                    self.stream.push(replace(item, image=image))
                    return
                if image is not None:
                    self._take(item)
                    sample = self._sample(item, image)
                    place = (self.example_count, str(sample["__key__"]))
                    self.notices += [SourceNotice(*place, notice) for notice in item.notices]
                    self.example_count += 1
                    tar.write(sample)
                if self.item_count == most:
                    return

    def notes(self) -> SourceNotes:
        """What the index should know about the shard."""
        return SourceNotes(
            rejects=tuple(self.rejects),
            notices=tuple(self.notices),
            sample_count=self.example_count,
            source_count=self.item_count,
            source_digest=self.digest.hexdigest(),
        )

    def _take(self, item: SourceExample) -> None:
        self.item_count += 1
        _add_to_digest(self.digest, item)

    def _sample(self, item: SourceExample, image: bytes) -> dict[str, str | bytes]:
        key = clean_key(item.key)
        number = 2
        while key in self.keys:
            key = f"{clean_key(item.key)}~{number}"
            number += 1
        self.keys.add(key)
        texts, concepts = split_concepts(drop_repeats(item.texts))
        record: dict[str, object] = {"key": key, "url": item.url, "texts": list(map(dict, texts))}
        if concepts:
            record["concepts"] = concepts
        if item.stimulus is not None:
            record["stimulus"] = dict(item.stimulus)
        data = json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")
        extension = clean_extension(item.extension) or sniff_extension(image)
        return {"__key__": key, extension: image, "json": data}


def clean_key(key: str) -> str:
    """A key that webdataset reads back as it is: no dot in its last part, no leading ``__``."""
    folder, slash, name = re.sub(r"[\x00-\x1f\\]", "_", key).strip("/").rpartition("/")
    name = name.replace(".", "_") or "_"
    key = f"{folder}{slash}{name}".encode("utf-8", "replace").decode()
    key = re.sub(r"^(\.*/)+", "", re.sub(r"^__", "_", key))
    return "/".join(f"_{part}" if find_hidden(part) else part for part in key.split("/"))


def clean_extension(extension: str) -> str:
    """The extension that a shard uses: lower case, ``jpg`` for all spellings of JPEG."""
    extension = extension.lower().lstrip(".")
    return "jpg" if extension in ("jpeg", "jpe", "jfif") else extension


def _add_to_digest(digest: Any, item: SourceExample) -> None:
    texts = [sorted(text.items()) for text in item.texts]
    parts: list[Any] = [item.key, item.extension, item.url, texts]
    if item.stimulus is not None:  # only then: datasets without stimuli keep their digests
        parts.append(sorted(item.stimulus.items()))
    value = json.dumps(parts, default=str)
    digest.update(value.encode() + b"\n")


def _pass_over(stream: Iterator[SourceExample], manifest: Mapping[str, Any], dataset: str) -> None:
    """Take the items of a shard that is done, and make sure that they are the same."""
    digest, count = hashlib.sha256(), 0
    # In format 1 files of other kinds were items; now they are counted and the digest lacks them.
    others = (
        0 if "passed_over" in manifest else manifest["reject_reasons"].get("unknown_extension", 0)
    )
    for item in islice(stream, manifest["source_count"] - others):
        _add_to_digest(digest, item)
        count += 1
    if digest.hexdigest() != manifest["source_digest"] and not (others and count):
        what = (
            "gives other items"
            if count == manifest["source_count"]
            else f"has only {count:,} of {manifest['source_count']:,} items left"
        )
        raise SourceError(
            f"The source {what} for shard {manifest['shard']} of dataset {dataset!r}, which is "
            f"indexed already.",
            "A dataset only grows at its end: name what it was made from first, then what is new. Give "
            "changed data another --dataset name.",
        )
