"""Copies of images: how many are found, what is taken for a copy that is none, and what it costs.

Pictures of the project's own kinds and copies of each in many ways are ingested as one dataset, and its groups
are compared with what is known by construction. The search for pairs is timed on a million
hashes like those of photographs.
"""

from __future__ import annotations

import io
import string
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_images

from bench.timing import Report, Row, measure
from pipeline import connect
from pipeline.base.progress import NoProgress
from pipeline.base.settings import IngestConfig
from pipeline.nano.concepts import load_concepts
from pipeline.sources.copies.fingerprint import (
    HASH_COLUMNS,
    THUMB_PX,
    hash_thumb,
    make_thumb,
    take_fingerprint,
)
from pipeline.sources.copies.near import find_near
from pipeline.sources.ingest import ingest_items
from pipeline.sources.layouts.openmoji import OpenMojiOptions, iter_openmoji
from pipeline.sources.writer import SourceExample

Picture = Image.Image


def _encode(image: Picture, format_: str = "JPEG", quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, quality=quality)
    return buffer.getvalue()


def _resize(times: float) -> Callable[[Picture], bytes]:
    def copy(image: Picture) -> bytes:
        size = (round(image.width * times), round(image.height * times))
        return _encode(image.resize(size, Image.Resampling.LANCZOS))

    return copy


def _crop(left: float, top: float, right: float, bottom: float) -> Callable[[Picture], bytes]:
    def copy(image: Picture) -> bytes:
        wide, high = image.size
        box = (wide * left, high * top, wide * (1 - right), high * (1 - bottom))
        return _encode(image.crop(tuple(map(round, box))))

    return copy


def _write_over(image: Picture) -> bytes:
    image, size = image.copy(), max(8, image.height // 12)
    ImageDraw.Draw(image).text(
        (image.width * 0.06, image.height - 1.6 * size),
        "when it is monday",
        font=ImageFont.load_default(size),
        fill="white",
        stroke_width=max(1, size // 10),
        stroke_fill="black",
    )
    return _encode(image)


def _write_below(image: Picture) -> bytes:
    more = max(10, image.height // 8)
    paper = Image.new("RGB", (image.width, image.height + more), "white")
    paper.paste(image)
    place = (image.width * 0.05, image.height + more * 0.15)
    font = ImageFont.load_default(more * 0.6)
    ImageDraw.Draw(paper).text(place, "Fig. 3: a picture of it", font=font, fill="black")
    return _encode(paper)


COPIES: dict[str, Callable[[Picture], bytes]] = {
    "resized, x 0.25": _resize(0.25),
    "resized, x 0.4": _resize(0.4),
    "resized, x 0.6": _resize(0.6),
    "resized, x 2": _resize(2),
    "encoded anew, JPEG quality 50": lambda image: _encode(image, quality=50),
    "encoded anew, JPEG quality 20": lambda image: _encode(image, quality=20),
    "encoded anew, WebP quality 50": lambda image: _encode(image, "WEBP", 50),
    "grey": lambda image: _encode(image.convert("L")),
    "cropped by 5 %, all around": _crop(0.025, 0.025, 0.025, 0.025),
    "cropped by 5 %, at two sides": _crop(0.05, 0.05, 0, 0),
    "cropped by 5 %, unevenly": _crop(0.01, 0.035, 0.04, 0.015),
    "captioned, words over it": _write_over,
    "captioned, words below it": _write_below,
}


def _draw_text(text: str, size: float) -> Picture:
    image, font = Image.new("RGB", (224, 224), "white"), ImageFont.load_default(size)
    ImageDraw.Draw(image).text((112, 112), text, font=font, fill="black", anchor="mm")
    return image


def _dead_leaves(seed: int, size: int = 256) -> Picture:
    """Shapes that hide one another, their sizes as in nature: statistics like a photograph's."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (size, size), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(400):
        radius = min(0.6 * size, 4 / (rng.random() ** 0.7 + 1e-3))
        x, y = rng.random(2) * size
        colour = tuple(int(value) for value in np.clip(rng.normal(120, 60, 3), 0, 255))
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        box = (x - radius, y - radius * rng.uniform(0.4, 1), x + radius, y + radius)
        shape((box[0], min(box[1::2]), box[2], max(box[1::2])), fill=colour)
    return image


def _originals(quick: bool) -> Iterator[tuple[str, str, Picture]]:
    """(kind, name, picture); nearly alike ones, such as skin tones, among them."""
    options = OpenMojiOptions(limit=8 if quick else None, has_skin_tones=not quick)
    for item in iter_openmoji(options):
        data = item.image if isinstance(item.image, bytes) else item.image()
        code = (item.url or "").removeprefix("openmoji:")
        kind = "flags" if code.startswith("1F1") else "drawings"
        kind = "drawings in skin tones" if "1F3F" in code else kind
        yield kind, code, Image.open(io.BytesIO(data)).convert("RGB")
    for concept in load_concepts()[: 4 if quick else None]:
        yield "words", concept.concept, _draw_text(concept.concept, 28)
    for letter in (string.ascii_letters + string.digits)[: 4 if quick else None]:
        yield "letters", letter, _draw_text(letter, 120)
    for seed in range(4 if quick else 300):
        yield "textures", str(seed), _dead_leaves(seed)
    step = 240 if quick else 80
    for number, pixels in enumerate(load_sample_images().images):
        for x in range(0, 480, step):
            for y in range(0, 240, step):
                part = Image.fromarray(pixels).crop((x, y, x + 160, y + 160))
                yield "photographs", f"{number} {x} {y}", part


def _items(quick: bool) -> Iterator[SourceExample]:
    """All originals, then all copies; of the skin tones no copies."""
    pictures = []
    for kind, name, image in _originals(quick):
        if kind != "drawings in skin tones":
            pictures.append((kind, name, image))
        yield SourceExample(f"{kind}/{name}/original", _encode(image, "PNG"), "png")
    for what, make in COPIES.items():
        for kind, name, image in pictures:
            data = make(image)
            extension = "webp" if "WebP" in what else "jpg"
            yield SourceExample(f"{kind}/{name}/{what.replace('.', '_')}", data, extension)


def _groups(quick: bool) -> tuple[dict[str, tuple[str, str]], float]:
    """Key -> (key of the group's first example, kind of copy); and the seconds of the ingest."""
    with tempfile.TemporaryDirectory() as place:
        config = IngestConfig(place, "d", shard_size=20_000, duplicates="near")
        cost = measure(lambda: ingest_items(config, "bench", _items(quick), NoProgress()))
        with connect(place) as con:
            rows = con.execute(
                """
                select m.shard_key, f.shard_key, g.copy_kind
                from image_groups as g
                inner join examples as m using (dataset, example_id)
                inner join examples as f on g.dataset = f.dataset and g.group_id = f.example_id
                """
            ).fetchall()
    return {key: (first, kind) for key, first, kind in rows}, cost.cpu_s


def _original_of(key: str) -> str:
    return key.rsplit("/", 1)[0] + "/original"


def _report_groups(quick: bool) -> Report:
    groups, _ = _groups(quick)
    parts = {key: key.split("/") for key in groups}
    name_of = {key: (kind, name) for key, (kind, name, _) in parts.items()}
    originals = {key: first for key, (first, _) in groups.items() if key.endswith("/original")}
    merged = [key for key in originals if groups[key][1] not in ("first", "identical")]
    yield "Truly different pictures that are taken for one"
    sizes = Counter(name_of[key][0] for key in originals)
    for kind, count in sizes.items():
        wrong = [key for key in merged if name_of[key][0] == kind]
        told = ", ".join(
            f"{name_of[key][1]} = {name_of[originals[key]][1]}" for key in sorted(wrong)[:12]
        )
        yield Row(kind, len(wrong), f"of {count:,}", told)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for key, (kind, _, what) in parts.items():
        if what == "original":
            continue
        home, first = originals[_original_of(key)], groups[key][0]
        if originals[_original_of(first)] != home:
            outcome = "other"
        elif first == home:
            outcome = "right"
        else:  # alone, or with another copy of its own picture
            outcome = "missed" if first == key else "apart"
        found[what][outcome] += 1
        found[f"{what}|{kind}"][outcome] += 1
    yield "Copies that are found (recall), and with which picture (precision)"
    for what in COPIES:
        counts = found[what.replace(".", "_")]
        total, right, other = counts.total(), counts["right"], counts["other"]
        by_kind = "; ".join(
            f"{kind} {100 * c['right'] / c.total():.0f}"
            for kind in sizes
            if (c := found[f"{what.replace('.', '_')}|{kind}"])
        )
        yield Row(what, 100 * right / total, "% found", by_kind)
        together = right + counts["apart"] + other
        yield Row("", 100 * (1 - other / max(1, together)), "% right", f"{other} of {together}")


def _report_decoding(quick: bool) -> Report:
    yield "A fingerprint, beside the header that is read anyway"
    photo = Image.fromarray(load_sample_images().images[0])
    repeats, widths = (1, (640,)) if quick else (5, (640, 1280, 2560))
    for width in widths:
        image = photo.resize((width, width * 2 // 3))
        for name in ("JPEG", "PNG", "WEBP"):
            data, began = _encode(image, name), time.process_time()
            for _ in range(repeats):
                take_fingerprint(data)
            cost = (time.process_time() - began) / repeats
            yield Row(f"{name}, {image.width} x {image.height}", 1000 * cost, "ms CPU")


def _like_photographs(count: int) -> pa.Table:
    """Fingerprints whose thumbnails vary like those of the textures; a tenth are copies."""
    rng = np.random.default_rng(0)
    leaves = min(400, count // 10)
    seen = np.stack(
        [np.asarray(_dead_leaves(s, 64).resize((THUMB_PX,) * 2)) for s in range(leaves)]
    )
    mean = seen.reshape(leaves, -1).astype(np.float32)
    thumbs = []
    for _ in range(count):  # a mixture of three, mirrored at random: as many as wanted, none alike
        at, share = rng.integers(0, leaves, 3), rng.dirichlet((1, 1, 1))
        image = (mean[at] * share[:, None]).sum(0).reshape(THUMB_PX, THUMB_PX, 3)
        shift = rng.integers(0, THUMB_PX, 2)
        thumbs.append(make_thumb(np.roll(image, tuple(shift), (0, 1))))
    for n in range(count // 10):
        thumbs[-1 - n] = np.clip(thumbs[n].astype(np.int16) + rng.integers(-2, 3), 0, 255).astype(
            np.uint8
        )
    hashes = np.array([hash_thumb(thumb) for thumb in thumbs])
    columns: dict[str, object] = {"example_id": np.arange(count)}
    columns |= {name: np.full(count, 300, np.int32) for name in ("width_px", "height_px")}
    columns |= {name: hashes[:, n] for n, name in enumerate(HASH_COLUMNS)}
    columns["thumb"] = [thumb.tobytes() for thumb in thumbs]
    return pa.table(columns)


def _report_search(count: int) -> Report:
    yield f"Finding pairs among {count:,} images, of which a tenth are copies"
    table = _like_photographs(count)
    with tempfile.TemporaryDirectory() as spill:
        con = duckdb.connect(config={"memory_limit": "2GB", "temp_directory": str(Path(spill))})
        con.register("given", table)
        con.execute("create table fingerprints as from given")
        con.unregister("given")
        hashes = ", ".join(HASH_COLUMNS)
        con.execute(
            f"create table nodes as select example_id, {hashes}, true as is_fresh, "
            "true as may_lead, true as may_follow from fingerprints"
        )
        cost = measure(lambda: find_near(con))
        ((candidates,),) = con.execute("select count(*) from candidates").fetchall()
        ((found,),) = con.execute("select count(*) from near").fetchall()
        con.close()
    yield Row("all of it", cost.cpu_s, "s CPU", f"{cost.wall_s:.1f} s by the clock")
    yield Row("per million images", cost.cpu_s * 1e6 / count, "s CPU")
    yield Row("pairs that the hash proposes", candidates / count, "an image")
    yield Row("copies found", 100 * found / (count // 10), "%")


def report(quick: bool) -> Report:
    """Copies that are found and missed, pictures that are taken for one, cost."""
    yield from _report_groups(quick)
    yield from _report_decoding(quick)
    yield from _report_search(300 if quick else 1_000_000)
