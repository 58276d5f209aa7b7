"""Groups of near duplicates over time: texts, stimuli, settings, images that come one by one, kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from making import ingest_paths, make_record, read_manifests, read_rows, snapshot, write_tar
from scenes import COPIES, encode, make_scene, read_groups, resize, write_images

from pipeline.base.errors import ConfigError, ShardError, SourceError
from pipeline.base.settings import ExtractConfig
from pipeline.extract.run import extract
from pipeline.sources.copies.fingerprint import take_fingerprint
from pipeline.warehouse.connect import connect


@pytest.mark.slow
def test_a_copy_without_a_text_takes_none_from_the_picture(tmp_path: Path) -> None:
    """A group counts by its first example; if that came bare, the first text of the group speaks."""
    first, second = make_scene(1), make_scene(2)
    samples: list[dict[str, object]] = [
        {"__key__": "bare", "jpg": resize(0.5)(first)},
        {"__key__": "told", "jpg": encode(first), "json": make_record("a red guitar")},
        {"__key__": "again", "jpg": resize(2)(first), "json": make_record("a piano")},
        {"__key__": "own", "jpg": encode(second), "json": make_record("an apple")},
        {"__key__": "other", "jpg": resize(0.5)(second), "json": make_record("a church")},
    ]
    write_tar(tmp_path / "a.tar", samples)
    ingest_paths(tmp_path, "webdataset", tmp_path / "a.tar")
    layers = ("visual.layer1.0.act3:input:max",)
    extract(ExtractConfig(str(tmp_path / "warehouse"), "d", "RN-demo:random", layers, device="cpu"))
    with connect(tmp_path / "warehouse") as con:
        told = con.execute(
            "select g.example_id, t.text, t.came_with from image_groups g "
            "left join image_texts t using (dataset, example_id) where member_rank = 1 order by all"
        ).fetchall()
        assert told == [(0, "a red guitar", 1), (3, "an apple", 3)]
        shown = con.execute(
            "select concept from example_concepts where example_id = 0 order by all"
        ).fetchall()
        assert ("guitar",) in shown and ("piano",) not in shown
        assert con.execute("select count(*) from texts").fetchall() == [(4,)]
        counted = con.execute(
            "select image_count, text_image_count, searched_image_count, text_fracs['en object'] "
            "from run_coverage"
        ).fetchall()
        assert counted == [(2, 2, 2, 0.5)]


def test_a_copy_of_which_nothing_is_stated_takes_what_is_stated_of_the_picture(
    tmp_path: Path,
) -> None:
    first, second = make_scene(1), make_scene(2)
    samples: list[dict[str, object]] = [
        {"__key__": "bare", "jpg": resize(0.5)(first), "json": make_record("a guitar")},
        {"__key__": "told", "jpg": encode(first), "json": b'{"concepts": ["kea"]}'},
        {"__key__": "again", "jpg": resize(2)(first), "json": b'{"concepts": ["snow"]}'},
        {"__key__": "own", "jpg": encode(second), "json": b'{"concepts": ["ice"]}'},
        {"__key__": "other", "jpg": resize(0.5)(second), "json": b'{"concepts": ["fire"]}'},
    ]
    write_tar(tmp_path / "a.tar", samples)
    ingest_paths(tmp_path, "webdataset", tmp_path / "a.tar")
    with connect(tmp_path / "warehouse") as con:
        shown = con.execute(
            "select example_id, concept, origin from example_concepts where example_id in (0, 3) "
            "order by all"
        ).fetchall()
    assert shown == [
        (0, "guitar", "texts"),
        (0, "kea", "stated"),
        (3, "ice", "stated"),
    ]


def test_of_stimuli_only_identical_files_are_one_image(tmp_path: Path) -> None:
    stimulus = {"stimulus": "picture", "facet": "photo", "concept": "cat", "category": "animal"}
    scene = make_scene(5)
    images = [encode(scene), resize(0.5)(scene), encode(scene)]
    write_images(tmp_path / "in/0.tar", images, stimulus=stimulus)
    write_images(tmp_path / "in/1.tar", [resize(0.6)(scene)], 3)
    ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    assert [(r["example_id"], r["copy_kind"]) for r in read_rows(tmp_path, "duplicates")] == [
        (2, "identical")
    ]
    assert [row["example_id"] for row in read_rows(tmp_path, "fingerprints")] == [1 << 20]


def test_the_setting_is_the_datasets(tmp_path: Path) -> None:
    scene = make_scene(1)
    write_images(tmp_path / "in/0.tar", [encode(scene), resize(0.5)(scene), encode(scene)])
    summary = ingest_paths(tmp_path, "webdataset", tmp_path / "in", duplicates="exact")
    assert summary.duplicate_count == 1
    assert read_rows(tmp_path, "fingerprints") == []
    write_images(tmp_path / "in/1.tar", [resize(0.7)(scene)])
    assert ingest_paths(tmp_path, "webdataset", tmp_path / "in").duplicate_count == 1
    assert [manifest["duplicates"] for manifest in read_manifests(tmp_path)] == ["exact"] * 2
    with pytest.raises(SourceError, match="counts images with duplicates='exact', not 'near'"):
        ingest_paths(tmp_path, "webdataset", tmp_path / "in", duplicates="near")
    with pytest.raises(ConfigError, match="duplicates is 'some'"):
        ingest_paths(tmp_path, "webdataset", tmp_path / "in", duplicates="some")


@pytest.mark.slow
def test_images_added_one_by_one_are_grouped_as_all_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scenes = [make_scene(seed) for seed in range(6)]
    images = [encode(scene) for scene in scenes]
    images += [make(scene) for make, _ in COPIES.values() for scene in scenes]
    images += [images[n] for n in rng.integers(0, len(images), 6)]  # identical ones of copies too
    order = rng.permutation(len(images))
    for shard, places in enumerate(np.array_split(order, 5)):
        write_images(tmp_path / f"in/{shard}.tar", [images[n] for n in places])
    for shard in range(5):
        (tmp_path / "more/in").mkdir(parents=True, exist_ok=True)
        source = tmp_path / f"in/{shard}.tar"
        (tmp_path / f"more/in/{shard}.tar").write_bytes(source.read_bytes())
        ingest_paths(tmp_path / "more", "webdataset", tmp_path / "more/in")
    ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    assert read_groups(tmp_path / "more") == read_groups(tmp_path)
    groups = {group for group, _ in read_groups(tmp_path).values()}
    assert len(groups) == len(scenes)


def test_images_that_cannot_be_decoded_have_no_fingerprint(tmp_path: Path) -> None:
    whole = encode(make_scene(0))
    assert take_fingerprint(whole[: len(whole) // 2]) is None
    assert take_fingerprint(b"") is None
    write_images(tmp_path / "in/0.tar", [whole, whole[:-400]])
    assert ingest_paths(tmp_path, "webdataset", tmp_path / "in").written_count == 2
    assert len(read_rows(tmp_path, "fingerprints")) == 1


_INGEST = """
import os, signal, sys
from pipeline.base.settings import IngestConfig, IngestStep
from pipeline.sources import ingest
from pipeline.sources.copies import duplicates
left = int(sys.argv[3])
mark = duplicates._mark
def mark_or_die(*arguments):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return mark(*arguments)
duplicates._mark = mark_or_die
ingest.ingest(IngestConfig(sys.argv[1], "d"), IngestStep("webdataset", (sys.argv[2],)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("marked", [0, 1])
def test_what_is_not_marked_is_not_visible(tmp_path: Path, marked: int) -> None:
    """A process is killed after the index of two more shards, before all of them are marked."""
    scenes = [make_scene(seed) for seed in range(4)]
    write_images(tmp_path / "in/0.tar", [encode(scene) for scene in scenes])
    ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    undisturbed = [read_groups(tmp_path)]
    for shard, make in enumerate((resize(0.5), resize(0.6)), 1):
        write_images(tmp_path / f"in/{shard}.tar", [make(scene) for scene in scenes], 4 * shard)
    undisturbed.append(undisturbed[0] | {(1 << 20) + n: (n, "resized") for n in range(4)})
    command = [sys.executable, "-c", _INGEST, str(tmp_path / "warehouse"), str(tmp_path / "in")]
    done = subprocess.run([*command, str(marked)], check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    assert [manifest["status"] for manifest in read_manifests(tmp_path)] == ["done"] * 3
    assert read_groups(tmp_path) == undisturbed[marked]
    with connect(tmp_path / "warehouse") as con:
        shown = con.execute("select status from shards order by shard_ordinal").fetchall()
        texts = con.execute("select count(*) from stg_texts").fetchall()
    assert [status for (status,) in shown] == ["done"] * (1 + marked) + ["unmarked"] * (2 - marked)
    assert texts == [(4 + 4 * marked,)]
    layers = ("visual.layer1.0.act3:input:max",)
    config = ExtractConfig(str(tmp_path / "warehouse"), "d", "RN-demo:random", layers, device="cpu")
    with pytest.raises(ShardError, match="has not marked repeated images yet"):
        extract(config)
    ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    extract(config)
    with connect(tmp_path / "warehouse") as con:
        ((images,),) = con.execute(
            "select count(*) from stg_run_examples where not is_duplicate"
        ).fetchall()
    assert images == len(scenes)
    before = snapshot(tmp_path)
    ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    assert snapshot(tmp_path) == before
