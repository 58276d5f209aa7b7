"""A free text and neurons: correlation against NumPy, weights against the attention pool itself."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from pipeline.base.errors import ConfigError, ConfigMismatchError
from pipeline.clip.model import load_clip
from pipeline.clip.zero_shot import embed_text
from pipeline.evidence.matrix import example_ids, list_layers
from pipeline.evidence.texts import (
    TEMPLATES,
    background_texts,
    find_direction,
    load_run_model,
    text_similarities,
    weigh_text,
)
from pipeline.nano.planted import BOTH_FACETS, load_planted
from pipeline.warehouse.connect import connect


@torch.inference_mode()
def test_a_text_is_its_prompts_mean_less_that_of_the_background():
    clip = load_clip("nano")

    def mean(name):
        tokens = clip.tokenizer([template.replace("{}", name) for template in TEMPLATES])
        total = clip.model.encode_text(tokens, normalize=True).sum(0)
        return total / total.norm()

    background = background_texts()
    assert len(background) == len(set(background)) == 64
    others = torch.stack([mean(name) for name in background])
    found = find_direction(clip, "guitar").vector
    assert found.numpy() == pytest.approx((mean("guitar") - others.mean(0)).numpy(), abs=1e-5)
    own = background[3]
    rest = torch.stack([mean(name) for name in background if name != own])
    found = find_direction(clip, own.upper()).vector
    expected = (mean(own.upper()) - rest.mean(0)).numpy()
    assert found.numpy() == pytest.approx(expected, abs=1e-5), "it is not its own background"


def test_texts_that_cannot_be_asked():
    clip = load_clip("nano")
    with pytest.raises(ConfigError, match="empty"):
        find_direction(clip, " ")
    with pytest.raises(ConfigError, match=r"does not read .* to its end"):
        find_direction(clip, "a very long sentence about one guitar, two rabbits and three lions")
    with pytest.raises(ConfigError, match="0 places"):
        embed_text(clip, "guitar", ("a photo",), background_texts())
    with pytest.raises(ConfigMismatchError, match="is not the model of this run"):
        load_run_model("nano", {"weights_sha256": "0" * 64}, "cpu")


def test_similarities_are_of_the_stored_embeddings(tiny_warehouse):
    direction = find_direction(load_clip("RN-demo:random"), "a cat")
    with connect(tiny_warehouse) as connection:
        layer = list_layers(connection)[0]
        ids = example_ids(connection, layer.dataset, layer.run_id)
        found = text_similarities(connection, layer.dataset, layer.run_id, ids, direction)
        rows = connection.execute("select example_id, embedding from image_embeddings").fetchall()
    stored = {i: np.array(e) for i, e in rows}
    expected = [
        stored[i] @ direction.vector.numpy() / np.linalg.norm(stored[i]) for i in ids.tolist()
    ]
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("model", ["nano", "RN-demo:random"])
@torch.inference_mode()
def test_the_score_is_what_a_channel_adds_to_the_embedding(model):
    """With every query zero, attention is the same for all places: the pool is linear, and exact."""
    clip = load_clip(model)
    direction = find_direction(clip, "guitar")
    (weighed,) = weigh_text(direction)
    layer, units, cosines = weighed.path, weighed.units, weighed.cosines
    modules = dict(clip.model.named_modules())
    assert f"visual.layer4.{len(clip.model.visual.layer4) - 1}.act3" == layer
    assert type(modules[layer]).__name__ == "ReLU"
    pool = copy.deepcopy(clip.model.visual.attnpool)  # the model itself is shared by all tests
    for parameter in pool.q_proj.parameters():
        parameter.zero_()
    side = 2  # images of 64 px
    here = torch.rand(1, len(units), side, side, generator=torch.Generator().manual_seed(0))
    before = pool(here)[0].double()
    for unit in (0, 3, len(units) - 1):
        there = here.clone()
        there[:, unit] += 1
        change = pool(there)[0].double() - before
        text = direction.vector.double()
        expected = change @ text / change.norm() / text.norm()
        assert cosines[unit] == pytest.approx(float(expected), abs=1e-4)


@pytest.mark.slow
def test_planted_neurons_of_nano_are_found_by_its_weights_alone():
    clip = load_clip("nano")
    first = 0
    planted = [
        p
        for p in load_planted()
        if p.is_asserted and p.scope == "concept" and p.facets == BOTH_FACETS
    ][::6]
    for one in planted:
        (weighed,) = weigh_text(find_direction(clip, one.concept))
        first += int(weighed.units[weighed.cosines.argmax()]) == one.channel
    assert first >= 0.85 * len(planted)
