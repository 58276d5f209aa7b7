"""One small warehouse for many tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from textures import make_warehouse

from pipeline.build import build
from pipeline.cli import main


@pytest.fixture(scope="session")
def tiny_warehouse(tmp_path_factory) -> Path:
    """Shared by tests that only read it."""
    place = make_warehouse(tmp_path_factory.mktemp("tiny"))
    build(place)
    return place


@pytest.fixture
def told(monkeypatch, capsys):
    """Run a command in this process, as the shell would: what it says on the one output or the other."""

    def call(*arguments: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["neurons", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert (stop.value.code or 0) == code, out + err
        return out if code == 0 else err

    return call
