"""What weights were trained with, and so what a model is built with: never a default by accident.

Weights mean nothing without the activation function, the normalisation and the resize that they were
trained with. Who says what these are:

- a tag: open_clip's table of published weights. The table, not the name of the architecture, decides
  about QuickGELU: ``RN50:openai`` and ``RN50-quickgelu:openai`` are one network;
- a repository of the hub, or a folder: its ``open_clip_config.json``;
- a file: the tag that it is given as (``ARCH:TAG@FILE``); else an ``open_clip_config.json`` beside it;
  else the TorchScript code in it; else what all published weights of the architecture agree on; else
  open_clip's table, if the file's SHA-256 is in it or it lies in the hub's cache of such a repository.
  Where none of these decides, an error says what to write. An architecture without published weights
  has only its own configuration.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import open_clip
from open_clip.coca_model import MultimodalCfg
from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from open_clip.transform import PreprocessCfg, merge_preprocess_dict

from pipeline.base.errors import ModelError
from pipeline.base.warn import warn_once
from pipeline.clip.image_spec import ImageSpec
from pipeline.clip.model_id import CONFIG_FILE, NANO, NANO_FOLDER, ModelId, list_tags

_WITHOUT_MEANING = (
    "quick_gelu",
    "hf_model_pretrained",
    "timm_model_pretrained",
    "hf_tokenizer_name",
)

INTERPOLATIONS, RESIZE_MODES = ("bicubic", "bilinear", "random"), ("shortest", "longest", "squash")
SMALLEST_STD = 1e-6
"""A pixel is divided by the standard deviation."""


ModelConfig = dict[str, Any]
"""``model_cfg``: open_clip's own description of an architecture, whatever its version knows."""


@dataclass(frozen=True)
class Setup:
    """What weights were trained with."""

    quick_gelu: bool
    """``x * sigmoid(1.702 x)`` where open_clip's own towers have GELU; others are as they are."""
    image: ImageSpec
    """Size, mean, standard deviation, interpolation and resize mode of the images."""
    said_by: str
    """Who says so, for a person."""

    def __str__(self) -> str:
        """All but the source, in a line."""
        return f"{_words(self.quick_gelu)}, {describe_image(self.image)}"


@dataclass(frozen=True)
class Blueprint:
    """What to build: open_clip's configuration of a model, and what it is set up with."""

    config: ModelConfig
    """``model_cfg``, with the ``quick_gelu`` of the setup."""
    setup: Setup


def describe_image(image: ImageSpec) -> str:
    """The preprocessing in a line."""
    mean, std = (" ".join(f"{x:.4g}" for x in v) for v in (image.mean, image.std))
    height, width = image.size_px
    return (
        f"{width} x {height} pixels, mean {mean}, std {std}, {image.interpolation}, "
        f"{image.resize_mode}"
    )


def resolve_tag(arch: str, tag: str) -> Blueprint:
    """As open_clip's table says of published weights.

    Raises:
        ModelError: The table and the architecture contradict each other where the table cannot decide.
    """
    config, entry = _config(arch), open_clip.get_pretrained_cfg(arch, tag)
    said = entry.get("quick_gelu")
    ours = bool(config.get("quick_gelu", False))
    # A tower of timm or transformers has its own activation function, whatever the flag says.
    is_foreign = "timm_model_name" in config["vision_cfg"] or "hf_model_name" in config["text_cfg"]
    if bool(said) != ours and (ours or is_foreign):
        hub = entry.get("hf_hub", "").split("/")
        repository = "/".join(hub[:2])
        raise ModelError(
            f"open_clip contradicts itself about {arch}:{tag}: QuickGELU is "
            f"{ours} in the architecture and {bool(said)} in the table of weights.",
            f"Take what the weights' own configuration says: hf-hub:{repository}"
            if repository
            else "Name a folder that holds the weights and their configuration: local-dir:/path.",
        )
    return _blueprint(config, bool(said), entry, f"open_clip's table of weights, {arch}:{tag}")


def resolve_config(found: Any, where: str) -> Blueprint:
    """As an ``open_clip_config.json`` says.

    Args:
        found: Its content.
        where: What it is called in an error.

    Raises:
        ModelError: It is not a configuration that this open_clip knows.
    """
    config = found.get("model_cfg") if isinstance(found, dict) else None
    parts = ("embed_dim", "vision_cfg", "text_cfg")
    if not isinstance(config, dict) or not all(name in config for name in parts):
        raise ModelError(
            f"{where} is no configuration of an open_clip model: it has no model_cfg with "
            f"{', '.join(parts)}.",
            "It is what open_clip's push_to_hf_hub writes, as in hf-hub:timm/resnet50_clip.openai.",
        )
    config = deepcopy(config)
    try:
        quick_gelu = config.get("quick_gelu") or False
        if not isinstance(quick_gelu, bool):
            raise TypeError(f"quick_gelu is {quick_gelu!r}, not true or false")
        _comparable(config)
        blueprint = _blueprint(config, quick_gelu, found.get("preprocess_cfg") or {}, where)
        _check_image(blueprint.setup.image)
        return blueprint
    except (TypeError, ValueError, AttributeError, AssertionError) as error:
        raise ModelError(
            f"{where} says what open_clip {open_clip.__version__} does not know: "
            f"{str(error) or 'another kind of image than RGB'}.",
            "It may be made for another version of open_clip.",
        ) from error


def resolve_file(name: ModelId, says_quick_gelu: bool | None) -> Blueprint:
    """What the weights of a file were trained with; see the module's words for who decides.

    Args:
        name: With ``file``.
        says_quick_gelu: What the file's own code says, if it has any.

    Raises:
        ModelError: Nobody can say, or the file contradicts what it is given as.
    """
    if name.tag:
        return _agree(name, resolve_tag(name.arch, name.tag), says_quick_gelu)
    sidecar = Path(name.file).parent / CONFIG_FILE
    if sidecar.is_file():
        return _agree(name, _resolve_sidecar(name, sidecar), says_quick_gelu)
    found = {tag: resolve_tag(name.arch, tag) for tag in list_tags(name.arch)}
    if says_quick_gelu is not None:
        found = {tag: b for tag, b in found.items() if b.setup.quick_gelu == says_quick_gelu}
    if not found:
        return _resolve_without_tags(name, says_quick_gelu)
    if len(_groups(found)) == 1:
        blueprint = next(iter(found.values()))
        said_by = f"all weights of {name.arch} in open_clip's table, which agree"
        if says_quick_gelu is not None:
            said_by = "the code in the file, and " + said_by
        elif blueprint.setup.quick_gelu != bool(_config(name.arch).get("quick_gelu", False)):
            warn_once(
                f"{name.text}: taken for weights like the published ones of {name.arch}, which run "
                f"{_words(blueprint.setup.quick_gelu)}. If that is right, write "
                f"{name.arch}:{next(iter(found))}@{name.file}; if not, put their {CONFIG_FILE} beside "
                "the file."
            )
        return _blueprint(blueprint.config, blueprint.setup.quick_gelu, blueprint.setup, said_by)
    if tag := _recognise(name, found):
        return found[tag]
    raise _undecided(name, found)


def resolve_random(arch: str) -> Blueprint:
    """An untrained twin of the published weights, where these agree; else as the architecture says."""
    if arch == NANO:
        where = f"{CONFIG_FILE} of {NANO}"
        return resolve_config(read_config(NANO_FOLDER / CONFIG_FILE, where), where)
    found = {tag: resolve_tag(arch, tag) for tag in list_tags(arch)}
    if len(_groups(found)) == 1:
        twin = next(iter(found.values()))
        said_by = f"all weights of {arch} in open_clip's table, which agree"
        return _blueprint(twin.config, twin.setup.quick_gelu, twin.setup, said_by)
    config = _config(arch)
    return _blueprint(config, bool(config.get("quick_gelu", False)), {}, f"the architecture {arch}")


def is_plain(name: ModelId, blueprint: Blueprint) -> bool:
    """Whether open_clip's ``create_model(arch, pretrained)`` sets the model up in the same way.

    It takes the activation function from the architecture and, for a file, CLIP's preprocessing.
    """
    if name.source in ("folder", "hub") or name.arch == NANO:
        return True
    config = _config(name.arch)
    plain = _blueprint(config, bool(config.get("quick_gelu", False)), {}, "").setup
    same_images = name.source == "tag" or plain.image == blueprint.setup.image
    return plain.quick_gelu == blueprint.setup.quick_gelu and same_images


def read_config(path: Path, where: str) -> Any:
    """The content of an ``open_clip_config.json``.

    Raises:
        ModelError: It cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{where} cannot be read: {error}.", "It must be JSON.") from error


def _words(quick_gelu: bool) -> str:
    return "QuickGELU" if quick_gelu else "GELU"


def _config(arch: str) -> ModelConfig:
    found: ModelConfig = open_clip.get_model_config(arch)
    return found


def _blueprint(
    config: ModelConfig, quick_gelu: bool, image: Mapping[str, Any] | Setup, said_by: str
) -> Blueprint:
    if isinstance(image, Setup):
        spec = image.image
    else:
        base = PreprocessCfg(size=config["vision_cfg"].get("image_size", 224))
        merged = merge_preprocess_dict(vars(base), {k: v for k, v in image.items() if k != "size"})
        spec = ImageSpec.from_preprocess(merged)
    return Blueprint(config | {"quick_gelu": quick_gelu}, Setup(quick_gelu, spec, said_by))


def _check_image(spec: ImageSpec) -> None:
    """Raises ValueError: images cannot be prepared so."""
    if spec.interpolation not in INTERPOLATIONS or spec.resize_mode not in RESIZE_MODES:
        raise ValueError(
            f"interpolation {spec.interpolation!r} with resize mode {spec.resize_mode!r}"
        )
    if not all(math.isfinite(x) for x in spec.mean) or not all(
        SMALLEST_STD <= x < math.inf for x in spec.std
    ):
        raise ValueError(f"mean {spec.mean} with std {spec.std}")


def _groups(found: dict[str, Blueprint]) -> dict[tuple[bool, ImageSpec], list[str]]:
    """Tags by what they were trained with."""
    groups: dict[tuple[bool, ImageSpec], list[str]] = {}
    for tag, blueprint in found.items():
        setup = blueprint.setup
        groups.setdefault((setup.quick_gelu, setup.image), []).append(tag)
    return groups


def _agree(name: ModelId, blueprint: Blueprint, says_quick_gelu: bool | None) -> Blueprint:
    setup = blueprint.setup
    if says_quick_gelu is None or says_quick_gelu == setup.quick_gelu:
        return blueprint
    raise ModelError(
        f"The code in {name.file!r} runs {_words(says_quick_gelu)}; {setup.said_by} says "
        f"{_words(setup.quick_gelu)}.",
        f"Give the tag whose weights these are: {name.arch}:TAG@{name.file}",
    )


def _resolve_sidecar(name: ModelId, sidecar: Path) -> Blueprint:
    where = f"{CONFIG_FILE} beside {name.file!r}"
    blueprint = resolve_config(read_config(sidecar, where), where)
    here, there = _comparable(_config(name.arch)), _comparable(blueprint.config)
    if differs := sorted(key for key in {**here, **there} if here.get(key) != there.get(key)):
        key = differs[0]
        raise ModelError(
            f"{where} describes another architecture than "
            f"{name.arch}: {key} is {there.get(key)!r} there and {here.get(key)!r} in {name.arch}.",
            f"Name the folder, local-dir:{sidecar.parent}, if it holds the one model; or say what the "
            f"file is: {name.arch}:TAG@{name.file}",
        )
    return blueprint


def _comparable(config: ModelConfig) -> Mapping[str, object]:
    """An architecture as one flat mapping with its defaults: equal for equal networks."""
    kinds = {"vision_cfg": CLIPVisionCfg, "text_cfg": CLIPTextCfg, "multimodal_cfg": MultimodalCfg}
    flat: dict[str, object] = {"custom_text": False}
    for key, value in config.items():
        if key in kinds:
            filled = kinds[key](**value)
            flat |= {f"{key}.{f.name}": getattr(filled, f.name) for f in fields(filled)}
        else:
            flat[key] = value
    flat = {key: list(v) if isinstance(v, tuple) else v for key, v in flat.items()}
    return {key: v for key, v in flat.items() if key.rpartition(".")[2] not in _WITHOUT_MEANING}


def _resolve_without_tags(name: ModelId, says_quick_gelu: bool | None) -> Blueprint:
    if tags := list_tags(name.arch):
        raise ModelError(
            f"The code in {name.file!r} runs {_words(bool(says_quick_gelu))}, which no "
            f"weights of {name.arch} that open_clip knows were trained with.",
            f"Say what it is: {name.arch}:TAG@{name.file} with a tag of {tags}, or put its "
            f"{CONFIG_FILE} beside it.",
        )
    config = _config(name.arch)
    if says_quick_gelu is None:
        quick, said_by = bool(config.get("quick_gelu", False)), f"the architecture {name.arch}"
    else:
        quick, said_by = says_quick_gelu, f"the code in the file, and the architecture {name.arch}"
    return _blueprint(config, quick, {}, said_by)


def _recognise(name: ModelId, tags: Iterable[str]) -> str | None:
    """The tag whose published file this is.

    The hub's client keeps files below the name of their repository; others are known by their SHA-256,
    which open_clip's table has in some URLs.
    """
    for tag in tags:
        repository = open_clip.get_pretrained_cfg(name.arch, tag).get("hf_hub", "").strip("/")
        if repository and f"models--{repository.replace('/', '--')}" in Path(name.file).parts:
            return tag
    known = {
        sum_: tag
        for tag in tags
        if (sum_ := _published_sha256(open_clip.get_pretrained_cfg(name.arch, tag).get("url", "")))
    }
    if not known:
        return None
    with Path(name.file).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return next((tag for sum_, tag in known.items() if found.startswith(sum_)), None)


def _published_sha256(url: str) -> str:
    """The hash in a URL, or its first eight digits, by the rules of ``open_clip.pretrained``."""
    if "openaipublic" in url:
        return url.split("/")[-2]
    match = re.search(r"-([0-9a-f]{8})\.\w+$", url)
    return match[1] if match and "mlfoundations" in url else ""


def _undecided(name: ModelId, found: dict[str, Blueprint]) -> ModelError:
    listed = []
    for (quick_gelu, image), tags in _groups(found).items():
        some = ", ".join(tags[:3]) + (f" and {len(tags) - 3} more" if len(tags) > 3 else "")
        listed.append(f"{Setup(quick_gelu, image, '')} ({some})")
    ways = " or ".join(f"{name.arch}:{tags[0]}@{name.file}" for tags in _groups(found).values())
    return ModelError(
        f"Nothing says what the weights in {name.file!r} were trained with, and weights of "
        f"{name.arch} differ in it:\n    " + "\n    ".join(listed),
        f"Say which they are like: {ways}; or put their {CONFIG_FILE} beside the file.",
    )
