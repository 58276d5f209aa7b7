"""Captions for training: the concept's name in some language, often inside a sentence."""

from __future__ import annotations

import random
from collections.abc import Sequence

from pipeline.nano.concepts import NanoConcept
from pipeline.train.compose import Batch

TEMPLATES = {
    "en": ("{}", "a picture of {}", "an image of {}", "a {facet} of {}", "{}, a {facet}"),
    "es": ("{}", "una imagen de {}", "un dibujo de {}"),
    "fr": ("{}", "une image de {}", "un dessin de {}"),
    "de": ("{}", "ein Bild von {}", "eine Zeichnung von {}"),
}
"""Sentences around a name, by language; the facet is named in English only."""
ENGLISH_SHARE = 0.5


def write_captions(
    batch: Batch, concepts: Sequence[NanoConcept], languages: Sequence[str], rng: random.Random
) -> list[str]:
    """One caption per image. A picture's is in any language, a written word's mostly in its own."""
    captions = []
    rows = zip(batch.concept.tolist(), batch.language.tolist(), batch.facet, strict=True)
    for concept, spoken, facet in rows:
        language = "en" if rng.random() < ENGLISH_SHARE else rng.choice(list(languages))
        if spoken >= 0 and rng.random() < 0.5:
            language = languages[spoken]
        template = rng.choice(TEMPLATES[language])
        captions.append(template.format(concepts[concept].words[language], facet=facet))
    return captions
