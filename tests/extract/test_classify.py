from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from making import snapshot
from running import MODEL, ingest_shards, make_pictures, read_run, run_extract, run_folder

import pipeline
from pipeline.base.errors import ConfigError, ConfigMismatchError, WarehouseError
from pipeline.base.settings import ClassifyConfig
from pipeline.clip.model import load_clip
from pipeline.clip.zero_shot import embed_classes, score_classes
from pipeline.evidence.classify import ClassifySummary, classify

pytestmark = pytest.mark.slow

CLASSES = ("flag", "cat", "trash can")
TEMPLATES = ("a photo of a {}.", "{}")


def run_classify(tmp_path: Path, **settings: Any) -> ClassifySummary:
    values = {
        "warehouse": str(tmp_path / "warehouse"),
        "dataset": "d",
        "run": "r",
        "model": MODEL,
        "classes": CLASSES,
        "templates": TEMPLATES,
        "class_set": "c",
        "device": "cpu",
    }
    return classify(ClassifyConfig(**(values | settings)))


@pytest.fixture
def extracted(tmp_path: Path) -> Path:
    """``tmp_path`` with a run over two shards of seven and three pictures."""
    ingest_shards(tmp_path, [make_pictures(7), make_pictures(3, first=50)])
    run_extract(tmp_path)
    return tmp_path


def read_scores(tmp_path: Path, class_set: str = "c") -> list[tuple[Any, ...]]:
    with pipeline.connect(tmp_path / "warehouse") as connection:
        return connection.execute(
            """
            select example_id, class_name, logit, probability from class_scores
            where class_set = $name order by example_id, class_name
            """,
            {"name": class_set},
        ).fetchall()


def logits_apart() -> float:
    """How far apart two ways to compute a logit may be.

    Embeddings of unit length that a float32 model gives in other batches agree to 1e-5 on any processor,
    so cosines do and logits to that times the scale s. A probability e^l / sum e^l then moves by a
    factor of e^(2 s 1e-5) at most.
    """
    return 1e-5 * float(load_clip(MODEL).model.logit_scale.exp())


@torch.inference_mode()
def test_scores_are_those_of_open_clip(extracted: Path) -> None:
    done = run_classify(extracted)
    assert done == ClassifySummary("c", 2, 0, 10, 30)
    clip = load_clip(MODEL)
    prompts = [[t.replace("{}", name) for t in TEMPLATES] for name in sorted(CLASSES)]
    means = [clip.model.encode_text(clip.tokenizer(p), normalize=True).mean(0) for p in prompts]
    texts = torch.nn.functional.normalize(torch.stack(means), dim=1)
    table = read_run(extracted, "embeddings")
    images = torch.tensor(np.array(table["embedding"].to_pylist(), dtype=np.float32))
    logits = clip.model.logit_scale.exp() * torch.nn.functional.normalize(images, dim=1) @ texts.T
    rows = read_scores(extracted)
    assert [row[:2] for row in rows] == [
        (i, name) for i in table["example_id"].to_pylist() for name in sorted(CLASSES)
    ]
    got = np.array([row[2:] for row in rows])
    near = logits_apart()
    np.testing.assert_allclose(got[:, 0], logits.reshape(-1), rtol=0, atol=near)
    np.testing.assert_allclose(got[:, 1], logits.softmax(1).reshape(-1), rtol=2 * near)


def test_classes_in_another_order_score_the_same(extracted: Path) -> None:
    run_classify(extracted)
    run_classify(extracted, classes=CLASSES[::-1], class_set="other")
    pairs = zip(read_scores(extracted), read_scores(extracted, "other"), strict=True)
    for one, two in pairs:
        assert one[:2] == two[:2]
        assert one[2] == pytest.approx(two[2], abs=logits_apart())
        assert one[3] == pytest.approx(two[3], rel=2 * logits_apart())


def test_a_second_time_does_nothing_and_a_new_shard_is_added(extracted: Path) -> None:
    run_classify(extracted)
    before = snapshot(extracted)
    assert run_classify(extracted, model="not even loaded:x") == ClassifySummary("c", 2, 2, 10, 30)
    assert snapshot(extracted) == before
    ingest_shards(
        extracted, [make_pictures(7), make_pictures(3, first=50), make_pictures(4, first=90)]
    )
    run_extract(extracted)
    query = "select example_count, unclassified_count, class_count from class_sets"
    with pipeline.connect(extracted / "warehouse") as connection:
        assert connection.execute(query).fetchall() == [(10, 4, 3)]
    assert run_classify(extracted) == ClassifySummary("c", 3, 2, 14, 42)
    after = snapshot(extracted)
    kept = {name: value for name, value in before.items() if "class_scores" in name}
    assert len(kept) == 2 and all(after[name] == value for name, value in kept.items())
    with pipeline.connect(extracted / "warehouse") as connection:
        assert connection.execute(query).fetchall() == [(14, 0, 3)]


def test_views_see_nothing_of_a_classification_that_was_interrupted(extracted: Path) -> None:
    run_classify(extracted)
    record = run_folder(extracted) / "class_sets/c.json"
    expected = read_scores(extracted)
    record.unlink()
    files = {f: f.stat().st_mtime_ns for f in run_folder(extracted).rglob("class_scores/**/*.p*")}
    assert len(files) == 2 and read_scores(extracted) == []
    run_classify(extracted)
    assert {f: f.stat().st_mtime_ns for f in files} == files  # finished shards are kept
    assert read_scores(extracted) == expected


def test_a_shard_that_was_extracted_again_is_scored_again(extracted: Path) -> None:
    run_classify(extracted)
    manifest = run_folder(extracted) / "manifests/00001.json"
    record = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(record | {"written_at": "2020-01-01T00:00:00+00:00"}))
    assert run_classify(extracted).skipped_shard_count == 1
    assert len(read_scores(extracted)) == 30


def test_a_class_set_without_a_name_is_named_by_what_it_is(extracted: Path) -> None:
    one = run_classify(extracted, class_set="")
    two = run_classify(extracted, class_set="", templates=("{}",))
    assert len(one.class_set) == 12 and one.class_set != two.class_set
    assert run_classify(extracted, class_set="").class_set == one.class_set


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"classes": ("cat",)}, ConfigError, "two or more"),
        ({"classes": ("cat", "dog", "cat")}, ConfigError, "twice"),
        ({"classes": ("cat", " ")}, ConfigError, "empty"),
        ({"templates": ()}, ConfigError, "no prompt template"),
        ({"templates": ("a photo",)}, ConfigError, "0 places"),
        ({"templates": ("long " * 80 + "{}",)}, ConfigError, "the same"),
        ({"class_set": "a/b"}, ConfigError, "cannot name a class set"),
        ({"run": "none"}, WarehouseError, "no run 'none'"),
        ({"model": "RN-small:random"}, ConfigMismatchError, "not the model of this run"),
    ],
)
def test_what_cannot_work_is_refused(
    extracted: Path, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run_classify(extracted, **settings)
    assert read_scores(extracted) == []


def test_one_name_holds_one_class_set(extracted: Path) -> None:
    run_classify(extracted)
    with pytest.raises(ConfigMismatchError, match=r"templates: there .*, now"):
        run_classify(extracted, templates=("{}",))


def test_a_run_without_a_finished_shard(tmp_path: Path) -> None:
    ingest_shards(tmp_path, [make_pictures(3)])
    run_extract(tmp_path, ordinals=())
    with pytest.raises(WarehouseError, match="no finished shard"):
        run_classify(tmp_path)


def test_an_image_scores_highest_for_the_text_it_embeds_like() -> None:
    clip = load_clip("ViT-small:random")
    texts = embed_classes(clip, CLASSES, TEMPLATES)
    assert torch.allclose(texts.norm(dim=1), torch.ones(3), atol=1e-6)
    logits, probabilities = score_classes(clip, 3 * texts.half(), texts)
    assert logits.argmax(1).tolist() == [0, 1, 2]
    assert torch.allclose(probabilities.sum(1), torch.ones(3), atol=1e-6)
