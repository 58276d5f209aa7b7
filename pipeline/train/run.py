"""The training loop of nano: compose, encode, compare, step; a checkpoint every minute."""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch.nn import functional

from pipeline.base.progress import NoProgress, ProgressCallback
from pipeline.base.settings import TrainConfig
from pipeline.nano.concepts import NanoConcept
from pipeline.train.atlas import PictureAtlas, WordAtlas
from pipeline.train.captions import write_captions
from pipeline.train.compose import Composer
from pipeline.train.objective import (
    Heads,
    Targets,
    contrast,
    plan_channels,
    plant,
)

Architecture = dict[str, Any]
"""The arguments of ``open_clip.CLIP``."""

LANGUAGES = ("en", "es", "fr", "de")
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
"""CLIP's own normalisation, which open_clip applies by default."""


def train(
    folder: Path,
    config: TrainConfig,
    concepts: Sequence[NanoConcept],
    pictures: PictureAtlas,
    words: WordAtlas,
    architecture: Architecture,
    bpe_path: Path,
    progress: ProgressCallback | None = None,
) -> Any:
    """Train, or go on from the checkpoint in ``folder``.

    Returns:
        The open_clip model, in training mode.
    """
    progress = progress or NoProgress()
    torch.manual_seed(config.seed)
    model = open_clip.CLIP(**architecture)
    for block in model.visual.layer4:
        torch.nn.init.ones_(block.bn3.weight)
    tokenizer = open_clip.SimpleTokenizer(
        str(bpe_path), context_length=architecture["text_cfg"]["context_length"]
    )
    heads = Heads(len(concepts), architecture["embed_dim"])
    channel_count = architecture["vision_cfg"]["width"] * 32
    targets = Targets(plan_channels(concepts, channel_count), concepts)
    model = model.to(memory_format=torch.channels_last)
    optimizer = _make_optimizer(model, heads, config)
    keeps_colour = torch.tensor([c.category in ("color", "region") for c in concepts])
    composer = Composer(
        pictures, words, keeps_colour, architecture["vision_cfg"]["image_size"], config.seed
    )
    rng = random.Random(config.seed)
    state = _State(model, heads, optimizer, composer, rng)
    step, seconds = state.load(folder / "checkpoint.pt")
    seen: list[torch.Tensor] = []
    model.visual.layer4[-1].act3.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0] * 1.0)
    )
    model.train()
    progress.start("steps", config.steps)
    progress.advance(step)
    log = (folder / "log.jsonl").open("a", encoding="utf-8")
    began = saved = time.monotonic()
    sums: dict[str, float] = {}
    with log:
        while step < config.steps:
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * _schedule(step, config)
            strength = min(1.0, 0.1 + 0.9 * step / max(config.ramp, 1))
            batch = composer.draw(config.batch_size, strength)
            captions = write_captions(batch, concepts, LANGUAGES, rng)
            losses = _losses(model, heads, batch, tokenizer(captions), targets, seen, config)
            loss = sum(losses.values(), torch.zeros(()))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            with torch.no_grad():
                model.logit_scale.clamp_(0, math.log(100))
            step += 1
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / 50
            progress.advance(1)
            if step % 50 == 0:
                now = time.monotonic()
                row = {"step": step, "seconds": round(seconds + now - began, 1)}
                log.write(json.dumps(row | {k: round(v, 4) for k, v in sums.items()}) + "\n")
                log.flush()
                sums.clear()
            if time.monotonic() - saved > config.checkpoint_s or step == config.steps:
                saved = time.monotonic()
                state.save(folder / "checkpoint.pt", step, seconds + saved - began)
    (folder / "config.json").write_text(json.dumps(asdict(config), indent=2), encoding="utf-8")
    progress.finish()
    return model


def _losses(
    model: Any,
    heads: Heads,
    batch: Any,
    tokens: torch.Tensor,
    targets: Targets,
    seen: list[torch.Tensor],
    config: TrainConfig,
) -> dict[str, torch.Tensor]:
    seen.clear()
    pixels = ((batch.images - MEAN) / STD).contiguous(memory_format=torch.channels_last)
    is_reduced = config.precision == "bfloat16"
    with torch.autocast("cpu", torch.bfloat16, enabled=is_reduced):
        images, texts = model.encode_image(pixels), model.encode_text(tokens)
    images = functional.normalize(images.float(), dim=-1)
    texts = functional.normalize(texts.float(), dim=-1)
    return {
        "contrast": contrast(images, texts, model.logit_scale.exp()),
        "image": 0.5 * heads(images, batch.concept),
        "text": 0.5 * heads(texts, batch.concept),
        "planted": 0.5 * plant(seen[0], targets.of(batch), batch.concept, len(heads.concepts)),
    }


def _schedule(step: int, config: TrainConfig) -> float:
    """Rise, stay, fall: linear warm-up, constant, then a fall to zero (1 - sqrt)."""
    fall = int(config.steps * config.decay_frac)
    if step < config.warmup:
        return (step + 1) / config.warmup
    if step < config.steps - fall:
        return 1.0
    return 1 - math.sqrt((step - config.steps + fall) / max(fall, 1))


def _make_optimizer(model: Any, heads: Heads, config: TrainConfig) -> torch.optim.Optimizer:
    both = [*model.named_parameters(), *heads.named_parameters()]
    decayed = [p for _, p in both if p.ndim >= 2]
    others = [p for _, p in both if p.ndim < 2]
    return torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=(0.9, 0.98),
        fused=True,
    )


@dataclass(frozen=True)
class _State:
    """Everything that a resumed training needs to go on as if it had not stopped."""

    model: Any
    heads: Heads
    optimizer: torch.optim.Optimizer
    composer: Composer
    rng: random.Random

    def save(self, path: Path, step: int, seconds: float) -> None:
        content = {
            "step": step,
            "seconds": seconds,
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "composer": self.composer.generator.get_state(),
            "rng": repr(self.rng.getstate()),
        }
        unfinished = path.with_name(path.name + ".tmp")
        with unfinished.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)

    def load(self, path: Path) -> tuple[int, float]:
        """Take up a checkpoint; (0, 0.0) if there is none."""
        import ast

        if not path.is_file():
            return 0, 0.0
        content = torch.load(path, weights_only=True)
        self.model.load_state_dict(content["model"])
        self.heads.load_state_dict(content["heads"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.composer.generator.set_state(content["composer"])
        self.rng.setstate(ast.literal_eval(content["rng"]))
        return int(content["step"]), float(content["seconds"])
