"""A warehouse of one's own, to label."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def place(tiny_warehouse, tmp_path) -> Path:
    """A copy of the small warehouse that a test may write labels into."""
    return Path(shutil.copytree(tiny_warehouse, tmp_path / "warehouse"))
