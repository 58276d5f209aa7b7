"""A silhouette shows its concept: none is drawn where all have one outline."""

from __future__ import annotations

from collections import Counter

from pipeline.base.stimulus_settings import PictureOptions
from pipeline.stimuli.pictures import SAME_OUTLINE, iter_pictures


def test_no_two_concepts_share_a_silhouette():
    items = list(iter_pictures(PictureOptions(forms=("silhouette",), size_px=64)))
    assert not {item.stimulus["category"] for item in items} & set(SAME_OUTLINE)
    shapes = Counter({(item.image(), item.stimulus["concept"]) for item in items})
    concepts_of = Counter(image for image, _ in shapes)
    assert max(concepts_of.values()) == 1
