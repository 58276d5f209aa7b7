"""Copies of an image are one image; pictures that only look alike are not."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest
from making import ingest_paths, read_rows
from PIL import Image, ImageDraw, ImageFont
from scenes import COPIES, encode, make_scene, read_groups, write_images

from pipeline.sources.copies.fingerprint import take_fingerprint
from pipeline.sources.copies.near import find_near
from pipeline.sources.layouts.openmoji import OpenMojiOptions, iter_openmoji


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


@pytest.mark.slow
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


def test_a_picture_with_words_over_it_is_another_picture(tmp_path: Path) -> None:
    scene = make_scene(3)
    attacked = scene.copy()
    ImageDraw.Draw(attacked).text(
        (20, 80), "iPod", font=ImageFont.load_default(40), fill="white", stroke_width=3
    )
    write_images(tmp_path / "in/0.tar", [encode(scene), encode(attacked)])
    assert ingest_paths(tmp_path, "webdataset", tmp_path / "in").duplicate_count == 0


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
