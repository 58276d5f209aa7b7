"""The model card of nano: what it is, from what, how, and how good."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from pipeline.base.settings import TrainConfig
from pipeline.train.packages import FONTS_VERSION, TRAINING_FONTS, TRAINING_SETS
from pipeline.train.report import Figures

TEMPLATE = Path(__file__).with_name("card.md")

LICENCES = {
    "noto": "Apache-2.0",
    "noto-v1": "Apache-2.0",
    "fxemoji": "Apache-2.0",
    "fluent-emoji": "MIT",
    "fluent-emoji-flat": "MIT",
    "fluent-emoji-high-contrast": "MIT",
    "circle-flags": "MIT",
    "flag": "MIT",
    "twemoji": "CC BY 4.0",
    "emojione": "CC BY 4.0",
    "emojione-monotone": "CC BY 4.0",
    "streamline-emojis": "CC BY 4.0",
}
"""Of each training set, as its package states it."""

_GOALS = {
    "zero_shot_openmoji": ("OpenMoji, colour drawings", 0.65),
    "zero_shot_openmoji_lines": ("OpenMoji, lines only (no colours, no flags)", 0.50),
    "zero_shot_glyphs": ("Noto Emoji glyphs (no colours, no flags)", 0.50),
    "zero_shot_openmoji_edges": ("OpenMoji as edge maps", None),
    "words_en": ("English words, unseen fonts", 0.90),
    "words_es": ("Spanish words", 0.60),
    "words_fr": ("French words", 0.60),
    "words_de": ("German words", 0.60),
    "words_en_anywhere": ("English words, small, anywhere in the frame", None),
    "strip_blank_to_word": ("blank strip over OpenMoji: says the word's class", None),
    "strip_word_to_word": ("word on the strip: says the word's class", None),
    "strip_blank_accuracy": ("blank strip: still right", None),
    "strip_word_accuracy": ("word on the strip: still right", None),
}


def write_card(
    figures: Figures, untrained: Figures, config: TrainConfig, seconds: float, path: Path
) -> None:
    """Write the card from the figures of the model, and of the same architecture untrained."""
    from pipeline.train.evaluate import FINAL_FONTS

    rows = [
        f"| {text} | {figures.accuracies[name]:.1%} | {untrained.accuracies[name]:.1%} | "
        f"{'' if goal is None else f'{goal:.0%}'} |"
        for name, (text, goal) in _GOALS.items()
    ]
    categories = figures.neurons.planted_above_095_by_category
    values = {
        **figures.flat,
        "sets": ", ".join(
            f"`@iconify-json/{name}` {version} ({LICENCES[name]})"
            for name, version in TRAINING_SETS.items()
        ),
        "fonts": ", ".join(TRAINING_FONTS),
        "fonts_version": FONTS_VERSION,
        "precision": config.precision,
        "seed": config.seed,
        "steps": config.steps,
        "batch_size": config.batch_size,
        "images": config.steps * config.batch_size,
        "learning_rate": config.learning_rate,
        "decay": config.decay_frac,
        "ramp": config.ramp,
        "held_out_forms": "four forms of drawings and words in four languages",
        "minutes": seconds / 60,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "final_fonts": ", ".join(FINAL_FONTS),
        "untrained_above": untrained.neurons.planted_above_095,
        "untrained_free": untrained.neurons.free_above_095,
        "rows": "\n".join(rows),
        "emotions": categories.get("emotion", 0),
        "regions": categories.get("region", 0),
        "controls": "; ".join(
            f"{name} {value}" for name, value in figures.neurons.control_word_response.items()
        ),
    }
    text = TEMPLATE.read_text(encoding="utf-8").format(**values)
    path.write_text(text, encoding="utf-8")
