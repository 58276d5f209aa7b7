"""Training nano as one resumable job: fetch, draw, train, measure, ship."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import TrainConfig
from pipeline.nano.concepts import NanoConcept, load_concepts
from pipeline.stimuli.drawings import DrawingSet, load_package_sets
from pipeline.stimuli.fonts import Font
from pipeline.train.atlas import draw_pictures, draw_words
from pipeline.train.card import write_card
from pipeline.train.evaluate import held_out_fonts
from pipeline.train.objective import BOTH, plan_channels, write_planted
from pipeline.train.packages import fetch_training_fonts, fetch_training_sets
from pipeline.train.report import Figures, measure
from pipeline.train.run import LANGUAGES, Architecture, train
from pipeline.train.ship import nano_architecture, write_model, write_tokenizer

FONTS_PER_WORD = 20
"""Every word is written in this many of the training fonts."""
SMOKE = TrainConfig(steps=6, batch_size=16, warmup=2, ramp=4)


@dataclass(frozen=True)
class Shipped:
    """What a training left in its folder."""

    folder: Path
    """Holds the weights, open_clip's configuration, the tokenizer, planted.csv, results.json and the card."""
    figures: Figures


def train_nano(
    folder: Path,
    config: TrainConfig,
    is_smoke: bool = False,
    progress: ProgressCallback | None = None,
) -> Shipped:
    """Train nano from packages alone, or go on where a killed training stopped.

    Args:
        folder: Where the cache, the checkpoint and, in ``nano/``, the result are written.
        config: How long, how fast.
        is_smoke: Learn a few concepts from this project's own dependencies instead, for a test: nothing
            is fetched, and the result is good for nothing.
        progress: Told of each step.

    Raises:
        SourceError: A package cannot be fetched.
    """
    concepts = load_concepts()
    concepts = concepts[::8] if is_smoke else concepts
    sets, fonts = _sources(folder / "packages", is_smoke)
    pictures = draw_pictures(concepts, sets)
    words = draw_words(concepts, LANGUAGES, fonts, 1 if is_smoke else FONTS_PER_WORD, config.seed)
    result = folder / "nano"
    result.mkdir(parents=True, exist_ok=True)
    architecture = nano_architecture(write_tokenizer(result / "bpe.txt.gz"))
    bpe = result / "bpe.txt.gz"
    model = train(folder, config, concepts, pictures, words, architecture, bpe, progress)
    return ship(model, concepts, config, architecture, result, _seconds(folder))


def ship(
    model: torch.nn.Module,
    concepts: Sequence[NanoConcept],
    config: TrainConfig,
    architecture: Architecture,
    result: Path,
    seconds: float,
) -> Shipped:
    """Measure a trained model on the final sets and write all that ships into ``result``."""
    import open_clip

    model = model.eval().requires_grad_(False)
    model.load_state_dict({k: _through_half(v) for k, v in model.state_dict().items()})
    tokenizer = open_clip.SimpleTokenizer(
        str(result / "bpe.txt.gz"), context_length=architecture["text_cfg"]["context_length"]
    )
    planted = plan_channels(concepts, architecture["vision_cfg"]["width"] * 32)
    figures = measure(model, tokenizer, concepts, planted)
    torch.manual_seed(config.seed)
    blank = open_clip.CLIP(**architecture).eval().requires_grad_(False)
    untrained = measure(blank, tokenizer, concepts, planted)
    good = figures.neurons.planted_channels
    asserted = [p.facets == BOTH and p.channel in good for p in planted]
    write_planted(planted, asserted, result / "planted.csv")
    write_model(model, architecture, result)
    results = figures.flat | {"untrained": untrained.flat}
    (result / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    write_card(figures, untrained, config, seconds, result / "MODEL_CARD.md")
    return Shipped(result, figures)


def _through_half(tensor: torch.Tensor) -> torch.Tensor:
    """What a float16 file will give back, so that the figures are those of the shipped weights."""
    return tensor.half().float() if tensor.is_floating_point() else tensor


def _sources(cache: Path, is_smoke: bool) -> tuple[Sequence[DrawingSet], Sequence[Font]]:
    if is_smoke:
        return load_package_sets(), list(held_out_fonts().values())
    return fetch_training_sets(cache), fetch_training_fonts(cache)


def _seconds(folder: Path) -> float:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return float(json.loads(lines[-1])["seconds"]) if lines else 0.0
