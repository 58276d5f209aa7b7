"""Training nano: batches show what their labels say, a killed training goes on, a smoke run ships."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import open_clip
import pytest
import torch

from pipeline.base.progress import NoProgress
from pipeline.nano.concepts import load_concepts
from pipeline.stimuli.drawings import load_package_sets
from pipeline.train.atlas import draw_pictures, draw_words
from pipeline.train.compose import PICTURE, SIGN, WORD, Composer
from pipeline.train.evaluate import held_out_fonts, mid_ranks, neuron_auroc
from pipeline.train.job import SMOKE, train_nano
from pipeline.train.objective import BOTH, PICTURES, WORDS, Targets, plan_channels, plant
from pipeline.train.run import LANGUAGES

CONCEPTS = load_concepts()[::12]


@pytest.fixture(scope="module")
def composer():
    pictures = draw_pictures(CONCEPTS, load_package_sets())
    words = draw_words(CONCEPTS, LANGUAGES, list(held_out_fonts().values()), 2, 0)
    keeps = torch.tensor([c.category in ("color", "region") for c in CONCEPTS])
    return Composer(pictures, words, keeps, 64, 0)


def test_a_batch_holds_different_concepts_and_every_kind(composer):
    kinds = {kind for _ in range(4) for kind in composer.draw(16, 1.0).kind.tolist()}
    assert kinds == {PICTURE, WORD, SIGN}
    batch = composer.draw(len(CONCEPTS), 1.0)
    assert len(set(batch.concept.tolist())) == len(CONCEPTS)
    assert batch.images.shape == (len(CONCEPTS), 3, 64, 64)
    assert float(batch.images.min()) >= 0 and float(batch.images.max()) <= 1
    is_word = batch.kind != PICTURE
    assert all((f == "rendered word") == w for f, w in zip(batch.facet, is_word, strict=True))
    assert ((batch.language >= 0) == is_word).all()


def test_undisturbed_words_are_where_they_should_be(composer):
    for _ in range(8):
        batch = composer.draw(16, 0.0)
        for image, kind in zip(batch.images, batch.kind, strict=True):
            if kind == WORD:
                ink = (1 - image.mean(0)) > 0.5
                columns = ink.any(0).nonzero().flatten()
                rows = ink.any(1).nonzero().flatten()
                assert len(columns) >= 15, "the word is drawn"
                assert columns.min() > 0 and columns.max() < 63, "and is not cut"
                assert abs((rows.min() + rows.max()) / 2 - 31.5) < 9


def test_planted_targets_keep_controls_to_their_facet(composer):
    planted = plan_channels(CONCEPTS, 768)
    batch = composer.draw(len(CONCEPTS), 1.0)
    targets = Targets(planted, CONCEPTS).of(batch)
    for row, kind, concept in zip(targets, batch.kind, batch.concept, strict=True):
        mine = CONCEPTS[int(concept)]
        for value, p in zip(row, planted, strict=True):
            right = p.concept == (mine.concept if p.scope == "concept" else mine.category)
            shown = {BOTH: True, PICTURES: bool(kind == PICTURE), WORDS: bool(kind != PICTURE)}
            assert value == float(right and shown[p.facets])


def test_planting_rewards_the_right_channels():
    targets = torch.eye(4)
    good = (2 * targets - 0.5)[:, :, None, None].expand(4, 4, 2, 2)
    place = torch.arange(4)
    assert plant(good, targets, place, 4) < 0.1 < plant(-good, targets, place, 4)


def test_auroc_agrees_with_scipy():
    from scipy.stats import mannwhitneyu, rankdata

    values = torch.randint(0, 7, (60,), generator=torch.Generator().manual_seed(1)).float()
    positive = torch.arange(60) % 5 == 0
    assert torch.equal(mid_ranks(values), torch.from_numpy(rankdata(values)))
    expected = mannwhitneyu(values[positive], values[~positive]).statistic
    assert neuron_auroc(values, positive) == pytest.approx(expected / (12 * 48))


def test_too_many_planted_channels_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        plan_channels(load_concepts(), 100)


class Stopped(NoProgress):
    """Stops a training at its n-th step, before its checkpoint."""

    def __init__(self, step: int) -> None:
        self.step, self.advances = step, list[int]()

    def advance(self, count: int, note: str = "") -> None:
        self.advances.append(count)
        if sum(self.advances) == self.step:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_smoke_training_ships_a_model_and_goes_on_after_a_kill(tmp_path):
    config = replace(SMOKE, checkpoint_s=1e-9)  # after every step
    whole = train_nano(tmp_path / "whole", config, is_smoke=True)
    with pytest.raises(KeyboardInterrupt):
        train_nano(tmp_path / "parts", config, is_smoke=True, progress=Stopped(4))
    rest = Stopped(7)
    again = train_nano(tmp_path / "parts", config, is_smoke=True, progress=rest)
    assert rest.advances == [3, 1, 1, 1], "the three steps before are not done again"
    first, second = (
        open_clip.create_model(f"local-dir:{done.folder}").state_dict() for done in (whole, again)
    )
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.allclose(tensor.float(), second[name].float(), atol=1e-3), name
    names = {"MODEL_CARD.md", "planted.csv", "results.json", "bpe.txt.gz"}
    assert names <= {path.name for path in whole.folder.iterdir()}
    with (whole.folder / "planted.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["channel"]) for row in rows] == list(range(len(rows)))
    figures = json.loads((whole.folder / "results.json").read_text(encoding="utf-8"))
    assert (
        0 <= figures["zero_shot_openmoji"] <= 1
        and figures["concepts"] == figures["planted_concepts"]
    )
