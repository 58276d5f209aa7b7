"""What is climbed is the run's activation, with the gradient that it has where open_clip works in place."""

from __future__ import annotations

import json

import numpy as np
import open_clip
import pytest
import torch

from pipeline.base.errors import ConfigError
from pipeline.base.visualise_settings import VisualiseChoice
from pipeline.clip.hooks import capture_layers, hook_points, positions_of
from pipeline.clip.layers import resolve_layers
from pipeline.clip.model import load_clip
from pipeline.clip.model_id import register_models
from pipeline.visualise.facet_probes import FacetProbe
from pipeline.visualise.lower_layer import choose_probe_layer
from pipeline.visualise.objective import (
    Eye,
    attribute,
    facet_term,
    likeness_term,
    odds_term,
)
from pipeline.visualise.optimise import Lower, Painter, Subject

ACT = "visual.layer4.0.act3"
LOWER = "visual.layer3.0:output:mean"


@pytest.fixture(scope="module")
def nano():
    return load_clip("nano")


@pytest.fixture
def noise():
    made = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return (made / 10).requires_grad_()


def layers_of(clip, *names):
    return resolve_layers(clip, names)


def one_hot(unit):
    weight = torch.zeros(768)
    weight[unit] = 1
    return Subject(str(unit), unit, weight)


@pytest.mark.parametrize(
    "name",
    [f"{ACT}:input:max", f"{ACT}:input:mean", f"{ACT}:input:center", f"{ACT}:output:mean",
     "visual.layer2.0:output:max", "visual.attnpool:output:max"],
)  # fmt: skip
def test_what_is_climbed_is_what_the_run_stores(nano, noise, name):
    (layer,) = layers_of(nano, name)
    found = Eye(nano, layer).look(noise).activations
    with torch.inference_mode(), capture_layers(nano, (layer,)) as capture:
        nano.model.encode_image(noise)
    stored = capture.pooled[layer.name]
    if name.endswith("output:max") and layer.is_rectified:  # climbed before its ReLU
        found = found.relu()
    assert torch.equal(found.detach(), stored)


@pytest.mark.parametrize("spread", [0.25, 1.0])
def test_the_mean_of_all_positions_counts_as_much_as_was_said(nano, noise, spread):
    largest, mean = (
        Eye(nano, layer).look(noise).activations
        for layer in layers_of(nano, f"{ACT}:input:max", f"{ACT}:input:mean")
    )
    layer, other = layers_of(nano, f"{ACT}:input:max", f"{ACT}:input:center")
    found = Eye(nano, layer, spread=spread).look(noise).activations
    torch.testing.assert_close(found, (1 - spread) * largest + spread * mean)
    middle = Eye(nano, other, spread=spread).look(noise).activations
    assert torch.equal(middle, Eye(nano, other).look(noise).activations)


def test_a_neuron_that_starts_below_zero_has_a_gradient(nano, noise):
    """A hook that keeps what the last ReLU is given sees what that returns: 0, without a gradient."""
    (layer,) = layers_of(nano, f"{ACT}:input:max")
    values = Eye(nano, layer).look(noise).activations
    below = (values < -0.05).nonzero()
    assert len(below) > 100
    for picture, unit in below[::97].tolist():
        (gradient,) = torch.autograd.grad(values[picture, unit], noise, retain_graph=True)
        assert gradient[picture].abs().max() > 1e-4


@pytest.mark.parametrize("path", [ACT, "visual.layer4.0"])
def test_what_a_relu_returns_is_climbed_from_below_zero_too(nano, path):
    """Also at the end of a block. Else seven of eight such neurons would stay grey."""
    units = (29, 192, 95, 93)
    (layer,) = layers_of(nano, f"{path}:output:max")
    choice = VisualiseChoice(steps=48)
    painter = Painter(nano, layer, choice)
    drawn = painter.draw([one_hot(unit) for unit in units])
    for unit, (one,) in zip(units, drawn, strict=True):
        assert one.has_gradient
        # A grey picture's is 0; these are 1.8 to 4.3. After 24 steps one was 0.8 or above 1, by the processor.
        assert answer_to(nano, layer, one)[unit] > 1


VIT = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 4, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 1, "layers": 1},
}


@pytest.mark.parametrize("name", ["mlp.gelu:output:max", "mlp.gelu:output:cls", "output:mean"])
def test_neurons_of_a_vision_transformer_draw(tmp_path, name):
    """Random weights: what is drawn excites its neuron more than what others drew, and a facet moves it."""
    (tmp_path / "ViT-drawn.json").write_text(json.dumps(VIT))
    open_clip.add_model_config(tmp_path)
    register_models()
    clip = load_clip("ViT-drawn:random")
    path = "visual.transformer.resblocks.3"
    (layer,) = layers_of(clip, f"{path}.{name}" if "mlp" in name else f"{path}:{name}")
    lower = choose_probe_layer(clip, layer.name, "")
    assert lower.name == "visual.transformer.resblocks.2:output:mean"
    weight = torch.linspace(-1, 1, lower.unit_count)
    choice = VisualiseChoice(steps=48, images=2)
    units = (3, 17, 40)
    subjects = [Subject(str(unit), unit, torch.eye(layer.unit_count)[unit]) for unit in units]

    def draw(facet):
        drawn = Painter(clip, layer, choice, Lower(lower, facet)).draw(subjects)
        assert all(one.has_gradient for two in drawn for one in two)
        return drawn

    plain, steered = draw(None), draw(weight)
    answers = np.array([[answer_to(clip, layer, one) for one in two] for two in plain])
    assert (answers[:, :, units].mean(1).argmax(0) == np.arange(3)).all()
    seen = [
        np.mean([answer_to(clip, lower, one) @ weight.numpy() for two in drawn for one in two])
        for drawn in (plain, steered)
    ]
    assert seen[1] > seen[0]


def answer_to(clip, layer, drawn):
    """What the model answers to a finished picture, through its own transform."""
    from PIL import Image

    pixels = clip.preprocess(Image.fromarray(drawn.pixels))[None]
    with torch.inference_mode(), capture_layers(clip, (layer,)) as capture:
        clip.model.encode_image(pixels)
    return capture.pooled[layer.name][0].numpy()


def test_a_lower_layer_is_kept_as_it_passed_though_what_follows_works_in_place(nano, noise):
    """Its shortcut is added to it in place, and a ReLU follows."""
    lower, layer = layers_of(nano, "visual.layer3.0.bn3:output:mean", f"{ACT}:input:max")
    passed = Eye(nano, layer, [lower]).look(noise)
    (kept,) = passed.lower
    assert (kept < 0).float().mean() > 0.2
    with torch.inference_mode(), capture_layers(nano, (lower,)) as capture:
        nano.model.encode_image(noise)
    assert torch.allclose(kept.mean((2, 3)), capture.pooled[lower.name], atol=1e-5)
    parts = attribute(passed.activations[:, 29], kept)
    assert parts.abs().max() > 0


def test_attributions_say_how_a_neuron_rises_with_each_channel(nano, noise):
    """``g * grad f``, over positions, is how ``f`` changes as the channel grows: checked by growing it."""
    lower, layer = layers_of(nano, LOWER, f"{ACT}:input:mean")
    passed = Eye(nano, layer, [lower]).look(noise)
    parts = attribute(passed.activations[:, 29], passed.lower[0])
    assert parts.min() >= 0, "of what lowers the neuron nothing is asked"
    step = 0.02
    for channel in range(0, lower.unit_count, 61):
        grown = []
        for sign in (1, -1):

            def take(spec, tensor, sign=sign, channel=channel):
                tensor = tensor.clone()
                tensor[:, channel] *= 1 + sign * step
                return tensor

            with hook_points(nano.model, [lower.spec], take):
                grown.append(Eye(nano, layer).look(noise).activations[:, 29].detach())
        rises = (grown[0] - grown[1]) / (2 * step)
        assert (parts[:, channel].sum((1, 2)) - rises >= -0.01).all()


def test_a_facet_is_climbed_by_its_weights(nano, noise):
    lower, layer = layers_of(nano, LOWER, f"{ACT}:input:max")
    passed = Eye(nano, layer, [lower]).look(noise)
    parts = attribute(passed.activations[:, 29], passed.lower[0])
    weight = torch.randn(lower.unit_count, generator=torch.Generator().manual_seed(1))
    by_hand = torch.einsum("nchw,c->n", parts, weight)
    assert torch.allclose(facet_term(parts, lower, weight), by_hand, atol=1e-4)
    assert torch.autograd.grad(by_hand.sum(), noise)[0].abs().max() > 0


def test_the_probes_odds_are_those_that_it_gives_images(nano, noise):
    lower, layer = layers_of(nano, LOWER, f"{ACT}:input:max")
    (kept,) = Eye(nano, layer, [lower]).look(noise).lower
    probe = FacetProbe("f", LOWER, np.linspace(-9, 9, lower.unit_count, dtype=np.float32), 0.5, 1.0)
    found = odds_term(kept, lower, torch.from_numpy(probe.weight), probe.bias)
    expected = probe.probability(kept.detach().mean((2, 3)).numpy())
    assert found.exp().tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_likeness_is_one_for_equal_pictures_wherever_it_is_in_them(nano, noise):
    lower, layer = layers_of(nano, LOWER, f"{ACT}:input:max")
    kept = Eye(nano, layer, [lower]).look(noise).lower[0].detach()
    same = torch.cat([kept[:1], kept[:1].roll(1, 2), kept[1:3]])
    alike = likeness_term(same, lower, 2)
    assert alike[:2].tolist() == pytest.approx([1, 1], abs=1e-5)
    assert alike[2] == pytest.approx(alike[3].item()) and alike[2] < 0.999
    grams = [torch.einsum("pc,pd->cd", one, one) for one in positions_of(same[2:], lower)]
    cosine = (grams[0] * grams[1]).sum() / (grams[0].norm() * grams[1].norm())
    assert alike[2].item() == pytest.approx(cosine.item(), rel=1e-4)


def test_a_layer_above_is_refused_as_a_lower_one(nano, noise):
    above, layer = layers_of(nano, "visual.layer4.0.act3:output:mean", "visual.layer2.0")
    with pytest.raises(
        ConfigError, match=r"act3:output:mean does not come before visual\.layer2\.0"
    ):
        Eye(nano, layer, [above]).look(noise)


def test_a_planted_neuron_draws_beyond_what_noise_excites_and_a_seed_draws_one_picture(nano):
    (layer,) = layers_of(nano, "goh2021")
    painter = Painter(nano, layer, VisualiseChoice(steps=48, images=1))
    ((japan,),) = painter.draw([one_hot(29)])
    ((again,),) = painter.draw([one_hot(29)])
    assert np.array_equal(japan.pixels, again.pixels)
    ((other,),) = Painter(nano, layer, VisualiseChoice(steps=48, seed=1)).draw([one_hot(29)])
    assert not np.array_equal(japan.pixels, other.pixels)
    answer = answer_to(nano, layer, japan)
    assert (
        answer[29] > 1.6 and answer.argmax() == 29
    )  # 1.6: the most that an image of the demo does
    # beside another one, a picture is the same to the last bit as long as as many are drawn
    pair = painter.draw([one_hot(29), one_hot(192)])
    mirrored = painter.draw([one_hot(95), one_hot(29)])
    assert np.array_equal(pair[0][0].pixels, mirrored[1][0].pixels)


def test_what_cannot_be_climbed_is_said(nano):
    (layer,) = layers_of(nano, "goh2021")
    nothing = Subject("nothing", None, torch.zeros(768))
    ((drawn,),) = Painter(nano, layer, VisualiseChoice(steps=2)).draw([nothing])
    assert not drawn.has_gradient
