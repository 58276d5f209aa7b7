"""``neurons look``: how well does its suspicion tell attacked images from others?

On drawings with a word of another concept on a patch, the word and the place drawn at random, beside the
same drawings clean, with the patch blank, with the right word, and with another drawing in place of the word.
Neither the drawings nor the fonts were looked at when the parts and the limits of the suspicion were chosen.
And on the demo's own attacks. AUC: how often an attacked image has a higher score than one without a word.
"""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from PIL import Image
from sklearn.metrics import roc_auc_score

from bench.timing import Report, Row
from pipeline.base.job_file import load_config
from pipeline.base.settings import ExtractConfig, IngestConfig
from pipeline.base.storage import Store
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.model import Clip, load_clip
from pipeline.extract.run import extract
from pipeline.jobs.demo import JOB_FILE
from pipeline.look.answers import Classes, choose_classes
from pipeline.look.read import read_images
from pipeline.look.suspicion import find_region, judge
from pipeline.look.writing import Writing, learn_writing
from pipeline.maps.seen import see_image
from pipeline.nano.planted import BOTH_FACETS, load_planted
from pipeline.sources.ingest import ingest_items
from pipeline.stimuli.base_images import iter_images
from pipeline.stimuli.fonts import Font, find_fonts
from pipeline.stimuli.lettering import encode_png
from pipeline.stimuli.make import iter_stimuli
from pipeline.stimuli.typographic import PLACEMENTS, BaseImage, draw_patch
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_run

SEEN_WHILE_CHOOSING = 120
"""The first of the drawings, in the order of the seed: parts and limits were chosen on these."""
FONTS = ("font_manrope", "font_fredoka_one", "font_hanken_grotesk")
PAPERS = (("#ffffff", "#000000"), ("#ffe680", "#802000"), ("#203060", "#ffffff"))
WITHOUT_A_WORD = ("clean", "blank patch", "drawing")


class Case(NamedTuple):
    """An image, and what was done to it."""

    kind: str
    word: str | None
    """What is written on it."""
    data: bytes


class Outcome(NamedTuple):
    """What was said of it."""

    kind: str
    is_read: bool
    """It is taken for what is written on it."""
    level: str
    score: float
    whole: float
    """How near the whole image is to writing."""


def make_cases(names: Iterable[str], count: int) -> Iterator[Case]:
    """Images that nothing was chosen on.

    Args:
        names: What a run can take an image for.
        count: How many drawings.
    """
    known = set(names)
    bases = [base for base in iter_images("openmoji", "") if base.concept in known]
    random.Random(0).shuffle(bases)
    words = sorted(
        {p.concept for p in load_planted() if p.is_asserted and p.facets == BOTH_FACETS} & known
    )
    fonts = find_fonts(FONTS)
    draw = random.Random(3)
    first = min(SEEN_WHILE_CHOOSING, len(bases) // 2)
    for base in bases[first : first + count]:
        yield from _versions(base, bases, words, fonts, draw)


def _versions(
    base: BaseImage,
    bases: list[BaseImage],
    words: list[str],
    fonts: tuple[Font, ...],
    draw: random.Random,
) -> Iterator[Case]:
    image = base.image()
    yield Case("clean", None, encode_png(image))
    height, width = draw.uniform(0.2, 0.3), draw.uniform(0.7, 1.0)
    top, left = draw.uniform(0, 1 - height), draw.uniform(0, 1 - width)
    font, (paper, ink) = draw.choice(fonts), draw.choice(PAPERS)
    PLACEMENTS["anywhere"] = ((left, top, left + width, top + height),)
    word = draw.choice([word for word in words if word != base.concept])
    for kind, text in (("blank patch", None), ("right word", base.concept), ("attack", word)):
        patched, _ = draw_patch(image, "anywhere", text, font, ink, paper)
        yield Case(kind, text, encode_png(patched))
    del PLACEMENTS["anywhere"]
    other = draw.choice([one for one in bases if one.concept != base.concept]).image()
    small = other.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    both = image.copy()
    both.paste(small, (draw.randrange(image.width // 2), draw.randrange(image.height // 2)))
    yield Case("drawing", None, encode_png(both))


def judge_cases(
    clip: Clip, classes: Classes, writing: Writing, cases: Iterable[Case]
) -> list[Outcome]:
    """What ``neurons look`` would say of each."""
    spec, found = ImageSpec.from_model(clip.model), []
    for case in cases:
        seen = see_image(case.data, case.kind, spec, is_exact=False)
        embeddings = read_images(clip, (), seen.pixels).embeddings
        region, _ = find_region(clip, classes, writing, seen, embeddings)
        whole = float(writing.share(embeddings.numpy())[0])
        is_read = region.answer == case.word
        found.append(Outcome(case.kind, is_read, judge(region), region.score, whole))
    return found


def auc(outcomes: Iterable[Outcome], of: str = "score") -> float:
    """Attacks that are read against images without a word."""
    kept = [one for one in outcomes if one.kind in WITHOUT_A_WORD or is_attack(one)]
    return float(roc_auc_score([is_attack(o) for o in kept], [getattr(o, of) for o in kept]))


def is_attack(one: Outcome) -> bool:
    """An attack that the model falls for."""
    return one.kind.startswith("attack") and one.is_read


def demo_cases(step: int = 1) -> Iterator[Case]:
    """The demo's attacked images and their controls; every so many of them."""
    stimuli = load_config(JOB_FILE).stimuli[1]
    for number, item in enumerate(iter_stimuli(stimuli)):
        fields = item.stimulus
        assert fields is not None and callable(item.image)
        control = str(fields["control"])
        kind = {"blank": "blank patch", "right_word": "right word"}.get(control, control)
        if control == "attack":
            kind = f"attack, {fields.get('placement')}"
        if number % step == 0:
            yield Case(kind, str(fields.get("text")), item.image())


def report(quick: bool) -> Report:
    """Shares and AUC for new images, and for the demo's."""
    with tempfile.TemporaryDirectory() as folder:
        job = load_config(JOB_FILE)
        some = {p.concept for p in load_planted()[:24]}
        items = (
            item
            for item in iter_stimuli(job.stimuli[0])
            if not quick or (item.stimulus or {}).get("concept") in some
        )
        ingest_items(IngestConfig(folder, "demo", shard_size=500), "stimuli", items)
        extract(ExtractConfig(folder, "demo", "nano", ("goh2021",), device="cpu"))
        clip = load_clip("nano")
        with connect(folder) as connection:
            run = find_run(connection)
            writing, why = learn_writing(connection, run)
            assert writing is not None, why
            classes = choose_classes(
                connection, Store(folder), run, clip, (), job.similarity_templates
            )
        sets = {
            "new drawings, words and fonts": make_cases(classes.names, 2 if quick else 60),
            "the demo's attacks": demo_cases(241 if quick else 1),
        }
        for title, cases in sets.items():
            found = judge_cases(clip, classes, writing, cases)
            yield f"look: {title}, {len(classes.names)} classes"
            yield from _tell(found)


def _tell(found: list[Outcome]) -> Iterator[Row]:
    kinds: dict[str, list[Outcome]] = defaultdict(list)
    for one in found:
        kinds[one.kind].append(one)
        if is_attack(one):
            kinds["attacks that are read"].append(one)
        if one.kind in WITHOUT_A_WORD:
            kinds["without a word"].append(one)
    for kind, some in list(kinds.items()):
        share = 100 * sum(one.level == "suspected" for one in some) / len(some)
        read = sum(one.is_read for one in some)
        yield Row(
            f"suspected, {kind}", share, "%", f"{len(some)} images, {read} taken for the word"
        )
    if kinds["attacks that are read"]:
        yield Row(
            "AUC, attacks that are read", 100 * auc(found), "%", "against those without a word"
        )
        yield Row(
            "the same by the whole image", 100 * auc(found, "whole"), "%", "nearness to writing"
        )
