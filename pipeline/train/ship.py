"""From a trained model to the folder that open_clip loads: weights, configuration, tokenizer."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import torch

from pipeline.train.run import MEAN, STD, Architecture

MERGE_COUNT = 7_600
"""CLIP's byte pair merges that nano keeps: the first, which are the commonest."""


def write_tokenizer(path: Path) -> int:
    """Cut CLIP's merges (MIT, through open_clip) to the first ones; returns the vocabulary's size."""
    from open_clip.tokenizer import SimpleTokenizer, default_bpe

    with gzip.open(default_bpe()) as file:
        lines = file.read().decode("utf-8").split("\n")
    kept = "\n".join(lines[: MERGE_COUNT + 1]).encode()
    path.write_bytes(gzip.compress(kept, 9, mtime=0))
    return int(SimpleTokenizer(str(path)).vocab_size)


def nano_architecture(vocabulary: int) -> Architecture:
    """4.6 million parameters, images of 64 pixels."""
    return {
        "embed_dim": 256,
        "vision_cfg": {"layers": [1, 1, 1, 1], "width": 24, "image_size": 64, "patch_size": None},
        "text_cfg": {
            "context_length": 16,
            "vocab_size": vocabulary,
            "width": 128,
            "heads": 4,
            "layers": 2,
        },
    }


def write_model(model: torch.nn.Module, architecture: Architecture, folder: Path) -> Path:
    """Write ``open_clip_config.json`` and float16 ``open_clip_model.safetensors``."""
    from safetensors.torch import save_file

    preprocess = {
        "mean": MEAN.flatten().tolist(),
        "std": STD.flatten().tolist(),
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    config = {"model_cfg": architecture, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    state = {
        name: tensor.half().contiguous() if tensor.is_floating_point() else tensor.contiguous()
        for name, tensor in model.state_dict().items()
    }
    path = folder / "open_clip_model.safetensors"
    unfinished = path.with_name(path.name + ".tmp")
    save_file(state, unfinished)
    unfinished.rename(path)
    return path
