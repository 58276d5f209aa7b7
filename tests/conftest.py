"""One small warehouse for many tests."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

# Before anything imports torch, here and in every process that a test starts. Tests compare numbers of
# models closely: with another number of threads a float32 has other last digits, and the float16 that is
# stored of it another last bit. Small models gain nothing from a second thread.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from damaging import make_full_warehouse
from hypothesis import HealthCheck, settings
from once import make_once
from plain_install import install_and_run_demo
from textures import make_warehouse

from pipeline.base.cores import core_count
from pipeline.cli.app import main
from pipeline.upkeep.build import build

# How long an example may take is no promise of ours.
settings.register_profile(
    "any processor", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any processor")


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "open_clip" in Path(record.pathname).parts:
            self.lines.append(record.getMessage())


DEAR = {"full_warehouse", "plain_demo"}
"""Fixtures that take seconds to make: a test that asks for one is a slow one."""


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Flows first, then files with long tests: one that begins last would leave the other processor idle.

    Of those that ask for the demo one makes it early, while others have something else to do than to wait.
    """
    for item in items:
        if DEAR.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    flows, slow = (
        {item.path for item in items if item.get_closest_marker(mark)} for mark in ("flows", "slow")
    )
    demo = [item.path for item in items if "plain_demo" in getattr(item, "fixturenames", ())]
    order = flows, {*demo[:1]}, slow - {*demo}, {*demo}, {item.path for item in items}
    ranks = {path: rank for rank in reversed(range(len(order))) for path in order[rank]}
    items.sort(key=lambda item: ranks[item.path])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """As many as there are cores, and one more with slow tests: these wait for servers, deaths and pages."""
    return core_count() + (0 if "not slow" in config.option.markexpr else 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Of several processes each takes whole files, and one of them all flows: they share a server."""
    from xdist.scheduler import LoadFileScheduling

    class Rooms(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "flows" if "/flows/" in nodeid else super()._split_scope(nodeid)

    return Rooms(config, log)


@pytest.fixture(autouse=True)
def open_clip_lines() -> Iterator[list[str]]:
    """What open_clip warns of in a log line is an error, as its warnings are."""
    handler = _Lines()
    logging.getLogger().addHandler(handler)
    yield handler.lines
    logging.getLogger().removeHandler(handler)
    assert handler.lines == []


@pytest.fixture(scope="session")
def tiny_warehouse(tmp_path_factory) -> Path:
    """Shared by tests that only read it: the files; what a process remembers of them is its own."""
    once = make_once(tmp_path_factory, "tiny", lambda folder: build(make_warehouse(folder)))
    return shutil.copytree(once / "warehouse", tmp_path_factory.mktemp("tiny") / "warehouse")


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


@pytest.fixture(scope="session")
def full_warehouse(tiny_warehouse, tmp_path_factory) -> Path:
    """The same with every kind of file that we write; shared by tests that only read it."""
    once = make_once(
        tmp_path_factory,
        "full",
        lambda folder: make_full_warehouse(tiny_warehouse, folder / "warehouse"),
    )
    return shutil.copytree(once / "warehouse", tmp_path_factory.mktemp("full") / "warehouse")


@pytest.fixture(scope="session")
def plain_demo(tmp_path_factory) -> Path:
    """The demo of a plain install, see `plain_install`: made once a run, only read, copied by who writes."""
    return make_once(tmp_path_factory, "demo", install_and_run_demo)
