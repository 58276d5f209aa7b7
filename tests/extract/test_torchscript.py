"""Archives of TorchScript: their weights are read, their code is not run."""

from __future__ import annotations

import builtins
import os
import warnings
import zipfile
from pathlib import Path

import open_clip
import pytest
import torch
from saving import ARCH, State, hostile, script

from pipeline.base.errors import ModelError
from pipeline.clip.model import load_clip
from pipeline.clip.torchscript import read_archive


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
