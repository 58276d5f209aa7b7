"""Run in a process of its own: models by their names against open_clip set up by hand.

Its argument is a JSON file: ``architectures`` (a folder of small ones that take the place of open_clip's),
``same`` (our name, and the arguments of ``open_clip.create_model``), ``refused`` (names). It prints JSON: the
largest differences, and the errors. Warnings and log lines of open_clip are errors here too.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import open_clip
import torch
from PIL import Image

from pipeline.base.errors import NeuronsError
from pipeline.clip.hooks import capture_layers, end_positions
from pipeline.clip.layers import list_layers
from pipeline.clip.model import Clip, load_clip

TEXTS = ["a photo of a dog", "pizza", "a red apple on a table"]


class _Refuse(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise AssertionError(f"open_clip warns: {record.getMessage()}")


def _differ(one: torch.Tensor, other: torch.Tensor) -> float:
    assert one.shape == other.shape
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-6))


def _hook(model: Any, path: str, tokens: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    kept = []
    module = dict(model.named_modules())[path]
    handle = module.register_forward_hook(lambda _, __, out: kept.append(out.clone()))
    model.encode_image(images)
    model.encode_text(tokens)
    handle.remove()
    return kept[0]


def _choose(clip: Clip) -> list[Any]:
    """Three layers: the activations of an MLP or block in the image tower, and one in the text tower."""
    layers = list_layers(clip)
    visual = [x for x in layers if x.tower == "visual" and x.layout != "flat"]
    acts = [x for x in visual if x.kind in ("ReLU", "GELU", "QuickGELU")]
    text = [x for x in layers if x.tower == "text" and x.kind in ("GELU", "QuickGELU")]
    return [acts[-1], visual[len(visual) // 2], text[-1]]


@torch.inference_mode()
def compare(name: str, plain: dict[str, Any]) -> dict[str, Any]:
    """Largest relative differences of embeddings, layers and pixels."""
    clip = load_clip(name)
    theirs, _, transform = open_clip.create_model_and_transforms(**plain)
    theirs.eval()
    height, width = clip.setup.image.size_px
    images = torch.randn(3, 3, height, width, generator=torch.Generator().manual_seed(0))
    tokens = clip.tokenizer(TEXTS)
    layers = tuple(_choose(clip))
    with capture_layers(clip, layers) as captured:
        captured.ends = end_positions(clip, tokens)
        embedded = clip.model.encode_image(images), clip.model.encode_text(tokens)
    found = {
        "image": _differ(embedded[0], theirs.encode_image(images)),
        "text": _differ(embedded[1], theirs.encode_text(tokens)),
        "weights": max(
            _differ(tensor.float(), theirs.state_dict()[key].float())
            for key, tensor in clip.model.state_dict().items()
        ),
    }
    for layer in layers:
        expected = _hook(theirs, layer.spec.path, tokens, images)
        if layer.layout == "channels_first":
            expected = expected.amax((2, 3))
        elif layer.layout == "channels_last":
            expected = expected.amax((1, 2))
        elif layer.tower == "text":
            ends = end_positions(clip, tokens).tolist()
            rows = zip(expected, ends, strict=True)
            expected = torch.stack([row[: end + 1].amax(0) for row, end in rows])
        else:
            expected = expected.amax(1)
        found[layer.spec.path] = _differ(captured.pooled[layer.name], expected)
    picture = Image.linear_gradient("L").resize((90, 50)).convert("RGB")
    found["pixels"] = _differ(clip.preprocess(picture), transform(picture))
    return {
        "differences": found,
        "is_random": clip.is_random,
        "model_id": clip.model_id,
        "activations": clip.activations,
        "said_by": clip.setup.said_by,
    }


def main(plan: Path) -> None:
    """Compare all, and print what was found."""
    logging.getLogger().addHandler(_Refuse(logging.WARNING))
    asked = json.loads(plan.read_text())
    open_clip.add_model_config(asked["architectures"])
    found: dict[str, Any] = {"same": {}, "refused": {}}
    for name, plain in asked["same"].items():
        found["same"][name] = compare(name, plain)
    for name in asked["refused"]:
        try:
            load_clip(name)
        except NeuronsError as error:
            found["refused"][name] = [type(error).__name__, str(error)]
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
