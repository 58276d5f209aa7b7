"""The text of a neuron: the same cosines as a search by weights, in a ResNet and in a ViT; kept, and shown."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from open_clip.transformer import VisionTransformer
from torch import nn

from pipeline.base.errors import ModelError
from pipeline.base.figure_settings import FigureConfig
from pipeline.clip.model import load_clip
from pipeline.clip.writes import choose_writing, iter_written, list_writing
from pipeline.clip.zero_shot import choose_readable
from pipeline.evidence.phrases import (
    KEPT,
    draw_directions,
    embed_phrases,
    tabulate_phrases,
    weigh_phrases,
)
from pipeline.evidence.texts import background_texts, find_direction, weigh_text
from pipeline.figures.run import measure_figures
from pipeline.nano.planted import BOTH_FACETS, load_planted
from pipeline.paper import weights
from pipeline.paper.write import open_subject
from pipeline.warehouse.connect import connect

PLANTED = [p for p in load_planted() if p.scope == "concept" and p.facets == BOTH_FACETS]


class _Grafted(nn.Module):
    """nano's text tower beside the image tower of another kind."""

    def __init__(self, visual):
        super().__init__()
        self.visual = visual
        self.encode_text = load_clip("nano").model.encode_text


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    dim = len(find_direction(load_clip("nano"), "guitar").vector)
    visual = VisionTransformer(64, 16, 2 * dim, 2, 4, 2.0, output_dim=dim, ls_init_value=0.5)
    for name, parameter in visual.named_parameters():
        if "ln_" in name:
            nn.init.normal_(parameter, 1.0, 0.1)
    visual = visual.eval().requires_grad_(False)
    return replace(load_clip("nano"), model=_Grafted(visual))


def test_a_phrase_has_the_cosines_that_its_search_has():
    clip = load_clip("nano")
    names = ["guitar", background_texts()[3], "Japan", "GUITAR", "a mouse " * 20]
    phrases = embed_phrases(clip, names)
    assert phrases.names == ("guitar", background_texts()[3], "Japan")
    assert phrases.unread == ("GUITAR", "a mouse " * 20), "the same tokens; too long"
    (written,) = iter_written(clip, list_writing(clip))
    cosines = weigh_phrases(written.directions, phrases).numpy()
    for place, name in enumerate(phrases.names):
        (weighed,) = weigh_text(find_direction(clip, name))
        assert cosines[weighed.units, place] == pytest.approx(weighed.cosines, abs=1e-5)


def test_texts_that_a_model_cannot_tell_apart_are_named():
    clip = load_clip("nano")
    kept, left = choose_readable(clip, ["cat", " ", "Cat", "dog"], ("{}", "a photo of {}"))
    assert (kept, left) == (["cat", "dog"], [" ", "Cat"])


def test_planted_neurons_write_their_own_concept_as_often_as_it_finds_them():
    """Among the concepts that nano was taught: of other phrases it knows little more than the spelling."""
    clip = load_clip("nano")
    (written,) = iter_written(clip, list_writing(clip))
    phrases = embed_phrases(clip, [p.concept for p in PLANTED])
    cosines = weigh_phrases(written.directions, phrases)
    chance = weigh_phrases(draw_directions(written.directions), phrases)
    own = torch.tensor([[phrases.names.index(p.concept), p.channel] for p in PLANTED])
    first = (cosines.argmax(dim=1)[own[:, 1]] == own[:, 0]).double().mean()
    found = (cosines.argmax(dim=0)[own[:, 0]] == own[:, 1]).double().mean()
    assert first >= found - 0.02
    assert found > 0.93
    assert (chance.argmax(dim=1)[own[:, 1]] == own[:, 0]).double().mean() < 0.03


def test_a_neuron_of_a_vit_writes_what_setting_it_adds(vit):
    """To first order: the derivative of the embedding, but for how the norm's length depends on the neuron."""
    visual = vit.model.visual
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert choose_writing(vit, ()) == list_writing(vit)
    assert len(list_writing(vit)) == 2
    path = list_writing(vit)[-1]
    assert choose_writing(vit, [f"{path}:output:max", "visual.other"]) == (path,)
    (written,) = iter_written(vit, (path,))
    gelu = vit.model.get_submodule(path)
    before = visual(image)[0]
    for unit in (0, 17, 60):

        def more(module, given, out, unit=unit):
            return out + 1e-2 * nn.functional.one_hot(torch.tensor(unit), out.shape[-1])

        hook = gelu.register_forward_hook(more)
        change = (visual(image)[0] - before).double()
        hook.remove()
        assert nn.functional.cosine_similarity(change, written.directions[unit], dim=0) > 0.98


def test_a_concept_planted_in_a_vit_comes_first_in_both_directions(vit):
    grafted = replace(vit, model=copy.deepcopy(vit.model))
    block = grafted.model.visual.transformer.resblocks[0]
    path = list_writing(grafted)[0]
    width = block.mlp.c_proj.weight.shape[0]
    direction = find_direction(vit, "guitar")
    eye = torch.eye(width, dtype=torch.float64)
    visual = grafted.model.visual
    centred = eye - 1 / width
    through = (eye * block.ls_2.gamma.double()) @ centred * visual.ln_post.weight.double()
    row = direction.vector.double() @ torch.linalg.pinv(through @ visual.proj.double())
    block.mlp.c_proj.weight.data[:, 5] = row.float()
    (written,) = iter_written(grafted, (path,))
    phrases = embed_phrases(grafted, ["rabbit", "guitar", "Japan"])
    assert weigh_phrases(written.directions, phrases)[5].argmax() == 1
    first, last = weigh_text(replace(direction, clip=grafted))
    assert (first.path, first.units[first.cosines.argmax()]) == (path, 5)
    assert first.cosines.max() == pytest.approx(1, abs=1e-4)
    assert last.cosines.max() < 0.9


def test_a_tower_of_another_kind_says_what_can_be_asked(vit):
    other = replace(vit, model=_Grafted(nn.Linear(2, 2)))
    with pytest.raises(ModelError, match=r"neither a ResNet(.|\n)*--by similarity"):
        weigh_text(find_direction(other, "guitar"))


def test_a_table_ranks_phrases_and_leaves_out_who_writes_nothing():
    phrases = replace(
        embed_phrases(load_clip("nano"), ["cat", "dog", "Japan"]),
        vectors=torch.eye(3, dtype=torch.float64),
    )
    directions = torch.tensor([[0.0, 3, 4], [0, 0, 0], [1, 1, 0]], dtype=torch.float64)
    rows = tabulate_phrases(directions, phrases, {"Japan": "region"}).to_pylist()
    assert KEPT > 3
    assert [(r["unit"], r["phrase_rank"], r["phrase"]) for r in rows] == [
        *((0, 1, "Japan"), (0, 2, "dog"), (0, 3, "cat")),
        *((2, 1, "cat"), (2, 2, "dog"), (2, 3, "Japan")),
    ]  # ties in the order of phrases
    assert [r["cosine"] for r in rows[:3]] == pytest.approx([0.8, 0.6, 0])
    assert [r["category"] for r in rows[:2]] == ["region", ""]
    chance = [r["random_cosine"] for r in rows]
    assert chance[:3] == sorted(chance[:3], reverse=True)


def test_the_command_needs_no_warehouse(told, monkeypatch):
    monkeypatch.delenv("NEURONS_WAREHOUSE", raising=False)
    out = told("phrases", "goh2021", 29, "--model", "nano", "-k", 1)
    assert out.splitlines()[-1].split()[:2] == ["Japan", "region"]
    assert "no unit 9999" in told("phrases", "goh2021", 9999, "--model", "nano", code=2)
    out = told("phrases", "visual.layer2", 1, "--model", "nano", code=2)
    assert "No neuron of layer 'visual.layer2'" in out
    assert "visual.layer4.0.act3" in out
    assert "neither a warehouse nor a model" in told("phrases", "goh2021", 29, code=2)


def test_a_layer_that_does_not_lead_to_the_embedding_says_so(tiny_warehouse, tmp_path):
    place = shutil.copytree(tiny_warehouse, tmp_path / "warehouse")
    with connect(place) as con:
        ((dataset, run),) = con.execute("select dataset, run_id from runs").fetchall()
    place_of = {"warehouse": str(place), "dataset": dataset, "run": run, "device": "cpu"}
    config = FigureConfig(**place_of, figures=("weights",), layer="visual.layer3.0")
    for done in measure_figures(config):
        assert "nothing: its neurons do not lead straight to the embedding" in str(done)
    assert all("there already" in str(done) for done in measure_figures(config))
    with open_subject(str(place), dataset, run) as subject:
        assert weights.make_section(subject).missing is not None


@pytest.mark.slow
def test_the_demo_keeps_the_phrases_of_all_neurons(plain_demo, tmp_path):
    place = shutil.copytree(plain_demo / "warehouse", tmp_path / "warehouse")
    with connect(place) as con:
        ((run,),) = con.execute("select run_id from runs where dataset = 'demo'").fetchall()
    where = {"warehouse": str(place), "dataset": "demo", "run": run, "device": "cpu"}
    config = FigureConfig(**where, figures=("weights",))
    (done,) = measure_figures(config)
    assert done.row_count == 768 * KEPT
    (again,) = measure_figures(config)
    assert "there already" in str(again)
    with open_subject(str(place), "demo", run) as subject:
        rows = subject.ask.connection.execute(
            "select unit, phrase_rank, phrase from neuron_weight_texts where phrase_rank <= 5"
        ).fetchall()
        first = {unit: phrase for unit, rank, phrase in rows if rank == 1}
        five = {(unit, phrase) for unit, _, phrase in rows}
        assert np.mean([first[p.channel] == p.concept for p in PLANTED]) > 0.65
        assert np.mean([(p.channel, p.concept) in five for p in PLANTED]) > 0.92
        section = weights.make_section(subject)
    assert section.missing is None
    own, among_five, cosine = section.rows
    assert own.of == among_five.of == "525 labelled neurons"
    assert "random direction" in cosine.control
