"""Tags, hub names, folders and files against plain open_clip, from a hub on loopback.

A process of its own does it, as huggingface_hub reads where its hub is when it is imported. The names
and what they say are open_clip's; architectures of the same kinds, with few units, take the place of all
but RN50's, which is the real one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from hub import CONFIG, WEIGHTS, make_state, serve_hub, write_repository
from waiting import LIMIT_S

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
VIT = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 48, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": TEXT,
}
COCA = {
    "embed_dim": 32,
    "vision_cfg": {
        "image_size": 48, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16,
        "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True,
    },
    "text_cfg": TEXT | {"context_length": 76, "embed_cls": True, "output_tokens": True},
    "multimodal_cfg": {
        "context_length": 76, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1,
        "attn_pooler_heads": 2,
    },
    "custom_text": True,
}  # fmt: skip
TIMM = {
    "embed_dim": 16,
    "vision_cfg": {
        "timm_model_name": "convnext_atto", "timm_pool": "", "timm_proj": "linear",
        "timm_drop": 0.0, "timm_drop_path": 0.1, "image_size": 64,
    },
    "text_cfg": TEXT,
}  # fmt: skip
SIGLIP = {
    "embed_dim": 192,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {
        "image_size": 224, "timm_model_name": "vit_tiny_patch16_224", "timm_model_pretrained": False,
        "timm_pool": "token", "timm_proj": "none",
    },
    "text_cfg": TEXT | {
        "no_causal_mask": True, "proj_bias": True, "pool_type": "last",
        "norm_kwargs": {"eps": 1e-6}, "act_kwargs": {"approximate": "tanh"},
    },
}  # fmt: skip
SIGLIP_IMAGES = {
    "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash",
}  # fmt: skip


def plain(model_name: str, pretrained: str | None = None) -> dict[str, Any]:
    return {"model_name": model_name, "pretrained": pretrained}


def repository(arch: str, tag: str) -> str:
    return open_clip.get_pretrained_cfg(arch, tag)["hf_hub"].strip("/")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("hub")
    small, hub = folder / "architectures", folder / "hub"
    small.mkdir()
    configs = {
        "ViT-B-32": VIT,
        "ViT-B-32-quickgelu": VIT | {"quick_gelu": True},
        "coca_ViT-B-32": COCA,
        "convnext_base_w": TIMM,
    }
    for name, config in configs.items():
        (small / f"{name}.json").write_text(json.dumps(config))
    tags = {
        "RN50": "openai",
        "ViT-B-32": "openai",
        "coca_ViT-B-32": "laion2b_s13b_b90k",
        "convnext_base_w": "laion2b_s13b_b82k",
    }
    for seed, (arch, tag) in enumerate(tags.items()):
        config = configs.get(arch) or open_clip.get_model_config(arch)
        write_repository(hub / repository(arch, tag), config, seed=seed)
    vit = hub / repository("ViT-B-32", "openai") / WEIGHTS
    write_repository(
        hub / "some/siglip", SIGLIP, SIGLIP_IMAGES, weights="open_clip_pytorch_model.bin"
    )
    write_repository(hub / "some/quick", VIT | {"quick_gelu": True})
    write_repository(hub / "some/bare", VIT, weights=None)
    write_repository(hub / "some/cut", VIT).write_bytes(vit.read_bytes()[:5000])
    for place in (hub / "some/other", folder / "other"):
        write_repository(place, VIT).write_bytes((hub / "some/quick" / WEIGHTS).read_bytes())
        (place / CONFIG).write_text(json.dumps({"model_cfg": VIT | {"embed_dim": 8}}))
    (hub / "some/transformers").mkdir()
    (hub / "some/transformers/config.json").write_text("{}")
    local = write_repository(folder / "local", SIGLIP, SIGLIP_IMAGES).parent
    beside = write_repository(folder / "beside", VIT | {"quick_gelu": True}, SIGLIP_IMAGES)
    compiled = folder / "compiled.pt"
    state = make_state(VIT, seed=9)
    torch.save({"state_dict": {f"_orig_mod.{k}": v for k, v in state.items()}}, compiled)
    clean = folder / "clean.pt"
    torch.save(state, clean)
    empty = write_repository(folder / "empty", VIT, weights=None)
    two = write_repository(folder / "two", VIT, weights="one.pt").parent
    (two / "other.pt").write_bytes(b"x")
    plan = {
        "architectures": str(small),
        "same": {
            "RN50:openai": plain("RN50-quickgelu", "openai"),
            "ViT-B-32:openai": plain("ViT-B-32-quickgelu", "openai"),
            "ViT-B-32-quickgelu:openai": plain("ViT-B-32-quickgelu", "openai"),
            "coca_ViT-B-32:laion2b_s13b_b90k": plain("coca_ViT-B-32", "laion2b_s13b_b90k"),
            "convnext_base_w:laion2b_s13b_b82k": plain("convnext_base_w", "laion2b_s13b_b82k"),
            "hf-hub:some/siglip": plain("hf-hub:some/siglip"),
            "hf-hub:some/quick": plain("hf-hub:some/quick"),
            f"local-dir:{local}": plain(f"local-dir:{local}"),
            f"ViT-B-32:openai@{compiled}": plain("ViT-B-32-quickgelu", str(clean)),
            f"ViT-B-32:laion2b_s34b_b79k@{compiled}": plain("ViT-B-32", str(clean)),
            f"ViT-B-32:{beside}": plain(f"local-dir:{beside.parent}"),
        },
        "refused": [
            "ViT-B-32:laion2b_s34b_b79k",
            "hf-hub:some/bare",
            "hf-hub:some/cut",
            "hf-hub:some/other",
            f"local-dir:{folder / 'other'}",
            "hf-hub:some/transformers",
            "hf-hub:some/where",
            f"local-dir:{empty}",
            f"local-dir:{two}",
            f"local-dir:{folder / 'nowhere'}",
            f"local-dir:{folder}",
            "hf-hub:",
            f"ViT-B-32:{clean}",
            "ViT-B-16-SigLIP:random",
            "xlm-roberta-base-ViT-B-32:random",
        ],
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    with serve_hub(hub) as endpoint:
        settings = {
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(folder / "cache"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                HERE / "compare_with_open_clip.py",
                folder / "plan.json",
            ],
            env=os.environ | settings,
            cwd=HERE.parent.parent,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for kind in ("same", "refused"):  # paths of this machine, by their last part
        for name in list(result[kind]):
            result[kind][name.replace(str(folder), "")] = result[kind].pop(name)
    return result


QUICK = {"visual": "QuickGELU", "text": "QuickGELU"}


@pytest.mark.parametrize(
    ("name", "activations"),
    [
        ("RN50:openai", {"visual": "ReLU", "text": "QuickGELU"}),
        ("ViT-B-32:openai", QUICK),
        ("ViT-B-32-quickgelu:openai", QUICK),
        ("coca_ViT-B-32:laion2b_s13b_b90k", {"visual": "GELU", "text": "GELU"}),
        ("convnext_base_w:laion2b_s13b_b82k", {"visual": "GELU", "text": "GELU"}),
        ("hf-hub:some/siglip", {"visual": "GELU", "text": "GELU(tanh)"}),
        ("hf-hub:some/quick", QUICK),
        ("local-dir:/local", {"visual": "GELU", "text": "GELU(tanh)"}),
        ("ViT-B-32:openai@/compiled.pt", QUICK),
        ("ViT-B-32:laion2b_s34b_b79k@/compiled.pt", {"visual": "GELU", "text": "GELU"}),
        (f"ViT-B-32:/beside/{WEIGHTS}", QUICK),
    ],
)
def test_a_model_is_what_plain_open_clip_makes_of_it(
    found: dict[str, Any], name: str, activations: dict[str, str]
) -> None:
    result = found["same"][name]
    assert result["activations"] == activations
    assert not result["is_random"]
    assert len(result["differences"]) == 7  # embeddings, weights, three layers, pixels
    assert max(result["differences"].values()) < 1e-4, result["differences"]
    assert result["differences"]["weights"] == 0


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("ViT-B-32:laion2b_s34b_b79k", "ModelError", ["could not be downloaded", "@/path/to/file"]),
        ("hf-hub:some/bare", "ModelError", ["configuration", "arrived, its weights did not"]),
        ("hf-hub:some/cut", "ModelError", ["is cut or damaged", "Delete that file"]),
        ("hf-hub:some/other", "ModelError", ["does not fit hf-hub:some/other", "who published it"]),
        ("local-dir:/other", "ModelError", ["not of one model: put the right two there"]),
        ("hf-hub:some/transformers", "ModelError", ["made for transformers, not for open_clip"]),
        ("hf-hub:some/where", "ModelError", ["could not be fetched", "Check the name"]),
        ("local-dir:/empty", "ModelError", ["has a configuration and no weights", WEIGHTS]),
        ("local-dir:/two", "ModelError", ["several files of weights: one.pt, other.pt"]),
        ("local-dir:/nowhere", "ModelError", ["There is no folder", "local-dir: names a folder"]),
        ("local-dir:", "ModelError", [f"has no {CONFIG}", "ARCH:TAG@/path/to/file"]),
        ("hf-hub:", "ModelError", ["names nothing", "hf-hub:ORGANISATION/NAME"]),
        ("ViT-B-32:/clean.pt", "ModelError", ["Nothing says", "ViT-B-32:openai@", CONFIG]),
    ],
)
def test_what_cannot_be_loaded_says_why(
    found: dict[str, Any], name: str, kind: str, words: list[str]
) -> None:
    """Never a run on random weights."""
    got, text = found["refused"][name]
    assert got == kind
    for word in words:
        assert word in text


@pytest.mark.skipif(
    find_spec("transformers") is not None, reason="to see it fail, run without transformers"
)
@pytest.mark.parametrize("name", ["ViT-B-16-SigLIP:random", "xlm-roberta-base-ViT-B-32:random"])
def test_a_missing_transformers_is_told_as_that(found: dict[str, Any], name: str) -> None:
    kind, text = found["refused"][name]
    assert kind == "MissingDependencyError"
    assert "needs the package transformers" in text and "multimodal-neurons[hf]" in text
