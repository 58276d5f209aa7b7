"""The training flow, for a few steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.train_nano import train_nano_flow

pytestmark = pytest.mark.flows


def test_the_flow_ships_a_model(server, tmp_path):
    folder = Path(train_nano_flow(str(tmp_path), is_smoke=True))
    assert (folder / "open_clip_model.safetensors").stat().st_size < 12_000_000
