"""Files that are no checkpoints, do not fit, or would run something: each is told what it is."""

from __future__ import annotations

import argparse
import builtins
import gzip
import io
import json
import os
import pathlib
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file
from saving import ARCH, State, before, hostile

from pipeline.base.errors import ModelError
from pipeline.clip.model import load_clip

REFUSED: dict[str, tuple[Callable[[State], Any], str]] = {
    "one more": (lambda s: {**s, "extra.weight": torch.zeros(1)}, "1 are not the model's: extra.we"),
    "one less": (lambda s: dict(list(s.items())[:-1]), "1 of the model are missing: ln_final.bias"),
    "nothing": (lambda s: {}, "holds no weights: it is a dict"),
    "a list": (lambda s: list(s.values()), "holds no weights: it is a list"),
    "a tensor": (lambda s: torch.zeros(3), "holds no weights: it is a Tensor"),
    "one tower": (
        lambda s: {k: v for k, v in s.items() if k.startswith("visual.")},
        r"of the model are missing: positional_embedding",
    ),
    "student and teacher": (
        lambda s: before("student.")(s) | before("teacher.")(s),
        r"its names begin with 'student' \(\d+\), 'teacher' \(\d+\), those of the model",
    ),
    "transformers": (
        lambda s: before("vision_model.")(s) | before("text_model.")(s),
        "these are the names of transformers, not of open_clip",
    ),
    "two sets": (
        lambda s: {"model": s, "model_ema": {k: v + 1 for k, v in s.items()}},
        r"holds 2 sets of weights that fit ViT-small: 'model', 'model_ema'",
    ),
    "another size": (
        lambda s: {**s, "visual.positional_embedding": torch.zeros(5, 64)},
        r"visual.positional_embedding is \[5, 64\] in the file and \[10, 64\] in the model\.",
    ),
    "quantised": (
        lambda s: {**s, "visual.proj": s["visual.proj"].to(torch.int8)},
        "holds no plain weights: visual.proj is torch.int8",
    ),
    "float8": (
        lambda s: {**s, "visual.proj": s["visual.proj"].to(torch.float8_e4m3fn)},
        "holds no plain weights: visual.proj is torch.float8_e4m3fn",
    ),
    "without values": (
        lambda s: {**s, "visual.proj": s["visual.proj"].to("meta")},
        "holds no plain weights: visual.proj is without values",
    ),
    "names of MobileCLIP": (
        lambda s: {**s, "image_encoder.model.patch_emb.0.block.conv.weight": torch.zeros(3)},
        "does not fit ViT-small",
    ),
    "NaN": (
        lambda s: {**s, "ln_final.bias": torch.full((16,), torch.nan)},
        "holds NaN or infinity in ln_final.bias",
    ),
    "infinity in float16": (
        lambda s: {**s, "ln_final.bias": torch.full((16,), torch.inf).half()},
        "holds NaN or infinity in ln_final.bias",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", REFUSED)
def test_weights_that_do_not_fit(form: str, state: State, tmp_path: Path) -> None:
    make, message = REFUSED[form]
    torch.save(make(state), tmp_path / "w.pt")
    with pytest.raises(ModelError, match=message):
        load_clip(f"{ARCH}:{tmp_path / 'w.pt'}")


def _whole_model(_: State) -> bytes:
    file = io.BytesIO()
    torch.save(torch.nn.Linear(2, 2), file)
    return file.getvalue()


def _saved(state: State, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(state, file, **options)
    return file.getvalue()


def _safetensors(state: State) -> bytes:
    from safetensors.torch import save

    return save(state)


def _legacy(state: State) -> bytes:
    file = io.BytesIO()
    torch.save(state, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


NO_CHECKPOINTS: dict[str, tuple[Callable[[State], bytes], str]] = {
    "empty": (lambda _: b"", "is empty"),
    "a page": (lambda _: b"\n<!DOCTYPE html><html>404</html>", "is a page of HTML"),
    "git-lfs": (
        lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "is a pointer of git-lfs",
    ),
    "an error as JSON": (lambda _: b'{"error": "Repository not found"}', "is JSON, not weights"),
    "a picture": (lambda _: b"GIF89a" + bytes(100), r"it begins with b'GIF89a"),
    "few bytes": (lambda _: b"PK", "it is 2 bytes"),
    "cut": (lambda s: _saved(s)[:-1000], r"is cut or damaged: its \d+ bytes are not a whole file"),
    "cut early": (lambda s: _saved(s)[:200], "is cut or damaged"),
    "cut safetensors": (lambda s: _safetensors(s)[:-1000], "is cut or damaged"),
    "cut legacy": (lambda s: _legacy(s)[:-1000], "is cut or damaged"),
    "cut legacy early": (lambda s: _legacy(s)[:100], "is cut or damaged"),
    "a whole model": (_whole_model, r"more than weights: only with torch\.nn\.modules\.linear"),
    "a call": (
        lambda _: hostile(os.system, ("touch trace",)),
        r"holds more than weights: only with (posix|os)\.system",
    ),
    "pickled as arrays": (
        lambda s: pickle.dumps({k: v.numpy() for k, v in s.items()}, protocol=2),
        "is a pickle that torch.save did not write",
    ),
    "protocol 5": (lambda s: _saved(s, pickle_protocol=5), "is written with pickle protocol 5"),
    "protocol 5, legacy": (
        lambda s: _saved(s, pickle_protocol=5, _use_new_zipfile_serialization=False),
        "is written with pickle protocol 5",
    ),
    "pickled anew": (
        lambda s: pickle.dumps({k: v.numpy() for k, v in s.items()}, protocol=4),
        "is written with pickle protocol 4",
    ),
    "another zip": (lambda _: _zip({"a.txt": b"x"}), "is a ZIP archive that torch did not write"),
    "NumPy": (lambda _: _zip({"a/b.npy": b"x"}), "is a NumPy archive"),
}  # fmt: skip


def _zip(entries: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize("kind", NO_CHECKPOINTS)
def test_files_that_are_no_checkpoints_say_what_they_are(
    kind: str, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, message = NO_CHECKPOINTS[kind]
    for ending in ("pt", "safetensors"):
        Path(f"w.{ending}").write_bytes(make(state))
        with pytest.raises(ModelError, match=message) as caught:
            load_clip(f"{ARCH}:w.{ending}")
        assert "weights_only=False" not in str(caught.value)
    assert not Path("trace").exists()


def test_a_folder_is_told_as_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder") as caught:
        load_clip(f"{ARCH}:{tmp_path}")
    assert f"local-dir:{tmp_path}" in caught.value.hint


HOSTILE: dict[str, tuple[Any, ...]] = {
    "os.system": (os.system, ("touch trace",)),
    "eval": (builtins.eval, ("open('trace', 'w')",)),
    "open": (builtins.open, ("trace", "w")),
    "Path.touch": (pathlib.Path.touch, (pathlib.PurePosixPath("trace"),)),
    "numpy.load": (np.load, ("trace",)),
    "torch.load": (torch.load, ("trace",)),
    "torch.from_file": (torch.from_file, ("trace", True, 4)),
    "hub": (torch.hub.load, ("trace", "x")),
}


@pytest.mark.parametrize("call", HOSTILE)
def test_hostile_checkpoints_run_nothing(
    call: str, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    class Call:
        def __reduce__(self) -> Any:
            return HOSTILE[call]

    for is_zip in (True, False):
        bad = {"state_dict": state, "args": argparse.Namespace(x=Call())}
        torch.save(bad, "w.pt", _use_new_zipfile_serialization=is_zip)
        with pytest.raises(ModelError, match="holds more than weights"):
            load_clip(f"{ARCH}:w.pt")
        assert not Path("trace").exists()


def test_what_has_to_be_unpacked_or_joined_first(state: State, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        archive.writestr("w.bin", _saved(state))
    (tmp_path / "w.pt.gz").write_bytes(gzip.compress(b"weights", mtime=0) * 9)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {}, "metadata": {}}')
    os.mkfifo(tmp_path / "pipe")
    for name, message in {
        "w.zip": "is a ZIP archive that torch did not write; in it: 'w.bin'",
        "w.pt.gz": "is compressed, or an archive of files",
        "model.safetensors.index.json": "is the list of the parts",
        "pipe": "is no regular file",
    }.items():
        with pytest.raises(ModelError, match=message):
            load_clip(f"{ARCH}:{tmp_path / name}")
    folder = tmp_path / "parts"
    folder.mkdir()
    config = {"model_cfg": open_clip.get_model_config(ARCH), "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    for n, names in enumerate((list(state)[:5], list(state)[5:]), start=1):
        part = {name: state[name] for name in names}
        save_file(part, folder / f"model-{n:05}-of-00002.safetensors")
    with pytest.raises(ModelError, match="are cut into parts"):
        load_clip(f"local-dir:{folder}")
