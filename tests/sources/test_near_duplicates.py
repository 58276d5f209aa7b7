"""Copies of an image are one image; pictures that only look alike are not."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from making import ingest_paths, make_record, read_manifests, read_rows, snapshot, write_tar
from PIL import Image, ImageDraw, ImageFont

from pipeline.base.errors import ConfigError, ShardError, SourceError
from pipeline.base.settings import ExtractConfig
from pipeline.extract.run import extract
from pipeline.sources.copies.fingerprint import take_fingerprint
from pipeline.sources.copies.near import find_near
from pipeline.sources.layouts.openmoji import OpenMojiOptions, iter_openmoji
from pipeline.warehouse.connect import connect


def encode(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **({"quality": 90} | options))
    return file.getvalue()


def make_scene(seed: int, size: int = 192) -> Image.Image:
    """Overlapping shapes: as many details as a photograph has."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (size, size), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for radius in np.sort(rng.uniform(4, 70, 60))[::-1]:
        x, y = rng.random(2) * size
        colour = tuple(rng.integers(0, 256, 3).tolist())
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
    return image


def resize(times: float) -> Callable[[Image.Image], bytes]:
    def copy(image: Image.Image) -> bytes:
        size = (round(image.width * times), round(image.height * times))
        return encode(image.resize(size, Image.Resampling.LANCZOS))

    return copy


COPIES: dict[str, tuple[Callable[[Image.Image], bytes], str]] = {
    "half": (resize(0.5), "resized"),
    "third": (resize(0.35), "resized"),
    "double": (resize(2), "resized"),
    "poor": (lambda image: encode(image, quality=30), "resized"),
    "webp": (lambda image: encode(image, "WEBP", quality=60), "resized"),
    "png": (lambda image: encode(image, "PNG"), "resized"),
    "grey": (lambda image: encode(image.convert("L")), "grey"),
}


def write_images(path: Path, images: Sequence[bytes], first: int = 0, **more: object) -> None:
    """A tar of images, keyed by number."""
    write_tar(
        path,
        [
            {"__key__": f"{n:04d}", "img.jpg": data, "json": make_record(f"picture {n}", **more)}
            for n, data in enumerate(images, first)
        ],
    )


def read_groups(place: Path) -> dict[int, tuple[int, str]]:
    """example_id -> (group_id, copy_kind), after the checks of the marks found nothing."""
    with connect(place / "warehouse") as con:
        assert con.execute("from check_duplicates").fetchall() == []
        rows = con.execute(
            "select example_id, group_id, copy_kind, half, group_size, member_rank "
            "from image_groups order by example_id"
        ).fetchall()
        halves = con.execute(
            "select count(*) from image_groups group by group_id having count(distinct half) > 1"
        ).fetchall()
    assert halves == []
    for _, group, _, _, size, _ in rows:
        members = sorted(rank for _, other, _, _, _, rank in rows if other == group)
        assert members == list(range(1, size + 1))
    return {row[0]: (row[1], row[2]) for row in rows}


def test_copies_of_every_kind_are_found(tmp_path: Path) -> None:
    scenes = [make_scene(seed) for seed in range(12)]
    images = [encode(scene, quality=95) for scene in scenes]
    expected = {n: (n, "first") for n in range(len(scenes))}
    for make, kind in COPIES.values():
        for n, scene in enumerate(scenes):
            expected[len(images)] = (n, kind)
            images.append(make(scene))
    write_images(tmp_path / "in/0.tar", images)
    summary = ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    assert read_groups(tmp_path) == expected
    assert summary.duplicate_count == len(images) - len(scenes)


def test_a_picture_pressed_into_a_square_is_its_copy(tmp_path: Path) -> None:
    """As models are fed; plain areas, which agree in any shape, and other shapes stay apart."""
    scenes = [make_scene(seed).crop((0, 20, 192, 164)) for seed in range(6)]
    flags = [Image.new("RGB", size, (200, 30, 40)) for size in ((192, 144), (160, 160))]
    images = [*scenes, *(scene.resize((112, 112)) for scene in scenes), *flags]
    images += [scene.resize((240, 100)) for scene in scenes[:2]]
    write_images(tmp_path / "in/0.tar", [encode(image) for image in images])
    ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    groups = read_groups(tmp_path)
    assert groups == {
        **{n: (n, "first") for n in (*range(6), *range(12, 16))},
        **{n + 6: (n, "resized") for n in range(6)},
    }


def test_most_crops_of_detailed_pictures_are_found_and_go_to_the_right_one(tmp_path: Path) -> None:
    scenes = [make_scene(seed) for seed in range(12)]
    crops = [encode(scene.crop((3, 7, 188, 189))) for scene in scenes]
    write_images(tmp_path / "in/0.tar", [encode(scene) for scene in scenes] + crops)
    ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    groups = read_groups(tmp_path)
    found = [n for n in range(12) if groups[12 + n] == (n, "cropped")]
    assert len(found) >= 6
    assert all(groups[12 + n][0] in (n, 12 + n) for n in range(12))


def test_pictures_that_only_look_alike_stay_apart(tmp_path: Path) -> None:
    """Flags, clocks, faces, words and letters: nothing of them may be hidden by another."""
    codes = ("1F1", "1F60", "1F61", "1F55")
    same = {"1F1E7-1F1FB", "1F1F8-1F1EF", "1F1F3-1F1F4"}  # Bouvet, Svalbard: the flag of Norway
    images = {
        item.url: item.image()
        for item in iter_openmoji(OpenMojiOptions(size_px=96))
        if item.url.removeprefix("openmoji:").startswith(codes)
        and item.url.removeprefix("openmoji:") not in same
        and callable(item.image)
    }
    assert len(images) > 250
    for text in ("bear", "pear", "beer", "O", "Q", "C", "G", "I", "l"):
        image = Image.new("RGB", (224, 224), "white")
        font = ImageFont.load_default(32 if len(text) > 1 else 120)
        ImageDraw.Draw(image).text((112, 112), text, font=font, fill="black", anchor="mm")
        images[text] = encode(image)
    write_images(tmp_path / "in/0.tar", list(images.values()))
    ingest_paths(tmp_path, "webdataset", tmp_path / "in")
    names = list(images)
    marked = [row for row in read_rows(tmp_path, "duplicates") if row["copy_kind"] != "identical"]
    assert [(names[row["example_id"]], names[row["duplicate_of"]]) for row in marked] == []


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
            "select image_count, text_image_count, searched_image_count from run_coverage"
        ).fetchall()
        assert counted == [(2, 2, 2)]


def test_a_picture_with_words_over_it_is_another_picture(tmp_path: Path) -> None:
    scene = make_scene(3)
    attacked = scene.copy()
    ImageDraw.Draw(attacked).text(
        (20, 80), "iPod", font=ImageFont.load_default(40), fill="white", stroke_width=3
    )
    write_images(tmp_path / "in/0.tar", [encode(scene), encode(attacked)])
    assert ingest_paths(tmp_path, "webdataset", tmp_path / "in").duplicate_count == 0


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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_fingerprint_is_of_the_image_as_it_is_shown(orientation: int) -> None:
    """EXIF orientation, transparency and 16 bits are treated as extraction treats them."""
    scene = make_scene(2).crop((0, 0, 192, 120))
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what undoes each orientation
    stored = scene.transpose(Image.Transpose(turns[orientation])) if orientation > 1 else scene
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain = take_fingerprint(encode(scene, "PNG"))
    turned = take_fingerprint(encode(stored, "JPEG", exif=exif, quality=95))
    assert plain is not None
    assert turned is not None
    assert (turned.width_px, turned.height_px) == (192, 120)
    one, other = (np.frombuffer(seen.thumb, np.uint8).astype(int) for seen in (plain, turned))
    assert np.abs(one - other).max() <= 8


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


def test_hashes_that_share_a_key_and_nothing_else_are_no_pair() -> None:
    one = np.random.default_rng(0).integers(0, 1 << 48, 5)
    other = one ^ ((1 << 48) - 1)
    other[2] ^= (1 << 24) - 1  # one key of ten is the same, 216 bits are not
    with duckdb.connect() as con:
        columns = ", ".join(f"hash_{n} bigint" for n in range(1, 6))
        con.execute(
            f"create table nodes (example_id bigint, {columns}, is_fresh boolean, "
            "may_lead boolean, may_follow boolean)"
        )
        for number, hashes in enumerate((one, other)):
            row = [number, *map(int, hashes), True, True, True]
            con.execute(f"insert into nodes values ({', '.join('?' * 9)})", row)
        con.execute(
            "create table fingerprints as select example_id, 99 as width_px, 99 as height_px, "
            "repeat('x', 1152)::blob as thumb from nodes"
        )
        find_near(con)
        assert con.execute("from candidates").fetchall() == []
        assert con.execute("from near").fetchall() == []
