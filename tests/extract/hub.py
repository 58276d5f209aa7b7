"""A hub of models on loopback: a folder served as huggingface_hub asks for it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file

COMMIT = "0" * 40
WEIGHTS, CONFIG = "open_clip_model.safetensors", "open_clip_config.json"


class _Handler(BaseHTTPRequestHandler):
    """``/ORG/NAME/resolve/REVISION/FILE`` is a file of the folder; anything else is not found."""

    def __init__(self, folder: Path, *args: Any) -> None:
        self.folder = folder
        super().__init__(*args)

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        if (file := self._answer()) is not None:
            self.wfile.write(file.read_bytes())

    def _answer(self) -> Path | None:
        parts = self.path.strip("/").split("/")
        file = self.folder.joinpath(*parts[:2], *parts[4:])
        found = parts[2:3] == ["resolve"] and file.is_file()
        self.send_response(200 if found else 404)
        self.send_header("X-Repo-Commit", COMMIT)
        if found:
            self.send_header("ETag", f'"{hashlib.sha256(str(file).encode()).hexdigest()}"')
            self.send_header("Content-Length", str(file.stat().st_size))
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
        self.end_headers()
        return file if found else None

    def log_message(self, *_: object) -> None:
        """Requests are not printed."""


@contextmanager
def serve_hub(folder: Path) -> Iterator[str]:
    """Serve repositories ``folder/ORG/NAME``; the value of ``HF_ENDPOINT``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_state(config: dict[str, Any], seed: int) -> dict[str, torch.Tensor]:
    """Seeded float16 weights of a configuration, such that every layer says something."""
    config = json.loads(json.dumps(config))
    is_custom = config.pop("custom_text", False)
    kind = open_clip.CustomTextCLIP if is_custom else open_clip.CLIP
    with torch.device("meta"):
        model = (open_clip.CoCa if "multimodal_cfg" in config else kind)(**config)
    random = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            state[name] = torch.zeros(tensor.shape, dtype=tensor.dtype)
            continue
        values = torch.randn(tensor.shape, generator=random)
        if tensor.ndim < 2:  # norms, biases, variances
            near_one = name.endswith(("weight", "running_var", "logit_scale"))
            values = values.abs() * 0.3 + 0.7 if near_one else values * 0.1
        else:
            values = values / tensor[0].numel() ** 0.5
        state[name] = values.half()
    return state


def write_repository(
    folder: Path,
    config: dict[str, Any],
    preprocess: dict[str, Any] | None = None,
    seed: int = 0,
    weights: str | None = WEIGHTS,
) -> Path:
    """Write configuration and weights; the path of the weights."""
    folder.mkdir(parents=True)
    content = {"model_cfg": config, "preprocess_cfg": preprocess or {}}
    (folder / CONFIG).write_text(json.dumps(content))
    if weights is None:
        return folder
    state = make_state(config, seed)
    path = folder / weights
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path
