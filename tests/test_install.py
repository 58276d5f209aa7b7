"""A plain install works from any folder: what must travel with the package does."""

from __future__ import annotations

import pytest
from plain_install import ROOT, run_python

from pipeline.stimuli.world import load_world
from pipeline.web.view import ASSETS, assets_version

pytestmark = pytest.mark.slow

CODE = """
import pipeline, pipeline.warehouse.views as v, pipeline.concepts.lexicon as l
print(pipeline.__file__)
print(v.sql_folder())
print(len(v.load_views()))
print(l.load_lexicon().num_rows)
import flows
print(flows.__file__)
from pipeline.clip.model import load_clip
print(load_clip('nano').model_id)
from importlib.resources import files
print(*sorted(f.name for f in files('pipeline.report').joinpath('templates').iterdir()))
from pipeline.stimuli.world import load_world
print(len(load_world().countries), 'countries')
from pipeline.web.view import ASSETS, assets_version
print(len(ASSETS), assets_version())
"""


def test_a_plain_install_works_from_any_folder(plain_demo):
    lines = run_python(plain_demo, CODE).splitlines()
    site = str(plain_demo / "site")
    assert lines[0].startswith(site)
    assert lines[1].startswith(site)
    assert int(lines[2]) > 30
    assert int(lines[3]) > 10_000
    assert lines[4].startswith(site)
    templates = (ROOT / "pipeline/report/templates").iterdir()
    assert lines[-3] == " ".join(sorted(f.name for f in templates))
    assert lines[-2] == f"{len(load_world().countries)} countries"
    assert lines[-1] == f"{len(ASSETS)} {assets_version()}", "the explorer's style and scripts"


def test_its_demo_runs(plain_demo):
    """It was run in that folder; what it found and printed, `jobs/test_demo.py` and `test_docs.py` ask."""
    assert (plain_demo / "warehouse/demo-neurons.png").exists()
    assert (plain_demo / "demo.txt").read_text(encoding="utf-8")
