"""The second-order effect of neurons of a ViT: what an independent computation says, kept, and told."""

from __future__ import annotations

import json
from dataclasses import replace

import open_clip
import pytest
import torch
from open_clip.transformer import VisionTransformer
from textures import write_textures
from torch import nn

from pipeline.base.errors import ModelError
from pipeline.base.figure_settings import FigureConfig
from pipeline.base.progress import NoProgress
from pipeline.base.settings import ExtractConfig, IngestConfig, IngestStep
from pipeline.base.storage import Store
from pipeline.clip.model import load_clip
from pipeline.clip.model_id import register_models
from pipeline.clip.second_order import SecondOrder, first_component
from pipeline.clip.writes import list_writing
from pipeline.evidence.phrases import KEPT, embed_phrases, weigh_phrases
from pipeline.evidence.second_order import RunImages, find_effects, read_tops
from pipeline.evidence.texts import find_direction
from pipeline.extract.run import extract
from pipeline.figures.run import measure_figures
from pipeline.search.phrases import point_on_images
from pipeline.sources.ingest import ingest
from pipeline.tables.datasets import run_folder
from pipeline.tables.runs import read_run
from pipeline.warehouse.connect import connect
from pipeline.warehouse.find import find_neuron


class _Tower(nn.Module):
    """An image tower alone."""

    def __init__(self, visual):
        super().__init__()
        self.visual = visual
        self.encode_image = visual.forward


def make_vit(blocks=4, heads=3, width=48, output_dim=20, **changes):
    """A ViT whose norms, scales and biases all count."""
    torch.manual_seed(0)
    visual = VisionTransformer(
        32, 8, width, blocks, heads, 2.0, 0.5, output_dim=output_dim, **changes
    )
    for parameter in visual.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 0.8, 0.3)
    visual = visual.eval().requires_grad_(False)
    return replace(load_clip("nano"), model=_Tower(visual))


PIXELS = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def derive(visual, number, image, unit):
    """The same by the chain rule: the derivative by the neuron's strength, of a pass in which it reaches the
    class token through each later attention layer alone, attention and lengths of norms held.
    """
    strength = torch.ones((), requires_grad=True)

    def hold_length(norm, x):
        length = (x.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt().detach()
        return (x - x.mean(-1, keepdim=True)) / length * norm.weight + norm.bias

    with torch.enable_grad():
        x = visual._embeds(image[None])
        written = 0
        for place, block in enumerate(visual.transformer.resblocks):
            given = x.detach() + (written * strength - written if place > number else 0)
            normed = hold_length(block.ln_1, given)
            _, weights = block.attn(*[block.ln_1(x.detach())] * 3, average_attn_weights=False)
            width = x.shape[-1]
            rows, bias = (
                block.attn.in_proj_weight[2 * width :],
                block.attn.in_proj_bias[2 * width :],
            )
            values = (normed @ rows.T + bias).unflatten(-1, (block.attn.num_heads, -1))
            mixed = torch.einsum("nhqk,nkhd->nqhd", weights, values).flatten(2)
            x = x + block.ls_1(block.attn.out_proj(mixed))
            hidden = block.mlp.gelu(block.mlp.c_fc(block.ln_2(x.detach())))
            if place == number:
                one = torch.zeros_like(hidden)
                one[..., unit] = hidden[..., unit]
                written = block.ls_2(one @ block.mlp.c_proj.weight.T)
            x = x + block.ls_2(block.mlp.c_proj(hidden))
        embedding = hold_length(visual.ln_post, x)[0, 0] @ visual.proj
        assert torch.allclose(embedding, visual(image[None])[0], atol=1e-4), (
            "this is the same network"
        )
        rows = [torch.autograd.grad(one, strength, retain_graph=True)[0] for one in embedding]
    return torch.stack(rows)


@pytest.mark.parametrize("changes", [{}, {"final_ln_after_pool": True}])
def test_the_effect_is_what_the_chain_rule_says(changes):
    clip = make_vit(**changes)
    units = [(3, 40), (0, 3, 95)]
    for number in (0, 2):
        one = SecondOrder(clip, list_writing(clip)[number])
        for image, some, effects in zip(PIXELS, units, one.measure(PIXELS, units), strict=True):
            for unit, effect in zip(some, effects, strict=True):
                expected = derive(clip.model.visual, number, image, unit)
                assert expected.norm() > 1e-3
                assert torch.allclose(
                    effect, expected, atol=1e-5 * float(expected.norm()), rtol=1e-3
                )


def test_a_concept_that_the_next_attention_carries_comes_first():
    """With one head and one layer to come, a column becomes the same on all images, but for size."""
    direction = find_direction(load_clip("nano"), "guitar")
    dim = len(direction.vector)
    clip = make_vit(blocks=2, heads=1, width=2 * dim, output_dim=dim)
    first, last = clip.model.visual.transformer.resblocks
    width, ends = 2 * dim, clip.model.visual
    centred = torch.eye(width, dtype=torch.float64) - 1 / width
    through = first.ls_2.gamma[:, None].double() * centred * last.ln_1.weight.double()
    through = through @ last.attn.in_proj_weight[2 * width :].T.double()
    through = through @ last.attn.out_proj.weight.T.double() * last.ls_1.gamma.double()
    through = through @ centred * ends.ln_post.weight.double() @ ends.proj.double()
    row = direction.vector.double() @ torch.linalg.pinv(through)
    first.mlp.c_proj.weight.data[:, 5] = row.float()
    one = SecondOrder(clip, list_writing(clip)[0])
    effects = torch.stack([found[0] for found in one.measure(PIXELS, [(5,), (5,)])])
    phrases = embed_phrases(load_clip("nano"), ["rabbit", "guitar", "Japan"])
    sign = effects.double() @ direction.vector.double().cpu()
    component, explained = first_component(effects * sign.sign()[:, None])
    assert explained == pytest.approx(1, abs=1e-6)
    cosines = weigh_phrases(component[None], phrases)[0]
    assert (cosines.argmax(), round(float(cosines.max()), 4)) == (1, 1)


def test_the_first_component_is_about_zero_and_points_as_the_mean_does():
    effects = torch.tensor([[3.0, 0, 0], [4, 0, 0], [0, 1, 0]])
    direction, explained = first_component(-effects)
    assert direction.tolist() == pytest.approx([-1, 0, 0])
    assert explained == pytest.approx(25 / 26)
    nothing, none = first_component(torch.zeros(2, 3))
    assert (nothing.tolist(), none) == ([0, 0, 0], 0)


def test_what_cannot_be_told_is_said():
    clip = make_vit()
    with pytest.raises(ModelError, match="No attention comes after"):
        SecondOrder(clip, list_writing(clip)[-1])
    for other in (make_vit(pool_type="avg"), load_clip("nano")):
        with pytest.raises(ModelError, match="end at their class token"):
            SecondOrder(other, list_writing(other)[0])


BLOCK = "visual.transformer.resblocks.{}.mlp.gelu"
VIT = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A run by a small ViT on twelve images, and what it was asked."""
    folder = tmp_path_factory.mktemp("second")
    (folder / "ViT-second.json").write_text(json.dumps(VIT))
    open_clip.add_model_config(folder)
    register_models()
    place, tars = str(folder / "warehouse"), str(write_textures(folder / "tars", 1, 12))
    ingest(IngestConfig(place, "textures"), IngestStep("webdataset", (tars,)))
    layers = tuple(map(BLOCK.format, (0, 1)))
    more = {"run": "vit", "device": "cpu", "top_k": 10}
    extract(ExtractConfig(place, "textures", "ViT-second:random", layers, **more))
    config = FigureConfig(
        warehouse=place, dataset="textures", run="vit", device="cpu", figures=("second-order",)
    )
    return config, measure_figures(config)


def test_all_neurons_of_a_run_are_asked_on_their_own_images(asked):
    """The table without the labels that its view has beside it: these are dear where nothing is built."""
    config, (first, last) = asked
    assert "nothing: No attention comes after" in last.told
    assert first.row_count == 128 * KEPT
    with connect(config.warehouse) as con:
        found = con.execute(
            """
            select count(distinct unit), max(image_count), min(explained_frac), max(explained_frac),
                bool_and(abs(cosine) <= 1), bool_and(abs(random_cosine) <= 1)
            from raw_second_order_texts
            """
        ).fetchall()
    ((units, images, least, most, *within),) = found
    assert (units, images, within) == (128, 10, [True, True])
    assert 0.1 < least < most <= 1


def test_one_neuron_points_where_it_does_among_all(asked):
    """Asked alone, as the command does, it is beside 64 others on its own images."""
    config, _ = asked
    clip, store = load_clip("ViT-second:random"), Store(config.warehouse)
    run = read_run(store, run_folder("textures", "vit"))["identity"]
    with connect(config.warehouse) as con:
        neuron = find_neuron(con, BLOCK.format(0), 9)
        found = point_on_images(clip, BLOCK.format(0), neuron, con, store, run)
        tops = read_tops(con, "textures", "vit", neuron.layer)
        images = RunImages(con, store, "textures", run)
        every = find_effects(clip, BLOCK.format(0), images, tops, NoProgress())
        ((cosine,),) = con.execute(
            "select cosine from raw_second_order_texts where unit = 9 and phrase_rank = 1"
        ).fetchall()
    own = found.written.directions[found.place]
    assert len(found.written.directions) == 65
    assert own.tolist() == pytest.approx(every.directions[every.units.index(9)].tolist(), abs=1e-5)
    assert found.notes[0].startswith("On the 10 images that excite it most")
    assert 0 < cosine <= 1


def test_the_command_says_that_images_are_needed(told, monkeypatch):
    monkeypatch.delenv("NEURONS_WAREHOUSE", raising=False)
    alone = told("phrases", "goh2021", 29, "--model", "nano", "--order", "second", code=2)
    assert "there is no warehouse" in alone
