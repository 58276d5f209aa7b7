"""A file of weights whose setup nobody has said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip

from pipeline.clip.model_id import parse_model_id
from pipeline.clip.setup import Blueprint, resolve_file

HALF = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "resize_mode": "squash", "interpolation": "bilinear"}


def resolve(name: str, says_quick_gelu: bool | None = None) -> Blueprint:
    return resolve_file(parse_model_id(name), says_quick_gelu)


def sidecar(file: Path, arch: str, preprocess: dict[str, Any], **changes: Any) -> None:
    config = open_clip.get_model_config(arch) | changes
    content = {"model_cfg": config, "preprocess_cfg": preprocess}
    (file.parent / "open_clip_config.json").write_text(json.dumps(content))
