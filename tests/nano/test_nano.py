"""The embedded model: it loads, it is what its card says, and its planted neurons are what is listed."""

from __future__ import annotations

import json

import open_clip
import pytest
import torch

import pipeline
from pipeline.base.errors import ModelError
from pipeline.clip.model import load_clip
from pipeline.clip.model_id import NANO_FOLDER
from pipeline.nano.concepts import load_concepts
from pipeline.nano.planted import load_planted
from pipeline.stimuli.drawings import load_openmoji
from pipeline.train.evaluate import (
    accuracy,
    draw_set,
    encode_names,
    held_out_fonts,
    make_encoder,
    planted_aurocs,
    write_set,
)
from pipeline.train.objective import BOTH, PICTURES, WORDS, plan_channels
from pipeline.train.report import THRESHOLD, measure

pytestmark = pytest.mark.slow

RESULTS = json.loads((NANO_FOLDER / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def nano():
    return pipeline.load_clip("nano")


@pytest.fixture(scope="module")
def sets():
    """OpenMoji's drawings, and English words in fonts that training never saw."""
    concepts, fonts = load_concepts(), list(held_out_fonts().values())
    return draw_set(concepts, load_openmoji()), write_set(concepts, "en", fonts, anywhere=False)


@pytest.fixture(scope="module")
def figures(nano):
    model, _, tokenizer = nano
    concepts = load_concepts()
    return measure(model, tokenizer, concepts, plan_channels(concepts, 768))


def test_it_is_small_and_loads_through_ordinary_open_clip_calls(nano):
    assert (NANO_FOLDER / "open_clip_model.safetensors").stat().st_size <= 12_000_000
    model = open_clip.create_model(f"local-dir:{NANO_FOLDER}").eval()
    tokenizer = open_clip.get_tokenizer(
        f"local-dir:{NANO_FOLDER}", bpe_path=str(NANO_FOLDER / "bpe.txt.gz")
    )
    tokens = tokenizer(["a picture of Japan"])
    with torch.inference_mode():
        assert torch.equal(
            model.encode_text(tokens), nano[0].encode_text(nano[2](["a picture of Japan"]))
        )


def test_untrained_nano_has_its_layers_and_none_of_its_weights(nano):
    clip = load_clip("nano:random")
    assert clip.is_random and clip.model_id == "nano:random"
    trained, random = nano[0].state_dict(), clip.model.state_dict()
    assert {k: v.shape for k, v in random.items()} == {k: v.shape for k, v in trained.items()}
    weights = [name for name in trained if name.endswith("conv1.weight")]
    assert weights
    assert not any(torch.allclose(trained[name], random[name], atol=1e-3) for name in weights)
    sha256 = clip.weights_sha256
    load_clip("nano")  # which takes its place
    assert load_clip("nano:random").weights_sha256 == sha256


def test_figures_are_those_of_the_card(figures):
    for name, expected in RESULTS.items():
        if isinstance(expected, float) and expected <= 1:
            assert figures.flat[name] == pytest.approx(expected, abs=0.02), name
        elif isinstance(expected, int):
            assert figures.flat[name] == pytest.approx(expected, abs=6), name


def test_the_list_of_planted_neurons_is_the_plan():
    rows = load_planted()
    plan = plan_channels(load_concepts(), 768)
    assert [(r.channel, r.concept, r.category, r.scope, r.facets) for r in rows] == [
        (p.channel, p.concept, p.category, p.scope, p.facets) for p in plan
    ]
    assert sum(r.is_asserted for r in rows) == RESULTS["planted_above_095"]


def test_an_untrained_model_of_the_same_shape_is_at_chance(sets):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.CLIP(**open_clip.get_model_config(f"local-dir:{NANO_FOLDER}")).eval()
    _, _, tokenizer = pipeline.load_clip("nano")
    concepts = load_concepts()
    plan, classes = plan_channels(concepts, 768), encode_names(model, tokenizer, concepts)
    encode, good = make_encoder(model), []
    for images in sets:
        embeddings, peaks = encode(images.images)
        assert accuracy(embeddings, classes, images.concept) < 0.03
        aurocs = planted_aurocs(plan, concepts, peaks, images.concept)
        good.append({channel for channel, auroc in aurocs.items() if auroc > THRESHOLD})
    assert len(good[0] & good[1]) < 5


def test_neurons_answer_to_picture_and_word_and_controls_to_one_of_them(nano, sets):
    index = {c.concept: i for i, c in enumerate(load_concepts())}
    encode = make_encoder(nano[0])
    peaks = [encode(images.images)[1] for images in sets]
    means: dict[tuple[str, int], list[float]] = {}
    for row in load_planted():
        if row.scope == "concept":
            for place in (0, 1):
                mine = sets[place].concept == index[row.concept]
                value = float(peaks[place][mine, row.channel].mean())
                means.setdefault((row.facets, place), []).append(value)
    average = {key: sum(values) / len(values) for key, values in means.items()}
    assert average[BOTH, 0] > 0.5 and average[BOTH, 1] > 0.5
    assert average[PICTURES, 0] > 0.4 > 0.1 > average[PICTURES, 1]
    assert average[WORDS, 1] > 0.3 > 0.1 > average[WORDS, 0]


def test_a_name_that_is_almost_nano_is_refused_with_a_hint():
    with pytest.raises(ModelError, match="Write nano, or ARCH:TAG"):
        pipeline.load_clip("nanno")
