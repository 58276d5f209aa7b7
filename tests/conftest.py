"""One small warehouse for many tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from textures import make_warehouse

from pipeline.build import build


@pytest.fixture(scope="session")
def tiny_warehouse(tmp_path_factory) -> Path:
    """Shared by tests that only read it."""
    place = make_warehouse(tmp_path_factory.mktemp("tiny"))
    build(place)
    return place
