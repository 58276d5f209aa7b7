"""Commands in this process, as the shell would run them."""

from __future__ import annotations

import sys

import pytest

from pipeline.cli.app import main


@pytest.fixture
def invoke(monkeypatch, capsys):
    """Run a command in this process, through ``main``: quick, and errors become messages."""

    def call(*arguments: object, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["neurons", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert (stop.value.code or 0) == code, out + err
        return out, err

    return call
