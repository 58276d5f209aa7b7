"""One list of steps: whoever does them, they are these, in this order, and each can go to another process."""

from __future__ import annotations

import pickle
import re
import shutil
from dataclasses import replace

import pytest
from probing import attack_samples, ingest_stimuli, probe_config
from textures import LAYERS, write_textures

from pipeline.base.effect_settings import AblationChoice, EffectChoice
from pipeline.base.errors import ConfigError, ShardError
from pipeline.base.job_file import load_config
from pipeline.base.job_settings import PipelineConfig, ProbeConfig
from pipeline.base.settings import (
    ClassChoice,
    ExtractConfig,
    IngestConfig,
    IngestStep,
    LabelSettings,
)
from pipeline.base.steps import Here
from pipeline.base.support_settings import SupportChoice
from pipeline.jobs.job import run_job
from pipeline.warehouse.connect import connect

pytestmark = pytest.mark.slow


class Told(Here):
    """Does steps here, as another process would get them, and remembers which."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def do(self, step):
        self.names.append(step.name)
        return super().do(pickle.loads(pickle.dumps(step)))


@pytest.fixture
def job(tmp_path):
    tars = write_textures(tmp_path / "tars", 2, 12)
    place = str(tmp_path / "warehouse")
    return PipelineConfig(
        place,
        "t",
        IngestStep("webdataset", (str(tars),)),
        IngestConfig(place, "t"),
        extract=(
            ExtractConfig(
                place, "t", "RN-demo:random", ("visual.layer3.0",), run="r", device="cpu"
            ),
        ),
        labels=LabelSettings(label_null_repeats=0),
    )


def test_effects_are_a_step_after_the_build(job):
    """For another process too, once for each run; a second time it measures nothing anew."""
    choice = EffectChoice(units=(1, 3), levels=(0, 2), hidden=2, shown=1, device="cpu")
    labels = LabelSettings(label_null_repeats=0, concept_min_count=1, label_top_k=4)
    worker = Told()
    done = run_job(replace(job, effect=choice, labels=labels), worker)
    assert worker.names[2:4] == ["build marts", "measure effects"]
    (line,) = [line.text for line in done.told if line.step == "effect"]
    assert "2 neurons on" in line and "2 of them measured now" in line
    again = run_job(replace(job, effect=choice, labels=labels), Told())
    assert ", 0 of them measured now" in next(str(t) for t in again.told if t.step == "effect")
    with connect(job.warehouse) as connection:
        rows = connection.execute(
            "select unit, concept_count from neuron_effects order by 1"
        ).fetchall()
    assert [unit for unit, _ in rows] == [1, 3] and rows[0][1] > 1


def test_effects_in_a_job_file(tmp_path):
    file = tmp_path / "job.toml"
    file.write_text('warehouse = "w"\ndataset = "d"\n[effect]\nlevels = [0, 2]\nhidden = 4\n')
    assert load_config(file).effect == EffectChoice(levels=(0, 2), hidden=4)
    file.write_text('warehouse = "w"\ndataset = "d"\n[effect]\nhiden = 4\n')
    with pytest.raises(ConfigError, match="hidden"):
        load_config(file)


def test_support_is_a_step_after_the_build(job):
    """For another process too, once for each run; a second time it measures nothing anew."""
    words = {"images": 1, "controls": 2, "size_px": 64, "fonts": ("font_caladea",), "sets": ()}
    choice = SupportChoice(**words, device="cpu")
    labels = LabelSettings(label_null_repeats=0, concept_min_count=1, label_top_k=4)
    worker = Told()
    done = run_job(replace(job, support=choice, labels=labels), worker)
    assert worker.names[2:4] == ["build marts", "measure support"]
    (line,) = [line.text for line in done.told if line.step == "support"]
    assert "0 of them drawn" in line and "; 0 images measured now" not in line
    again = run_job(replace(job, support=choice, labels=labels), Told())
    assert "; 0 images measured now" in next(str(t) for t in again.told if t.step == "support")


def test_support_in_a_job_file(tmp_path):
    file = tmp_path / "job.toml"
    file.write_text('warehouse = "w"\ndataset = "d"\n[support]\nimages = 2\nseed = 4\n')
    assert load_config(file).support == SupportChoice(images=2, seed=4)
    file.write_text('warehouse = "w"\ndataset = "d"\n[support]\nimage = 4\n')
    with pytest.raises(ConfigError, match="image"):
        load_config(file)


def test_ablations_are_a_step_after_the_build_for_each_attack(tmp_path):
    warehouse = ingest_stimuli(tmp_path, a=attack_samples(8))
    extract = replace(probe_config(warehouse), model="nano")
    names = ("first", "second")
    tests = tuple(ProbeConfig(extract, ClassChoice(class_set=name)) for name in names)
    choice = AblationChoice(counts=(1, 5), draws=1, images=4, device="cpu")
    labels = LabelSettings(label_null_repeats=0)
    asked = PipelineConfig(warehouse, "d", attack=tests, ablate=choice, labels=labels)
    worker = Told()
    done = run_job(asked, worker)
    assert worker.names[-4:] == [
        "build marts", "ablate neurons", "ablate neurons", "check warehouse",
    ]  # fmt: skip
    lines = [line.text for line in done.told if line.step == "ablate"]
    assert [name in line for name, line in zip(names, lines, strict=True)] == [True] * 2
    with connect(warehouse) as connection:
        rows = connection.execute(
            "select class_set, neuron_count from attack_ablations group by all order by all"
        ).fetchall()
    assert rows == [(name, count) for name in names for count in (1, 5)]
    one = replace(asked, ablate=replace(choice, class_set="second"))
    again = run_job(one, worker)
    (line,) = [line.text for line in again.told if line.step == "ablate"]
    assert "class set second" in line and ", 0 of them tried now" in line


def test_ablations_in_a_job_file(tmp_path):
    file = tmp_path / "job.toml"
    file.write_text('warehouse = "w"\ndataset = "d"\n[ablate]\ncounts = [1, 50]\ndraws = 2\n')
    assert load_config(file).ablate == AblationChoice(counts=(1, 50), draws=2)
    file.write_text('warehouse = "w"\ndataset = "d"\n[ablate]\ncount = [1]\n')
    with pytest.raises(ConfigError, match="counts"):
        load_config(file)


def test_pictures_and_what_steers_them_are_steps_after_the_build(tiny_warehouse, tmp_path):
    place = str(shutil.copytree(tiny_warehouse, tmp_path / "warehouse"))
    extract = ExtractConfig(place, "textures", "RN-demo:random", LAYERS, device="cpu", top_k=10)
    pets = "select example_id from texts where text like 'A cat%' or text like 'A dog%'"
    layer = "visual.layer3.0"
    file = tmp_path / "job.toml"
    file.write_text(
        'warehouse = "w"\ndataset = "textures"\n'
        f'[facet_probes]\nlayer = "{layer}"\nfacets = ["pet"]\nshown = "{pets}"\ndevice = "cpu"\n'
        f'[visualise]\nlayer = "{layer}"\nunits = [8]\nsteps = 2\ndevice = "cpu"\n'
    )
    job, worker = load_config(file, place), Told()
    done = run_job(replace(job, extract=(extract,)), worker)
    assert worker.names[:4] == ["extract", "build marts", "train facet probes", "draw pictures"]
    told = [line.text for line in done.told if line.step in ("facets", "visualise")]
    assert "pet, trained now" in told[0] and "1 of them drawn now" in told[1]
    file.write_text(file.read_text().replace("facets =", "facet ="))
    with pytest.raises(ConfigError, match="facets"):
        load_config(file, place)


def test_the_steps_of_a_job(job, tmp_path):
    worker = Told()
    done = run_job(job, worker)
    assert worker.names == ["ingest", "extract", "build marts", "check warehouse", "export summary"]
    assert [line.step for line in done.told] == [
        "ingest", "extract", "build", "check", "summary",
    ]  # fmt: skip
    assert [page.path for page in done.pages] == ["summaries/t-r.md"]
    assert (tmp_path / "warehouse" / "summaries" / "t-r.md").exists()


def test_a_damaged_shard_ends_a_job_here(job, tmp_path):
    (tar, *_) = sorted((tmp_path / "tars").glob("*.tar"))
    tar.write_bytes(tar.read_bytes()[:20_000])
    worker = Told()
    with pytest.raises(ShardError):
        run_job(job, worker)
    assert worker.names == ["ingest"]


SMALL = """
dataset = "s"

[[stimuli]]
shard_size = 20
[stimuli.pictures]
categories = ["counting"]
size_px = 32
[stimuli.words]
list = "words.txt"
size_frac = [0.5, 0.9]
size_px = 32

[[stimuli]]
dataset = "written"
[stimuli.typographic]
images = "dataset:s"
texts = ["pizza"]
placements = ["strip"]
limit = 3

[extract]
model = "RN-demo:random"
layers = ["goh2021"]
device = "cpu"

[attack]
dataset = "written"
model = "RN-demo:random"
layers = ["goh2021"]
device = "cpu"
templates = ["{}"]

[labels]
label_null_repeats = 0
"""


def test_a_job_makes_stimuli_and_tests_words_on_them(tmp_path, told, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("cat\ndog\n")
    (tmp_path / "job.toml").write_text(SMALL)
    out = told("run", "job.toml", "--warehouse", "w")
    assert [line.split()[0] for line in out.splitlines() if line[:1].isalpha()][:6] == [
        "stimuli", "stimuli", "extract", "attack", "build", "check",
    ]  # fmt: skip
    assert "written: 1 shards, 12 images" in out
    assert "RANDOM" in out and "pizza" in out
    again = told("run", "job.toml", "--warehouse", "w")
    assert re.search(r"(\d+) of \1 shards were done already", again)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("size_px = 32\n[", 'size_px = "big"\n[', "[stimuli.pictures]: size_px is 'big'"),
        ("size_frac = [0.5, 0.9]", "size_frac = [0.5]", "a list of 2 numbers"),
        ("size_frac = [0.5, 0.9]", "size = 3", "[stimuli.words]: 'size' cannot be set"),
        ("[stimuli.words]", "[stimuli.word]", "[stimuli]: 'word' cannot be set"),
        ('texts = ["pizza"]', "", "[stimuli.typographic] lacks texts"),
        ('templates = ["{}"]', 'templates = "{}"', "[attack]: templates is '{}'"),
        ('templates = ["{}"]', "tamplates = []", "Did you mean 'templates'?"),
        ("[stimuli.words]", "[stimuli.stroop]\nfont_names = ['X']\n[stimuli.words]", "no font 'X'"),
        ('[stimuli.typographic]\nimages = "dataset:s"\ntexts = ["pizza"]\nplacements = ["strip"]\n'
         "limit = 3", "", "are of no kind"),
    ],
)  # fmt: skip
def test_what_a_job_cannot_say_of_stimuli(tmp_path, told, monkeypatch, old, new, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("cat\n")
    assert old in SMALL
    (tmp_path / "job.toml").write_text(SMALL.replace(old, new, 1))
    assert message in told("run", "job.toml", "--warehouse", "w", code=2)
