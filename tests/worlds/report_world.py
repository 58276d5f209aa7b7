"""A card of made-up numbers, with everything that a card can hold; and pages taken apart."""

from __future__ import annotations

import io
import itertools
from html.parser import HTMLParser
from typing import Any

from PIL import Image

from pipeline.report.card import (
    Card,
    Clarity,
    Group,
    HalleBerry,
    HistogramBin,
    Index,
    Label,
    Probability,
    SampleBin,
    Stats,
    Stratum,
    SupportScores,
)
from pipeline.report.drawn import DrawnPicture
from pipeline.report.thumbnails import THUMBNAIL_PX, Picture

EVIL = '<script>alert("$x^2$")</script> & 日本 اليابان \n😀'
"""A concept as a user's data may name it: markup, mathematics, scripts, a new line."""


def make_picture(seed: int, **more: Any) -> Picture:
    """A picture of one colour with a mark, so that no two are alike."""
    image = Image.new("RGB", (THUMBNAIL_PX,) * 2, (40 + seed * 53 % 200, seed * 91 % 200, 120))
    image.paste((255, 255, seed % 256), (10 + seed % 40, 12, 60, 50))
    given = {"name": f"picture {seed} {EVIL}", "text": f"text {seed} {EVIL}", "strength": 2.5}
    return Picture(seed, image, **given | more)


def make_label(**more: Any) -> Label:
    """A label with all its evidence."""
    values = {
        "concept": EVIL,
        "category": "<b>region</b>",
        "origin": "texts",
        "score": 0.987,
        "z": 8.25,
        "q_value": 1.5e-12,
        "positive_count": 31,
        "top_count": 17,
        "top_size": 24,
        "lift": 12.5,
        "runner_up": "<i>Kenya</i>",
        "runner_up_score": 0.612,
        "margin": 0.375,
        "agreement": 2,
        "enrichment_concept": EVIL,
        "auroc_concept": EVIL,
        "soft_wpmi_concept": "<u>dog</u>",
        "is_labelled": True,
        "is_circular": False,
        "reason": None,
        "tested_score": 0.987,
        "tested_p_value": 1e-14,
        "has_similarity": True,
        "store": "positive",
        "is_cut": False,
    }
    return Label(**values | more)


def make_unlabelled(reason: str) -> Label:
    """No label: what ``neuron_labels`` has then."""
    names = list(Label.__dataclass_fields__)
    told = {
        "has_similarity": False,
        "is_labelled": False,
        "is_circular": reason == "circular",
        "reason": reason,
        "store": "positive",
        "is_cut": False,
    }
    return Label(**dict.fromkeys(names) | told)


def make_support(**more: Any) -> SupportScores:
    """Scores of a label, one of which was not measured."""
    values = dict.fromkeys(SupportScores.__dataclass_fields__) | {
        "other_concept": "<i>Kenya</i>",
        "supported_count": 3,
        "measured_count": 5,
        "fresh_forms": "drawing, word",
        "fresh_auc": 0.971,
        "other_fresh_auc": 0.412,
        "permuted_fresh_auc": 0.538,
        "fresh_mad": 3.21,
        "other_fresh_mad": -0.45,
        "permuted_fresh_mad": 0.08,
        "is_fresh_supported": True,
        "purity": 0.766,
        "other_purity": 0.021,
        "permuted_purity": 0.033,
        "is_purity_supported": True,
        "detection": 0.612,
        "other_detection": 0.507,
        "permuted_detection": 0.491,
        "is_detection_supported": False,
        "prediction": 0.144,
        "other_prediction": 0.013,
        "permuted_prediction": -0.027,
        "is_prediction_supported": False,
        "agreement": 2,
        "other_agreement": 0,
        "permuted_agreement": 1,
        "is_agreement_supported": True,
    }
    return SupportScores(**values | more)


def make_drawn(
    colour: tuple[int, int, int] = (200, 30, 30), facet: str | None = None, alpha: int = 255
) -> DrawnPicture:
    """A picture of one colour that a neuron drew."""
    file = io.BytesIO()
    Image.new("RGBA", (64, 64), (*colour, alpha)).save(file, "PNG")
    return DrawnPicture(facet, "fourier", 0, 12.34, 2.5, None, "a.png", file.getvalue())


def make_card(**more: Any) -> Card:
    """A neuron of which everything is known."""
    strata = (
        Stratum("facet", "photo", "stimulus", 12, 90, 0.96, 0.01, False, 0.4, 0.6),
        Stratum("facet", "line drawing", "stimulus", 9, 70, 0.55, 0.31, True, 0.38, 0.63),
        Stratum("facet", "edge map", "stimulus", 1, 70, None, None, None, None, None),
        Stratum("facet", "silhouette", "stimulus", 0, 0, None, None, None, None, None),
        Stratum("word language", "en", "stimulus", 4, 30, 0.9, 0.01, False, 0.3, 0.7),
        Stratum("word language", "de", "stimulus", 1, 30, 1.0, 0.01, False, 0.3, 0.7, True),
    )
    index = Index("stimulus", 0.55, 0.31, 2, "line drawing", ["line drawing"])
    values: dict[str, Any] = {
        "dataset": "d",
        "run_id": "r",
        "model_id": "m:t",
        "is_random": False,
        "layer": "visual.layer4",
        "unit": 7,
        "unit_count": 8,
        "axis": "sd",
        "tower": "visual",
        "planted": None,
        "stats": Stats(1000, 0.1, 0.5, -1.0, 2.0, 0.4, 200, 1.5, 3.25, 0.6),
        "label": make_label(),
        "drawn": (make_drawn(),),
        "support": make_support(),
        "top": tuple(make_picture(n, is_labelled=n % 2 == 0) for n in range(12)),
        "bottom": tuple(make_picture(20 + n, strength=-1.5) for n in range(3)),
        "histogram": tuple(
            HistogramBin(n / 8, (n + 1) / 8, 1 + abs(n) * 7) for n in range(-16, 32) if n
        ),
        "samples": tuple(
            SampleBin(n, n + 1, tuple(make_picture(100 + 12 * n + i) for i in range(6)))
            for n in range(-2, 4)
        ),
        "halle_berry": HalleBerry(EVIL, "region", "texts", (index,), strata),
        "probabilities": tuple(
            Probability(
                what, n, n + 1, 20, hits, hits / 20, max(0, hits / 20 - 0.1), hits / 20 + 0.05,
                category_count=hits, activation_frac=hits / 19, overall_frac=1 / 3,
            )
            for what in (EVIL, "any region", "human thing (anna)")
            for n, hits in ((-1, 0), (0, 4), (1, 15))
        ),
        "clarity": Clarity(0.41, 0.12, 22.5, group_count=2, polysemanticity=0.48),
        "groups": (
            Group(30, EVIL, 20, tuple(make_picture(200 + n) for n in range(5))),
            Group(20, None, 0, tuple(make_picture(210 + n) for n in range(4))),
        ),
        "contrasting": tuple(make_picture(220 + n, strength=0.0, is_at_rest=True) for n in range(10)),
    }  # fmt: skip
    return Card(**values | more)


def make_bare_card(**more: Any) -> Card:
    """A dead neuron of a run without samples, facets or a build."""
    values: dict[str, Any] = {
        "stats": Stats(1000, 0.0, 0.0, 0.0, 0.0, 0.0, 1000, None, None, None),
        "label": make_unlabelled("no activity"),
        "support": None,
        "drawn": (),
        "halle_berry": None,
        "clarity": None,
    }
    empty = ("top", "bottom", "histogram", "samples", "probabilities", "groups", "contrasting")
    return make_card(**dict.fromkeys(empty, ()) | values | more)


class Page(HTMLParser):
    """Tags, ids, addresses and text of a page; and whether its tags close as they should."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "link", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def addresses(self) -> list[str]:
        """Everything that a browser might fetch."""
        names = ("src", "href", "xlink:href", "srcset", "action", "data", "poster")
        return [str(attrs[n]) for _, attrs in self.tags for n in names if attrs.get(n)]


def assert_self_contained(text: str) -> Page:
    """No request, no script but one of ours, no unknown tag, every picture with words, headings in order."""
    page = Page(text)
    assert page.unbalanced == []
    assert page.open == []
    assert all(a.startswith(("data:image/", "#")) for a in page.addresses())
    assert "@import" not in text
    assert "url(http" not in text
    assert sum(tag == "script" for tag, _ in page.tags) <= 1
    assert all(not attrs for tag, attrs in page.tags if tag == "script")
    assert not {"iframe", "link", "object", "embed", "form"} & {t for t, _ in page.tags}
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    charts = [attrs for _, attrs in page.tags if attrs.get("role") == "img"]
    assert all(attrs.get("aria-label") for attrs in charts)
    return page
