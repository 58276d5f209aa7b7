"""The package as a user has it: built, installed apart from the source tree, its demo run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(folder: Path) -> dict[str, str]:
    """For a process that sees the installed package in ``folder/site`` and no source tree."""
    home = {"PREFECT_HOME": str(folder / "prefect")}
    return {**os.environ, **home, "PYTHONPATH": str(folder / "site")}


def run_python(folder: Path, code: str, *arguments: str) -> str:
    """What a program prints that is run in ``folder``, with the installed package."""
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder, env=environment(folder), capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


def install_and_run_demo(folder: Path) -> None:
    """Fill a folder: ``site/``, the demo's ``warehouse/``, and what it printed in ``demo.txt``."""
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    subprocess.run([sys.executable, *build], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    install = ("-m", "pip", "install", "-q", "--no-deps", "--target", str(folder / "site"))
    subprocess.run([sys.executable, *install, str(wheel)], check=True, capture_output=True)
    code = "from pipeline.cli import main; main()"
    printed = run_python(folder, code, "demo", "--warehouse", "warehouse")
    (folder / "demo.txt").write_text(printed, encoding="utf-8")
