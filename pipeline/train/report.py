"""The figures of nano's model card, measured on what it never saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from pipeline.nano.concepts import NanoConcept
from pipeline.stimuli.drawings import load_glyphs, load_openmoji
from pipeline.train.evaluate import (
    DEV_FONTS,
    FINAL_FONTS,
    ImageSet,
    accuracy,
    count_free,
    draw_set,
    encode_names,
    held_out_fonts,
    make_encoder,
    planted_aurocs,
    strip_attack,
    write_set,
)
from pipeline.train.objective import BOTH, PICTURES, WORDS, Planted

THRESHOLD = 0.95
PERMUTATIONS = 5


@dataclass(frozen=True)
class NeuronFigures:
    """How many neurons tell their concept; ``095`` is an AUROC above `THRESHOLD` on pictures and on words."""

    planted_concepts: int
    """Planted for a concept, as picture and as word."""
    planted_above_095: int
    half_of_top10_pictures_and_english: int
    """Of these, five of the ten top images show it: among pictures and English words."""
    half_of_top10_all_forms: int
    """And among all held-out images."""
    planted_above_095_by_category: dict[str, int]
    planted_channels: list[int]
    """Those above; they are asserted in ``planted.csv``."""
    free_channels: int
    free_above_095: int
    """Free channels that tell any concept."""
    free_above_095_permuted: float
    """The same with permuted labels."""
    control_word_response: dict[str, float]
    """Mean peaks of the channels planted for one form alone."""


@dataclass(frozen=True)
class Figures:
    """What the card says of one model."""

    concepts: int
    """Classes."""
    accuracies: dict[str, float]
    """Top-1, 0..1, by test set; and with strips over pictures, see `_attack`."""
    neurons: NeuronFigures

    @property
    def flat(self) -> dict[str, object]:
        """As in ``results.json``; the card's template names them so."""
        neurons = asdict(self.neurons)
        del neurons["planted_channels"]
        chance = round(1 / self.concepts, 4)
        return {"concepts": self.concepts, "chance": chance, **self.accuracies, **neurons}


def measure(
    model: Any,
    tokenizer: Callable[[list[str]], torch.Tensor],
    concepts: Sequence[NanoConcept],
    planted: Sequence[Planted],
    final: bool = True,
) -> Figures:
    """All figures, rounded.

    Args:
        model: An open_clip ResNet in evaluation mode.
        tokenizer: Its tokenizer.
        concepts: The classes.
        planted: Which channels are supervised, and for what.
        final: Use the final test sets (OpenMoji, FINAL_FONTS), else the dev ones.
    """
    encode = make_encoder(model)
    classes = encode_names(model, tokenizer, concepts)
    fonts = [held_out_fonts()[name] for name in (FINAL_FONTS if final else DEV_FONTS)]
    sets = {"zero_shot_glyphs": draw_set(concepts, load_glyphs())}
    if final:
        sets["zero_shot_openmoji"] = draw_set(concepts, load_openmoji())
        sets["zero_shot_openmoji_lines"] = draw_set(concepts, load_openmoji("black"))
        sets["zero_shot_openmoji_edges"] = draw_set(concepts, load_openmoji("color"), edges=True)
    for language in ("en", "es", "fr", "de"):
        sets[f"words_{language}"] = write_set(concepts, language, fonts, anywhere=False)
    sets["words_en_anywhere"] = write_set(concepts, "en", fonts, anywhere=True)
    encoded = {name: encode(images.images) for name, images in sets.items()}
    accuracies = {
        name: round(accuracy(encoded[name][0], classes, images.concept), 4)
        for name, images in sets.items()
    }
    pictures = "zero_shot_openmoji" if final else "zero_shot_glyphs"
    accuracies |= _attack(encode, classes, sets[pictures], concepts, fonts[0])
    neurons = _neurons(
        planted,
        concepts,
        (encoded[pictures][1], encoded["words_en"][1]),
        (sets[pictures].concept, sets["words_en"].concept),
        (
            torch.cat([encoded[name][1] for name in sets]),
            torch.cat([images.concept for images in sets.values()]),
        ),
    )
    return Figures(len(concepts), accuracies, neurons)


def _attack(
    encode: Any,
    classes: torch.Tensor,
    pictures: ImageSet,
    concepts: Sequence[NanoConcept],
    font: Any,
) -> dict[str, float]:
    blank, written, target = strip_attack(pictures, concepts, font)
    blank_embeddings, written_embeddings = encode(blank)[0], encode(written)[0]
    return {
        "strip_blank_accuracy": round(accuracy(blank_embeddings, classes, pictures.concept), 4),
        "strip_blank_to_word": round(accuracy(blank_embeddings, classes, target), 4),
        "strip_word_accuracy": round(accuracy(written_embeddings, classes, pictures.concept), 4),
        "strip_word_to_word": round(accuracy(written_embeddings, classes, target), 4),
    }


def _neurons(
    planted: Sequence[Planted],
    concepts: Sequence[NanoConcept],
    peaks: tuple[torch.Tensor, torch.Tensor],
    owners: tuple[torch.Tensor, torch.Tensor],
    everything: tuple[torch.Tensor, torch.Tensor],
) -> NeuronFigures:
    by_picture = planted_aurocs(planted, concepts, peaks[0], owners[0])
    by_word = planted_aurocs(planted, concepts, peaks[1], owners[1])
    both = [c for c in by_picture if by_picture[c] > THRESHOLD and by_word.get(c, 0) > THRESHOLD]
    category = {row.channel: row.category for row in planted}
    counts = Counter(category[channel] for channel in both)
    index = {c.concept: i for i, c in enumerate(concepts)}

    def count_shown(all_peaks: torch.Tensor, all_owners: torch.Tensor) -> int:
        """How many of them show their concept in half of their ten top images."""
        shown = 0
        for channel in both:
            top = all_owners[all_peaks[:, channel].topk(10).indices]
            shown += int((top == index[planted[channel].concept]).sum()) >= 5
        return shown

    free = [c for c in range(peaks[0].shape[1]) if c >= len(planted)]
    generator = torch.Generator().manual_seed(0)
    shuffled = [
        count_free(
            peaks,
            (
                owners[0][torch.randperm(len(owners[0]), generator=generator)],
                owners[1][torch.randperm(len(owners[1]), generator=generator)],
            ),
            free,
            len(concepts),
        )
        for _ in range(PERMUTATIONS)
    ]
    return NeuronFigures(
        planted_concepts=len([p for p in planted if p.scope == "concept" and p.facets == BOTH]),
        planted_above_095=len(both),
        half_of_top10_pictures_and_english=count_shown(torch.cat(peaks), torch.cat(owners)),
        half_of_top10_all_forms=count_shown(*everything),
        planted_above_095_by_category=dict(sorted(counts.items())),
        planted_channels=both,
        free_channels=len(free),
        free_above_095=count_free(peaks, owners, free, len(concepts)),
        free_above_095_permuted=round(sum(shuffled) / len(shuffled), 1),
        control_word_response=_controls(planted, peaks, owners, index),
    )


def _controls(
    planted: Sequence[Planted],
    peaks: tuple[torch.Tensor, torch.Tensor],
    owners: tuple[torch.Tensor, torch.Tensor],
    index: dict[str, int],
) -> dict[str, float]:
    """Mean peak of the one-facet channels to their concept as picture and as word."""
    means: dict[str, float] = {}
    for facets in (PICTURES, WORDS):
        for place, name in enumerate(("picture", "word")):
            values = [
                peaks[place][owners[place] == index[p.concept], p.channel]
                for p in planted
                if p.facets == facets
            ]
            means[f"{facets} channels to the {name}"] = round(float(torch.cat(values).mean()), 3)
    return means
