"""On a GPU: neurons that are set, and ablated, do what they do on the CPU.

Both devices round the same float32 arithmetic, in another order. How far rounding can carry one of them from
the exact answer is seen on the CPU: by how much it misses the same computation in float64. The GPU may miss
it by `SLACK` times as much, since convolutions are reckoned in other ways there (Winograd's loses a digit or
so). With ten bits of mantissa (TF32) it would miss it by thousands of times as much, with another neuron,
level or image by more.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from planting import make_model
from probing import attack_samples, ingest_stimuli, probe_config

from pipeline.base.effect_settings import AblationConfig, EffectConfig
from pipeline.base.settings import ClassChoice
from pipeline.base.steps import Here
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import load_clip
from pipeline.clip.replay import Replay, set_units
from pipeline.clip.zero_shot import logit_scale, score_classes
from pipeline.effects.ablate import measure_ablations
from pipeline.effects.attacks import AttackPlan
from pipeline.effects.choose import NeuronPlan
from pipeline.effects.flips import Classes, list_ablations, measure_attack
from pipeline.effects.measure import Prompts, measure_block
from pipeline.effects.run import measure_effects
from pipeline.probes.attack import ATTACK
from pipeline.probes.probe import run_probe
from pipeline.warehouse.connect import connect

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a GPU: run where torch finds CUDA"
)

GPU = "cuda"
SLACK = 64
ROUNDOFF = 2.0**-24
LEVELS = (0.0, 1.0, 5.0)
IMAGES = 5
BATCH = 7
"""Variants at once: not a divisor of anything here."""

CASES = [
    ("nano", "visual.layer4.0.act3"),
    ("nano", "visual.layer1.0.conv1"),
    ("RN-demo:random", "visual.layer4.0.act3"),
    ("vit", "visual.transformer.resblocks.0.mlp.gelu"),
]


@dataclass
class Side:
    """One way to reckon."""

    replay: Replay
    images: Mapping[int, torch.Tensor]
    prompts: Prompts


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(case))
def sides(request, tmp_path_factory) -> dict[str, Side]:
    """The same model, images and concepts in float64, and in float32 on either device."""
    name, spec = request.param
    name = make_model(tmp_path_factory.mktemp("vit")) if name == "vit" else name
    here = load_clip(name, "cpu")
    model = copy.deepcopy(here.model).double()
    model.visual.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))
    clips = {"exact": replace(here, model=model), "cpu": here, "gpu": load_clip(name, GPU)}
    (layer,) = resolve_layers(here, (spec,))
    noise = torch.Generator().manual_seed(0)
    size = here.setup.image.size_px
    images = {n: torch.randn(1, 3, *size, generator=noise) for n in range(IMAGES)}
    width = len(Replay(here, layer).embed(images[0]))
    texts = torch.nn.functional.normalize(torch.randn(9, width, generator=noise), dim=1)
    return {
        side: Side(
            Replay(clip, layer),
            {n: pixels.to(clip.device) for n, pixels in images.items()},
            Prompts(tuple("abcdefghi"), texts.to(clip.device)),
        )
        for side, clip in clips.items()
    }


def assert_as_near(exact: np.ndarray, cpu: np.ndarray, gpu: np.ndarray, what: str) -> None:
    """The GPU misses the exact answer by `SLACK` times what the CPU does, or what one rounding does."""
    missed, allowed = np.abs(gpu - exact).max(), max(np.abs(cpu - exact).max(), ROUNDOFF)
    assert missed <= SLACK * allowed, f"{what}: missed by {missed}, on the CPU by {allowed}"


def numbers(table: pa.Table) -> dict[str, np.ndarray]:
    return {
        name: np.array(table[name], np.float64)
        for name in table.column_names
        if pa.types.is_floating(table.schema.field(name).type)
    }


def test_a_neuron_set_to_a_value_does_what_it_does_on_the_cpu(sides):
    neurons = (
        NeuronPlan(3, 0.5, "c", "a", (0, 1, 2), (3, 4), 1),
        NeuronPlan(20, 2.0, None, None, (1, 2, 3, 4), (), 0),
    )
    tables = {
        side: measure_block(one.replay, one.prompts, neurons, LEVELS, one.images, 7, BATCH)
        for side, one in sides.items()
    }
    for exact, cpu, gpu in zip(*(tables[side] for side in ("exact", "cpu", "gpu")), strict=True):
        same = [name for name in exact.column_names if name not in numbers(exact)]
        assert exact.select(same).equals(cpu.select(same)) and exact.select(same).equals(
            gpu.select(same)
        )
        for name, values in numbers(exact).items():
            ours, theirs = (numbers(table)[name] for table in (cpu, gpu))
            missing = np.isnan(values)
            assert (np.isnan(ours) == missing).all() and (np.isnan(theirs) == missing).all()
            assert_as_near(values[~missing], ours[~missing], theirs[~missing], name)
    changes = numbers(tables["exact"][1])["cosine_change"]
    assert np.abs(changes).max() > 1e-3, "there is something to compare"


def logits(side: Side, pixels: torch.Tensor, sets: list[tuple[int, ...]]) -> np.ndarray:
    """Float64 ``[sets, classes]``."""
    rows = []
    for units in sets:
        some = torch.tensor([units], device=pixels.device)
        zero = torch.zeros(1, device=pixels.device)
        embedding = side.replay.embed_variants(
            pixels,
            1,
            lambda base, some=some, zero=zero: set_units(base, side.replay.layer, some, zero),
        )
        found, _ = score_classes(side.replay.clip, embedding.cpu(), side.prompts.embeddings.cpu())
        rows.append(found[0].double().numpy())
    return np.array(rows)


def test_an_image_without_neurons_is_taken_for_what_the_cpu_takes_it_for(sides):
    """Wherever the two classes that come first are further apart than rounding reaches."""
    plan = AttackPlan("e", "e", "centre", 1, tuple(range(10, 20)), ((0, "a"), (1, "b")), (2, 3, 4))
    tried = list_ablations(plan, (1, 10), 2, "key", sides["cpu"].replay.layer.unit_count)
    sets = [one.units for one in tried]
    found = {
        side: {n: logits(one, one.images[n], sets) for n in range(IMAGES)}
        for side, one in sides.items()
    }
    exact, cpu, gpu = (np.array(list(found[side].values())) for side in ("exact", "cpu", "gpu"))
    scale = logit_scale(sides["cpu"].replay.clip)
    assert_as_near(exact / scale, cpu / scale, gpu / scale, "logits over their scale")
    reach = SLACK * max(np.abs(cpu - exact).max(), scale * ROUNDOFF)
    first = np.sort(exact, axis=2)
    is_plain = first[..., -1] - first[..., -2] > 2 * reach
    assert is_plain.mean() > 0.9
    tables = {
        side: measure_attack(
            one.replay, Classes(one.prompts.names, one.prompts.embeddings.cpu()), plan, tried,
            one.images, BATCH,
        )
        for side, one in sides.items()
    }  # fmt: skip
    keys = [name for name in tables["cpu"].column_names if not name.endswith("_class")]
    for side in ("cpu", "gpu"):
        assert tables[side].select(keys).equals(tables["exact"].select(keys))
        place = {(one.size, one.draw): n for n, one in enumerate(tried)}
        for row, wanted in zip(tables[side].to_pylist(), tables["exact"].to_pylist(), strict=True):
            if is_plain[row["example_id"], place[row["neuron_count"], row["draw"]]]:
                assert row["predicted_class"] == wanted["predicted_class"]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory) -> dict[str, Path]:
    """Images and their attacks, read by nano on the CPU and classified: a copy for each device."""
    folder = tmp_path_factory.mktemp("attacked")
    warehouse = ingest_stimuli(folder, a=attack_samples(24))
    config = replace(probe_config(warehouse), model="nano")
    run_probe(ATTACK, config, ClassChoice(class_set="attack"), Here())
    return {
        side: Path(shutil.copytree(warehouse, folder / side / "warehouse"))
        for side in ("cpu", "gpu")
    }


def measured(attacked: dict[str, Path], query: str) -> list[list[tuple[object, ...]]]:
    rows = []
    for side in ("cpu", "gpu"):
        with connect(attacked[side]) as connection:
            rows.append(connection.execute(query).fetchall())
    return rows


def test_whole_measurements_agree(attacked):
    """Effects by what a cosine of two vectors of float32 can lose in nano's depth; ablations but for a tie."""
    for side, device in (("cpu", "cpu"), ("gpu", GPU)):
        where = {"warehouse": str(attacked[side]), "dataset": "d", "run": "r", "device": device}
        (done,) = measure_effects(
            EffectConfig(**where, units=tuple(range(64)), hidden=3, levels=(0.0, 5.0))
        )
        assert done.new_count > 10
        (tried,) = measure_ablations(AblationConfig(**where, counts=(1, 50), draws=2))
        assert tried.new_count > 0
    cpu, gpu = measured(
        attacked,
        "select cosine_change, cosine_direction from concept_effects "
        "order by layer, unit, level, concept",
    )
    # roundings of a sum of 2 ** 12 terms add up to some 2 ** 6 of them, in each of some 30 layers in a row
    reach = 30 * 2**6 * ROUNDOFF
    assert len(cpu) == len(gpu)
    assert np.abs(np.array(cpu, np.float64) - np.array(gpu, np.float64)).max() < reach
    assert np.abs(np.array(cpu, np.float64)).max() > 100 * reach
    cpu, gpu = measured(
        attacked,
        "select * exclude (predicted_class), predicted_class from raw_ablations order by all",
    )
    assert [row[:-1] for row in cpu] == [row[:-1] for row in gpu]
    same = sum(one == other for one, other in zip(cpu, gpu, strict=True))
    assert same >= 0.99 * len(cpu)
