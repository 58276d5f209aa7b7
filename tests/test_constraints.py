"""Versions that were tested together can be installed wherever the README says the project can."""

from importlib import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
OLDEST = "3.11.0"
"""Of Python. Debian 12 has 3.11.2: a version that asks for 3.11.5 cannot be installed there."""


def test_every_version_admits_the_oldest_python():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    wanted = dict(line.split(";")[0].strip().split("==") for line in lines if "==" in line)
    there = {one.metadata["Name"].lower(): one for one in metadata.distributions()}
    found = [one for name in wanted if (one := there.get(name.lower())) is not None]
    assert len(found) > len(wanted) / 2
    refuse = {
        one.metadata["Name"]: needs
        for one in found
        if "Requires-Python" in one.metadata
        and OLDEST not in SpecifierSet(needs := one.metadata["Requires-Python"])
    }
    assert refuse == {}
