from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from making import ingest_paths, make_record, write_members, write_tar
from running import ingest_shards, make_picture, make_pictures

from pipeline.base.errors import ExampleError, ShardError
from pipeline.base.settings import MAX_PIXELS
from pipeline.base.storage import Store
from pipeline.clip.image_spec import ImageSpec
from pipeline.extract.decode import HostDecoder, decode_fast
from pipeline.extract.plan import ShardPlan, plan_shard, primary_texts, read_duplicates
from pipeline.extract.stream import CHUNK_EXAMPLES, Batch, stream_batches
from pipeline.tables.datasets import Shard, read_dataset

FOLDER = "dataset=d"
SPEC = ImageSpec((32, 32), (0.5,) * 3, (0.25,) * 3)
decode = partial(decode_fast, spec=SPEC, max_pixels=MAX_PIXELS)
decoder = HostDecoder(decode)


def open_shards(tmp_path: Path) -> tuple[Store, tuple[Shard, ...]]:
    store = Store(tmp_path / "warehouse")
    return store, read_dataset(store, "d").shards


def plan_all(tmp_path: Path) -> list[ShardPlan]:
    store, shards = open_shards(tmp_path)
    return [plan_shard(store, "d", shard, with_texts=True) for shard in shards]


def collect(plans: Iterator[ShardPlan], batch_size: int = 16, workers: int = 2) -> list[Batch]:
    return list(stream_batches(plans, decoder, batch_size, workers))


@pytest.mark.parametrize("batch_size", [1, 5, 16, 100])
@pytest.mark.parametrize("workers", [1, 3])
def test_batches_are_in_order_and_cross_no_border(
    dataset: Path, batch_size: int, workers: int
) -> None:
    plans = plan_all(dataset)
    batches = collect(iter(plans), batch_size, workers)
    for plan, count in zip(plans, (23, 40, 5, 1), strict=True):
        own = [batch for batch in batches if batch.plan is plan]
        assert [batch.is_last for batch in own] == [False] * (len(own) - 1) + [True]
        assert [len(batch.examples) for batch in own[:-1]] == [batch_size] * (len(own) - 1)
        ids = [e.example_id for batch in own for e in batch.examples]
        assert ids == sorted(ids) and len(ids) == count
        for batch in own:
            assert batch.images.shape == (len(batch.examples), 3, 32, 32)
    assert [batch.plan.shard.ordinal for batch in batches] == sorted(
        batch.plan.shard.ordinal for batch in batches
    )
    first = batches[0]
    assert torch.equal(first.images[0], decode(make_picture(0)))
    (broken,) = [reject for plan in plans for reject in plan.rejects]
    assert (broken.shard_ordinal, broken.position, broken.shard_key) == (2, 4, "broken")
    assert (broken.stage, broken.reason) == ("decode", "image_truncated")


def test_what_is_read_ahead_is_bounded(dataset: Path) -> None:
    """Shards are planned as they are needed, not all at the start."""
    planned = []

    def plans() -> Iterator[ShardPlan]:
        for _ in range(50):
            for plan in plan_all(dataset)[:1]:
                planned.append(plan)
                yield plan

    batches = stream_batches(plans(), decoder, 8, 1)
    next(batches)
    assert len(planned) < 5
    before = threading.active_count()
    batches.close()  # as an error in the model does
    assert threading.active_count() < before


class Watched:
    """A decoder that notes which batches it assembled; it refuses every seventh example."""

    def __init__(self) -> None:
        self.assembled: list[int] = []
        self.second = threading.Event()

    def decode(self, data: bytes) -> torch.Tensor:
        return decode(data)

    def assemble(self, items: Sequence[Any]) -> tuple[torch.Tensor, list[ExampleError | None]]:
        self.assembled.append(len(items))
        if len(self.assembled) == 2:
            self.second.set()
        bad = ExampleError("image_damaged", "as a device says it")
        errors = [bad if i % 7 == 6 else None for i in range(len(items))]
        good = [item for item, error in zip(items, errors, strict=True) if error is None]
        return torch.stack(good), errors


def test_the_next_batch_is_assembled_while_one_is_in_the_model(dataset: Path) -> None:
    watched, plans = Watched(), plan_all(dataset)[:1]
    batches = stream_batches(iter(plans), watched, 8, 1)
    taken = [next(batches)]  # and the model has it
    assert watched.second.wait(timeout=60), "nobody assembles ahead"
    taken += batches
    assert watched.assembled == [8, 8, 7]
    assert [len(batch.examples) for batch in taken] == [len(b.images) for b in taken] == [7, 7, 6]
    assert [reject.position for reject in plans[0].rejects] == [6, 14, 22]
    assert {reject.reason for reject in plans[0].rejects} == {"image_damaged"}


def test_members_in_any_order(tmp_path: Path) -> None:
    """Images in front of their JSON, between others, and in one chunk though not sorted."""
    pictures = {f"{n:02d}": make_picture(n) for n in range(2 * CHUNK_EXAMPLES + 3)}
    members = [(f"{key}.jpg", data) for key, data in reversed(pictures.items())]
    members += [(f"{key}.json", make_record("x")) for key in pictures]
    by_key: dict[str, list[Any]] = {}
    for name, data in members:
        by_key.setdefault(name.split(".")[0], []).append((name, data))
    tar = write_members(tmp_path / "in/0.tar", [m for group in by_key.values() for m in group])
    ingest_paths(tmp_path, "webdataset", tar)
    for batch in collect(iter(plan_all(tmp_path))):
        for example, image in zip(batch.examples, batch.images, strict=True):
            assert torch.equal(image, decode(pictures[example.shard_key]))


def damage(tar: Path) -> None:
    """Other bytes in the last image's middle, the size unchanged."""
    data = bytearray(tar.read_bytes())
    at = data.rindex(b"\xff\xd8\xff") + 100
    data[at] ^= 0xFF
    tar.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (damage, "has changed since it was indexed: the bytes of '000002' are not the same"),
        (Path.unlink, "cannot be read"),
        (lambda tar: tar.write_bytes(tar.read_bytes()[:3000]), "has changed since it was indexed"),
        (lambda tar: tar.write_bytes(b""), "has changed since it was indexed|cannot be read"),
    ],
    ids=["bytes", "gone", "cut", "empty"],
)
def test_a_tar_changed_behind_our_back_fails_alone(tmp_path: Path, harm: Any, message: str) -> None:
    ingest_shards(tmp_path, [make_pictures(3), make_pictures(3), make_pictures(3)])
    harm(tmp_path / "in/00001.tar")
    plans = plan_all(tmp_path)
    batches = collect(iter(plans))
    assert [plan.error is None for plan in plans] == [True, False, True]
    with pytest.raises(ShardError, match=message):
        raise plans[1].error or AssertionError
    assert [len(batch.examples) for batch in batches if batch.is_last] == [3, 0, 3]


def test_shards_that_are_not_indexed(tmp_path: Path) -> None:
    good = make_pictures(2)
    bad = [{"__key__": str(n), "jpg": b"no image"} for n in range(2)]
    with pytest.raises(ShardError):
        ingest_shards(tmp_path, [good, bad])
    store, shards = open_shards(tmp_path)
    with pytest.raises(ShardError, match=r"'00001' of 'd' is not indexed: .*more than the frac"):
        plan_shard(store, "d", shards[1], with_texts=False)
    store.delete(f"{FOLDER}/manifests/00000.json")
    with pytest.raises(ShardError, match="'00000' of 'd' is not indexed"):
        plan_shard(store, "d", shards[0], with_texts=False)


@pytest.mark.parametrize("table", ["examples", "texts", "duplicates"])
@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_damaged_index_is_an_error_of_its_shard(dataset: Path, table: str, harm: str) -> None:
    file = dataset / "warehouse" / FOLDER / table / "00000.parquet"
    data = file.read_bytes()
    file.unlink()
    if harm == "cut":
        file.write_bytes(data[:-30])
    store, shards = open_shards(dataset)
    with pytest.raises(ShardError, match=f"{table}/00000.parquet") as caught:
        plan_shard(store, "d", shards[0], with_texts=True)
        read_duplicates(store, FOLDER, shards[0])
    assert "neurons repair" in caught.value.hint


def test_primary_text(tmp_path: Path) -> None:
    """By kind, then English, then unknown language, then language, then rank."""

    def entry(kind: str, language: str, text: str) -> dict[str, str | None]:
        return {"language": language, "text_kind": kind, "text": text, "page_title": None}

    texts = [
        [entry("page", "en", "page"), entry("alt", "de", "alt"), entry("caption", "ja", "caption")],
        [entry("alt", "de", "de"), entry("alt", "en-GB", "en"), entry("alt", "und", "und")],
        [entry("alt", "fr", "fr"), entry("alt", "de", "de"), entry("alt", "und", "und")],
        [
            entry("caption", "fr", "fr"),
            entry("caption", "de", "de 1"),
            entry("caption", "de", "de 2"),
        ],
        [entry("section", "en", "section"), entry("page_title", "sw", "title")],
        [],
    ]
    samples = [
        {"__key__": f"{n}", "jpg": make_picture(n), "json": json.dumps({"texts": entries}).encode()}
        for n, entries in enumerate(texts)
    ]
    tar = write_tar(tmp_path / "in/0.tar", samples)
    ingest_paths(tmp_path, "webdataset", tar)
    store, (shard,) = open_shards(tmp_path)
    assert primary_texts(store, FOLDER, shard) == dict(
        enumerate(["caption", "en", "und", "de 1", "title"])
    )
    (plan,) = plan_all(tmp_path)
    assert [e.text for e in plan.examples] == ["caption", "en", "und", "de 1", "title", None]


def test_duplicates_are_those_of_the_shard(dataset: Path) -> None:
    store, shards = open_shards(dataset)
    found = [read_duplicates(store, FOLDER, shard).tolist() for shard in shards]
    assert found == [[], [(1 << 20) + n for n in (0, 1, 2, 3, 4, 39)], [], []]


def test_a_warehouse_that_was_moved(ingested: Path, tmp_path: Path) -> None:
    """Tars stay where they are; the index finds them from anywhere."""
    shutil.copytree(ingested / "warehouse", tmp_path / "else/where/warehouse")
    batches = collect(iter(plan_all(tmp_path / "else/where")))
    assert sum(len(batch.examples) for batch in batches) == 69
