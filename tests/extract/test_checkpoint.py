"""Files of weights as people have them: each loads to the same weights, or says why not."""

from __future__ import annotations

import argparse
import builtins
import collections
import datetime
import gzip
import io
import json
import os
import pathlib
import pickle
import types
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from pipeline.base.errors import ModelError
from pipeline.clip.model import load_clip
from pipeline.clip.torchscript import read_archive

ARCH = "ViT-small"
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state(small_models: None) -> State:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = open_clip.CLIP(**open_clip.get_model_config(ARCH))
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.fixture(scope="module")
def sha256(state: State, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("plain") / "w.pt"
    torch.save(state, file)
    clip = load_clip(f"{ARCH}:{file}")
    assert not clip.is_random
    assert all(torch.equal(clip.model.state_dict()[name], state[name]) for name in state)
    return clip.weights_sha256


def before(prefix: str) -> Callable[[State], State]:
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


def inside(state: State) -> State:
    """torch.compile of the image tower alone."""
    return {name.replace("visual.", "visual._orig_mod."): t for name, t in state.items()}


OPTIMIZER = {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(3)}}}

FORMS: dict[str, Callable[[State], Any]] = {
    "DataParallel": before("module."),
    "compiled": before("_orig_mod."),
    "both": before("module._orig_mod."),
    "both the other way": before("_orig_mod.module."),
    "FSDP": before("_fsdp_wrapped_module."),
    "a compiled tower": inside,
    "open_clip's training": lambda s: {
        "epoch": 3, "name": "run", "state_dict": before("module.")(s), "optimizer": OPTIMIZER,
    },
    "Lightning": lambda s: {"state_dict": before("model.")(s), "pytorch-lightning_version": "2"},
    "Lightning, compiled": lambda s: {"state_dict": before("model._orig_mod.")(s)},
    "a wrapper in a wrapper": lambda s: before("net.clip.model.")(s),
    "model": lambda s: {"model": s, "args": argparse.Namespace(lr=1.0, betas=(0.9, 0.98))},
    "model_state_dict": lambda s: {"model_state_dict": s, "optimizer_state_dict": OPTIMIZER},
    "two levels": lambda s: {"checkpoint": {"model": s}},
    "the same weights twice": lambda s: {"model": s, "model_ema": {k: v.clone() for k, v in s.items()}},
    "NumPy scalars": lambda s: {
        "best": np.float64(0.5), "step": np.int64(3), "name": np.str_("x"), "state_dict": s,
    },
    "a NumPy array": lambda s: {"losses": np.arange(3.0), "state_dict": s},
    "a path": lambda s: {"folder": pathlib.PurePosixPath("/a"), "home": Path("/b"), "state_dict": s},
    "logs": lambda s: {
        "losses": collections.defaultdict(list, train=[1.0]), "last": collections.deque([1, 2]),
        "at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "state_dict": s,
    },
    "versions and sets": lambda s: {
        "torch": torch.__version__, "frozen": frozenset({"a"}), "range": range(3), "state_dict": s,
    },
    "parameters": lambda s: {k: torch.nn.Parameter(v) for k, v in s.items()},
    "DeepSpeed": lambda s: {"module": s, "global_step": 3},
    "a namespace": lambda s: {"args": types.SimpleNamespace(a=1), "state_dict": s},
    "an average": lambda s: {**before("module.")(s), "n_averaged": torch.tensor(3)},
    "numbers of OpenAI's": lambda s: {**s, "input_resolution": torch.tensor(48)},
    "scalars as rows": lambda s: {**s, "logit_scale": s["logit_scale"].reshape(1)},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_wrapped_weights_are_the_same_weights(
    form: str, is_zip: bool, state: State, sha256: str, tmp_path: Path
) -> None:
    file = tmp_path / "w.pt"
    torch.save(FORMS[form](state), file, _use_new_zipfile_serialization=is_zip)
    clip = load_clip(f"{ARCH}:{file}")
    assert clip.weights_sha256 == sha256
    assert not clip.is_random


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("ending", ["pt", "safetensors", "bin"])
def test_other_types_and_endings(
    dtype: torch.dtype, ending: str, state: State, tmp_path: Path
) -> None:
    """What a file is, its bytes say: any of the two forms under any name."""
    cast = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
    for n, save in enumerate((torch.save, save_file)):
        file = tmp_path / f"{n}.{ending}"
        save(cast, file)
        loaded = load_clip(f"{ARCH}:{file}").model.state_dict()
        assert all(torch.equal(loaded[name], cast[name].to(torch.float32)) for name in state)


# --- TorchScript ---------------------------------------------------------------------------------


def script(model: torch.nn.Module, file: Path, *traced: torch.Tensor) -> None:
    with warnings.catch_warnings():  # torch would have people use torch.export
        warnings.simplefilter("ignore")
        made = (
            torch.jit.trace(model, traced, check_trace=False) if traced else torch.jit.script(model)
        )
        torch.jit.save(made, file)


@pytest.mark.parametrize("quick_gelu", [True, False])
def test_archives_of_torchscript(
    quick_gelu: bool, state: State, sha256: str, tmp_path: Path
) -> None:
    model = open_clip.CLIP(**open_clip.get_model_config(ARCH), quick_gelu=quick_gelu)
    model.load_state_dict(state)
    file = tmp_path / "jit.pt"
    script(model.half().eval() if quick_gelu else model.eval(), file)  # OpenAI's hold float16
    clip = load_clip(f"{ARCH}:{file}")
    assert clip.activations["visual"] == ("QuickGELU" if quick_gelu else "GELU")
    assert clip.activations["text"] == clip.activations["visual"]
    assert (clip.weights_sha256 == sha256) is not quick_gelu
    assert "the code in the file" in clip.setup.said_by
    expected = model.float().encode_image(torch.ones(1, 3, 48, 48))
    torch.testing.assert_close(clip.model.encode_image(torch.ones(1, 3, 48, 48)), expected)


class Writes(torch.nn.Module):
    """Its code makes a file when the archive is loaded by ``torch.jit.load``."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.weight = torch.nn.Parameter(torch.ones(2))

    @torch.jit.export
    def __getstate__(self):
        return (self.path, self.weight, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, torch.Tensor, bool]) -> None:
        self.path = state[0]
        self.weight = torch.from_file(state[0], shared=True, size=2)
        self.training = state[2]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight


def test_the_code_of_an_archive_is_not_run(tmp_path: Path) -> None:
    file, trace = tmp_path / "jit.pt", tmp_path / "trace"
    script(Writes(str(trace)), file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.load(file)
    assert trace.exists()  # that is what torch.jit.load does
    trace.unlink()
    with pytest.raises(ModelError, match=r"more than weights|holds no weights|does not fit"):
        load_clip(f"{ARCH}:{file}")
    assert not trace.exists()


def test_traced_archives_are_read_too(state: State, sha256: str, tmp_path: Path) -> None:
    """As OpenAI's: what runs stands in the code alone."""
    model = open_clip.CLIP(**open_clip.get_model_config(ARCH), quick_gelu=True).eval()
    model.load_state_dict(state)
    script(model, tmp_path / "jit.pt", torch.ones(1, 3, 48, 48), torch.ones(1, 16).long())
    clip = load_clip(f"{ARCH}:{tmp_path / 'jit.pt'}")
    assert clip.weights_sha256 == sha256
    assert clip.activations == {"visual": "QuickGELU", "text": "QuickGELU"}


def rewrite(archive: Path, name: str, data: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(archive) as old:
        entries = {info.filename: old.read(info) for info in old.infolist()}
    (whole,) = [entry for entry in entries if entry.endswith(name)]
    with zipfile.ZipFile(archive, "w", compression) as new:
        for entry, content in (entries | {whole: data}).items():
            new.writestr(entry, content)


def hostile(*call: Any) -> bytes:
    class Call:
        def __reduce__(self) -> Any:
            return call

    return pickle.dumps(Call(), protocol=2)


def test_an_archive_that_is_not_torchs(tmp_path: Path) -> None:
    file, trace = tmp_path / "jit.pt", tmp_path / "trace"
    for data in (
        hostile(os.system, (f"touch {trace}",)),
        hostile(builtins.eval, (f"open({str(trace)!r}, 'w')",)),
        b"c__torch__.torch.classes.a\nB\n.",
        b"ctorch._utils\n_rebuild_qtensor\n.",
        b"not a pickle",
        b"c__torch__\nA\n)\x81}K\x01(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x01tQsb.",  # {1: ...}
        b"ctorch\nFloatStorage\n}U\x01aK\x01sb.",  # a type of numbers with attributes
    ):
        script(torch.nn.Linear(2, 2), file)
        rewrite(file, "/data.pkl", data)
        with pytest.raises(ModelError, match="holds more than weights"):
            load_clip(f"{ARCH}:{file}")
        assert not trace.exists()
    script(torch.nn.Linear(2, 2), file)
    rewrite(file, "/data/0", bytes(range(256)) * 4, zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(file) as archive:
        (at,) = (i.header_offset for i in archive.infolist() if i.filename.endswith("/data/0"))
        (name,) = (n for n in archive.namelist() if n.endswith("/data/0"))
    damaged = bytearray(file.read_bytes())
    damaged[at + 30 + len(name)] ^= 0xFF  # of what is deflated
    file.write_bytes(damaged)
    with pytest.raises(ModelError, match="holds more than weights"):
        load_clip(f"{ARCH}:{file}")
    script(torch.nn.Linear(2, 2), file)
    rewrite(file, "/data/0", b"\0" * 10_000_000, zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelError, match="unfolds from"):
        load_clip(f"{ARCH}:{file}")


def test_tensors_out_of_an_archive(tmp_path: Path) -> None:
    """Views, shared storages, empty tensors, buffers: as torch.jit.load gives them."""

    class Odd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            base = torch.arange(24.0).reshape(4, 6)
            self.register_buffer("turned", base.t())
            self.register_buffer("part", base[1:3, 2:])
            self.register_buffer("none", torch.zeros(0, 3))
            self.register_buffer("flag", torch.tensor([True, False]))
            self.register_buffer("count", torch.tensor(7))
            self.inner = torch.nn.ModuleList([torch.nn.Linear(2, 3).bfloat16()])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    script(Odd(), tmp_path / "odd.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        expected = torch.jit.load(tmp_path / "odd.pt").state_dict()
    found, says = read_archive(str(tmp_path / "odd.pt"))
    assert says is None
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype


# --- what is refused -----------------------------------------------------------------------------

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
