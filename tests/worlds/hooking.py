"""Code that runs in processes which others start: workers of a cluster, children of a command."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path

import pytest

_START = '''
import importlib.abc, importlib.util, sys

class _Finder(importlib.abc.MetaPathFinder):
    """Runs code as soon as a module has been imported."""

    def find_spec(self, name, path, target=None):
        if name != {module!r}:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def run_and_more(module):
            run(module)
            exec(compile({code!r}, "hook", "exec"), vars(module))
        spec.loader.exec_module = run_and_more
        return spec

sys.meta_path.insert(0, _Finder())
'''


def at_start(patch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Have code run at the start of each Python that is started from now on."""
    (folder / "site").mkdir()
    (folder / "site/sitecustomize.py").write_text(textwrap.dedent(code))
    patch.setenv("PYTHONPATH", os.pathsep.join([str(folder / "site"), *filter(None, sys.path)]))


def after_import(patch: pytest.MonkeyPatch, folder: Path, module: str, code: str) -> None:
    """Have code run inside a module of each Python that is started from now on and imports it."""
    at_start(patch, folder, _START.format(module=module, code=textwrap.dedent(code)))
